//! On pipes: the formats that print lines.

use crate::support::{Lab, steady};
use serde_json::Value;

const SECRET: &str = "hunter2-and-more";

/// A lab whose board prints what is hard to print, and a secret.
fn difficult() -> Lab {
    let lab = Lab::new();
    lab.edit_job(
        "priority: medium",
        &format!("secrets: {{token: {SECRET}}}\npriority: medium"),
    );
    let test = format!("the token is {SECRET}\n\x1b[31mred\x1b[0m \x1b]0;title\x07grün\n");
    lab.write("test", [test.as_bytes(), b"bad \xff byte\n"].concat());
    lab
}

#[test]
fn plain_is_one_line_an_event() {
    let printed = Lab::new().run(&["--format", "plain"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    // What the board prints comes when it comes: only within each kind the order is fixed.
    let text = steady(&printed.stdout);
    let (console, events): (Vec<&str>, Vec<&str>) = text
        .lines()
        .partition(|line| line.starts_with("  TIME  target"));
    insta::assert_snapshot!("plain", events.join("\n"));
    insta::assert_snapshot!("plain_console", console.join("\n"));
}

#[test]
fn plain_is_what_pipes_get_and_has_no_escape_sequences() {
    let lab = difficult();
    let printed = lab.run(&[]);
    assert_eq!(printed.code, Some(0), "{}", printed.stdout);
    assert!(
        printed.stdout.contains("| the token is [MASKED]"),
        "{}",
        printed.stdout
    );
    assert!(printed.stdout.contains("| red grün"), "{}", printed.stdout);
    assert!(!printed.stdout.contains(SECRET));
    assert!(
        printed
            .stdout
            .chars()
            .all(|character| character == '\n' || !character.is_control())
    );
}

#[test]
fn plain_may_be_coloured_when_asked_for() {
    let printed = Lab::new().run(&["--format", "plain", "--color", "always"]);
    assert!(
        printed
            .stdout
            .contains("\x1b[32mpass    \x1b[0m 0_smoke boots"),
        "{}",
        printed.stdout
    );
}

#[test]
fn plain_failures_end_with_everything_that_helps() {
    let lab = Lab::new();
    lab.write("silent", "");
    lab.edit_job(
        "    timeout: {minutes: 10}\n    auto_login",
        "    timeout: {seconds: 1}\n    auto_login",
    );
    let printed = lab.run(&["--format", "plain"]);
    assert_eq!(printed.code, Some(4));
    let text = steady(&printed.stdout);
    let start = text.find("TIME  failed").expect("an action failed");
    insta::assert_snapshot!("plain_failed", &text[start..]);
}

#[test]
fn lava_prints_the_log() {
    let lab = difficult();
    let printed = lab.run(&["--format", "lava"]);
    assert_eq!(printed.code, Some(0));
    let log = fs_err::read_to_string(lab.path().join("out/logs.yaml")).unwrap();
    assert_eq!(printed.stdout, log);
    assert!(!log.contains(SECRET));
}

#[test]
fn json_has_the_whole_console_without_secrets() {
    let lab = difficult();
    let printed = lab.run(&["--format", "json"]);
    assert_eq!(printed.code, Some(0));
    let entries: Vec<Value> = printed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(entries[0]["record"]["header"]["job_name"], "smoke test");
    assert_eq!(entries.last().unwrap()["record"]["end"]["ok"], true);
    let text: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["record"]["output"]["text"].as_str())
        .collect();
    let text = text.concat();
    assert!(text.contains("the token is [MASKED]\r\n"), "{text}");
    assert!(
        entries
            .iter()
            .any(|entry| entry["record"]["output"]["base64"].is_string())
    );
    let times = entries
        .iter()
        .map(|entry| entry["at_micros"].as_u64().unwrap());
    assert!(times.is_sorted());
    assert!(!printed.stdout.contains(SECRET));
    let result = entries
        .iter()
        .find(|entry| entry["record"]["result"]["case"] == "speed");
    assert_eq!(result.unwrap()["record"]["result"]["measurement"], 42.5);
}

/// `pumice run … | head -1`: the job goes on.
#[test]
fn a_reader_that_stops_reading_does_not_stop_the_job() {
    for format in ["plain", "lava", "json", "live"] {
        let lab = Lab::new();
        assert_eq!(lab.run_for_one_line(format), Some(0), "{format}");
        assert!(lab.path().join("out/results.json").exists(), "{format}");
    }
}
