//! The console of a job that LAVA ran, against the results that LAVA recorded of it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test and its support: it may fail, and it says when it is skipped"
)]

use dispatcher::expect::{
    TestEvent, TestRun,
    signal::Run,
    test_run::{ParsePattern, RunDefinition},
};
use reference_data::reference_data;

/// The text of a double-quoted YAML scalar that LAVA wrote.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                out.push(char::from(u8::from_str_radix(&digits, 16).unwrap()));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The value of a key in a record: `"key": "value"` or `"key": ! "value"`.
fn value(record: &str, key: &str) -> Option<String> {
    let (_, rest) = record.split_once(&format!("\"{key}\": "))?;
    let rest = rest.trim_start_matches("! ").strip_prefix('"')?;
    Some(rest[..rest.find('"')?].to_owned())
}

#[test]
fn a_recorded_job_gives_the_results_that_lava_recorded() {
    let Some(log) = reference_data("golden/peer/qemu/logs.yaml") else {
        return;
    };
    let log = fs_err::read_to_string(log).unwrap();
    let definition = |name: &str, uuid: &str| RunDefinition {
        run: Run {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
        },
        pattern: None,
        fixups: Vec::new(),
        expected: None,
        fields: Vec::new(),
    };
    let mut parsed = definition("1_parsed", "1003_1.1.2.5");
    let pattern = "(?P<test_case_id>parsed-[a-z]+): (?P<result>pass|fail|skip|unknown|PASS)";
    parsed.pattern = Some(ParsePattern::new(pattern).unwrap());
    parsed.fixups = vec![("PASS".to_owned(), "pass".to_owned())];
    let mut tests = TestRun::new(vec![
        definition("0_peer-inline", "1003_1.1.2.1"),
        parsed,
        definition("2_second", "1003_1.1.2.9"),
    ]);
    let mut ours = Vec::new();
    let mut emit = |event| {
        if let TestEvent::Result(result) | TestEvent::RunEnded { result, .. } = event {
            ours.push([
                Some(result.definition),
                Some(result.case),
                Some(result.result.to_string()),
                result.set,
                result.measurement.map(|number| number.to_string()),
                result.units,
                result.reference,
            ]);
        }
    };
    let mut theirs = Vec::new();
    for record in log.lines() {
        if let Some((_, message)) = record.split_once("\"lvl\": \"target\", \"msg\": \"") {
            let line = unquoted(message.strip_suffix("\"}").unwrap());
            tests.push(format!("{line}\r\n").as_bytes(), &mut emit);
        } else if let Some((_, result)) = record.split_once("\"lvl\": \"results\", \"msg\": ") {
            let suites = ["0_peer-inline", "1_parsed", "2_second"];
            let is_run = value(result, "case").is_some_and(|case| suites.contains(&&*case));
            if is_run || !result.contains("\"definition\": \"lava\"") {
                let keys = [
                    "definition",
                    "case",
                    "result",
                    "set",
                    "measurement",
                    "units",
                    "reference",
                ];
                let keys = keys.map(|key| if is_run && key == "set" { "no" } else { key });
                theirs.push(keys.map(|key| value(result, key)));
            }
        }
    }
    tests.finish(&mut emit);
    assert_eq!(theirs.len(), 20);
    assert_eq!(ours, theirs);
}
