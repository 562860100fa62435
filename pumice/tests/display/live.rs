//! On a terminal.

use crate::support::{Lab, steady};
use regex::bytes::Regex;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use std::process::{Command, Stdio};

/// All that the display itself sends: colours, erasing, the way back up, and what keeps a repaint
/// whole.
const OURS: &str =
    r"\x1b\[(0|2|1|32|1;31|33|36)m|\x1b\[[JK]|\x1b\[\d+[AC]|\x1b\[\?(7|2026)[hl]|\r\n?";

fn without_ours(bytes: &[u8]) -> Vec<u8> {
    Regex::new(OURS)
        .unwrap()
        .replace_all(bytes, b"".as_slice())
        .into_owned()
}

#[tokio::test]
async fn the_tree_the_console_and_the_table() {
    let lab = Lab::new();
    lab.write("hold", "");
    let mut terminal = lab.on_terminal(&[], &[]);
    let prompt = "Continue? [y/n] ";
    terminal
        .wait(|screen| screen.contains(prompt) && screen.contains("1 skip"))
        .await;
    insta::assert_snapshot!("at_80x24", steady(&terminal.screen()));
    // The cursor is the board's.
    let (row, column) = terminal.cursor();
    assert_eq!(terminal.screen().lines().nth(row.into()), Some(prompt));
    assert_eq!(usize::from(column), prompt.len());

    terminal.resize(20, 60);
    let rule = |screen: &str| {
        screen
            .lines()
            .any(|line| line.ends_with("20m ──") && line.chars().count() == 59)
    };
    terminal.wait(rule).await;
    // A repaint that was under way for the old size may have left its rows above.
    let screen = terminal.screen();
    let frame = screen.rfind(prompt).map(|start| &screen[start..]);
    insta::assert_snapshot!("at_60x20", steady(frame.unwrap()));

    lab.go_on();
    assert_eq!(terminal.finish().await, Some(0));
    insta::assert_snapshot!("at_the_end", steady(&terminal.screen()));
}

#[tokio::test]
async fn without_colour_nothing_is_lost() {
    let lab = Lab::new();
    lab.write("test", "\x1b[1;31mred alert\x1b[0m\n");
    let mut terminal = lab.on_terminal(&["NO_COLOR=1"], &[]);
    assert_eq!(terminal.finish().await, Some(0));
    let colour = Regex::new(r"\x1b\[[0-9;]*m").unwrap();
    assert!(!colour.is_match(&terminal.bytes), "{}", terminal.screen());
    let history = terminal.history();
    for shown in [
        "red alert",
        "▌ ✓ 0_smoke boots",
        "▌ ✗ 0_smoke network",
        "▌ – 0_smoke sound",
    ] {
        assert!(history.contains(shown), "{shown} is not in\n{history}");
    }
}

#[tokio::test]
async fn colours_of_the_board_are_kept_and_asked_for_by_name() {
    let lab = Lab::new();
    lab.write("test", "\x1b[35mmagenta\x1b[0m\n");
    let mut terminal = lab.on_terminal(&["NO_COLOR=1"], &["--color", "always"]);
    assert_eq!(terminal.finish().await, Some(0));
    let text = String::from_utf8_lossy(&terminal.bytes).into_owned();
    assert!(
        text.contains("\x1b[0;35mmagenta\x1b[0m"),
        "{}",
        terminal.history()
    );
}

#[tokio::test]
async fn a_terminal_without_unicode_gets_none() {
    let lab = Lab::new();
    let mut terminal = lab.on_terminal(&["LC_ALL=C"], &[]);
    assert_eq!(terminal.finish().await, Some(0));
    assert!(terminal.bytes.is_ascii());
    assert!(
        terminal.history().contains("# x 0_smoke network"),
        "{}",
        terminal.history()
    );
}

#[tokio::test]
async fn a_hostile_board_cannot_control_the_terminal() {
    let lab = Lab::new();
    lab.write("hold", "");
    let hostile: [&[u8]; 12] = [
        b"\x1b[2J\x1b[H\x1b[5;5Hover the top\n",
        b"\x1b]0;evil title\x07\x1b]52;c;ZXZpbA==\x1b\\after the title\n",
        b"\x1b[6n\x1b[c\x05\x1b[>q asks for answers\n",
        b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b=\x1b(0modes\n",
        b"\x1bP+q544e\x1b\\\x1b_apc\x1b\\\x1b^pm\x1b\\strings\n",
        b"\x1b[3;4r\x1b[1L\x1b[2S\x1bM\x1bc\x1b[!p resets\n",
        "\u{9b}2J\u{9d}0;evil\u{9c} eight bits\n".as_bytes(),
        b"\x9b2J\xff\xfe\xc3 not utf-8\n",
        "\u{202e}backwards\u{2066}\n".as_bytes(),
        b"\x08\x08\x08\x0b\x0c\x0e\x0f\x00\x7f\x07controls\n",
        b"\x1b[99999999999999999999C\x1b[65535@far out\n",
        b"\x1b]0;a title that does not end\nstill here\n",
    ];
    lab.write("test", hostile.concat());
    let mut terminal = lab.on_terminal(&["NO_COLOR=1"], &[]);
    terminal
        .wait(|screen| screen.contains("Continue?") && screen.contains("tests "))
        .await;
    let rule = terminal
        .screen()
        .lines()
        .filter(|line| line.starts_with("── job 1"))
        .count();
    assert_eq!(rule, 1, "{}", terminal.screen());
    lab.go_on();
    assert_eq!(terminal.finish().await, Some(0));

    let rest = String::from_utf8(without_ours(&terminal.bytes)).expect("UTF-8");
    let obeyed = rest.chars().find(|character| {
        character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert_eq!(obeyed, None);
    let history = terminal.history();
    for shown in [
        "over the top",
        "after the title",
        "asks for answers",
        "modes",
        "strings",
    ] {
        assert!(history.contains(shown), "{shown} is not in\n{history}");
    }
    for shown in [
        "resets",
        "eight bits",
        "not utf-8",
        "backwards",
        "controls",
        "far out",
        "still here",
    ] {
        assert!(history.contains(shown), "{shown} is not in\n{history}");
    }
}

#[tokio::test]
async fn a_flood_is_shown_whole_or_counted() {
    const LINES: usize = 30_000;
    let lab = Lab::new();
    let flood: String = (0..LINES)
        .map(|number| format!("flood {number:06} {}\n", "x".repeat(60)))
        .collect();
    lab.write("test", flood);
    let mut terminal = lab.on_terminal(&["NO_COLOR=1"], &[]);
    assert_eq!(terminal.finish().await, Some(0));
    let text = String::from_utf8_lossy(&terminal.bytes).into_owned();
    let numbers = regex::Regex::new(r"flood (\d{6}) x{60}\r+\n").unwrap();
    let shown: Vec<usize> = numbers
        .captures_iter(&text)
        .map(|found| found[1].parse().unwrap())
        .collect();
    assert!(shown.is_sorted(), "lines come in order, each once");
    let left_out = regex::Regex::new(r"(\d+) lines? not shown").unwrap();
    let left_out: usize = left_out
        .captures_iter(&text)
        .map(|found| found[1].parse::<usize>().unwrap())
        .sum();
    // A line that was cut is counted, but its end is shown.
    assert!(
        shown.len() + left_out >= LINES,
        "{} shown, {left_out} left out",
        shown.len()
    );
    assert!(
        terminal.screen().contains("The job is complete"),
        "{}",
        terminal.screen()
    );
}

#[tokio::test]
async fn ctrl_c_cancels_and_tells_that_the_board_is_off() {
    let lab = Lab::new();
    lab.write("hold", "");
    let mut terminal = lab.on_terminal(&[], &[]);
    terminal.wait(|screen| screen.contains("Continue?")).await;
    terminal.send(b"\x03").await;
    assert_eq!(terminal.finish().await, Some(130));
    let history = steady(&terminal.history());
    let end = history
        .find("▌ ! canceling the job")
        .expect("it is said at once");
    insta::assert_snapshot!("canceled", &history[end..]);
}

#[tokio::test]
async fn what_is_typed_does_not_disturb_the_view() {
    let lab = Lab::new();
    lab.write("hold", "");
    let mut terminal = lab.on_terminal(&[], &[]);
    terminal
        .wait(|screen| screen.contains("Continue?") && screen.contains("1 skip"))
        .await;
    terminal.send(b"impatient\n\n\n").await;
    lab.go_on();
    assert_eq!(terminal.finish().await, Some(0));
    let history = terminal.history();
    assert!(!history.contains("impatient"), "{history}");
    assert_eq!(history.matches("── job 1").count(), 0, "{history}");
}

#[tokio::test]
async fn a_failure_says_what_was_waited_for() {
    let lab = Lab::new();
    lab.write("silent", "");
    lab.edit_job(
        "    timeout: {minutes: 10}\n    auto_login",
        "    timeout: {seconds: 1}\n    auto_login",
    );
    let mut terminal = lab.on_terminal(&[], &[]);
    assert_eq!(terminal.finish().await, Some(4));
    let history = steady(&terminal.history());
    let end = history
        .find("▌ ✗ 2 minimal-boot")
        .expect("the block that failed");
    insta::assert_snapshot!("failed", &history[end..]);
}

/// The terminal's window is closed: the job is canceled, and everything is cleaned up.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program needs a terminal that goes away"
)]
fn a_terminal_that_goes_away_cancels_the_job() {
    let lab = Lab::new();
    lab.write("hold", "");
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let window = openpt(flags).unwrap();
    grantpt(&window).unwrap();
    unlockpt(&window).unwrap();
    let terminal = ioctl_tiocgptpeer(&window, flags).unwrap();
    let stdio = || Stdio::from(terminal.try_clone().unwrap());
    let mut program = Command::new("env")
        .args([
            "--default-signal=HUP,INT",
            "setsid",
            "--ctty",
            env!("CARGO_BIN_EXE_pumice"),
            "run",
            "job.yaml",
            "--device",
            "device.yaml",
        ])
        .args(["--output-dir", "out", "--cache-dir", "cache"])
        .env("TERM", "xterm")
        .env("PUMICE_LOCK_DIR", "locks")
        .current_dir(lab.path())
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .unwrap();
    drop(terminal);
    let mut seen = Vec::new();
    while !seen.windows(9).any(|bytes| bytes == b"Continue?") {
        let mut buffer = [0; 4096];
        let length = rustix::io::read(&window, &mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..length]);
    }
    drop(window);
    assert_eq!(program.wait().unwrap().code(), Some(130));
    let results = fs_err::read_to_string(lab.path().join("out/results.json")).unwrap();
    assert!(
        results.contains(r#""state": "canceled""#) || results.contains(r#""state":"canceled""#)
    );
    assert!(!lab.path().join("out/tmp").exists());
}
