//! What other programs make of the views: PyYAML as LAVA's server uses it, XML and CSV readers.

mod support;

use dispatcher::journal::{LIMIT, LavaLog, Views};
use proptest::prelude::*;
use serde_json::Value;
use std::{io::Write, path::Path, process::Stdio};
use support::story;
use wire::journal::{ConnectionId, Entry, Epoch, LogLevel, Record};

/// Runs a Python script with one argument; `None`, said loudly, without Python or a module.
#[allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test's reader needs no process group of its own; a test that is skipped says so"
)]
fn python(script: &str, argument: &Path) -> Option<String> {
    let child = std::process::Command::new("python3")
        .args(["-", argument.to_str().expect("the path is UTF-8")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: python3 is not there");
        return None;
    };
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all(script.as_bytes())
        .expect("the script is read");
    drop(input);
    let output = child.wait_with_output().expect("python3 ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("ModuleNotFoundError") {
        eprintln!("SKIPPED: {errors}");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).expect("it prints UTF-8"))
}

/// All that PyYAML and `splitlines` make of a log, as JSON lines.
const READ_LOG: &str = r#"
import json, sys, yaml
text = open(sys.argv[1], encoding="utf-8", newline="").read()
lines = text.splitlines()
loaded = {}
for loader in (yaml.CSafeLoader, yaml.SafeLoader):
    items = yaml.load(text, Loader=loader) or []
    assert len(items) == len(lines), (loader, len(items), len(lines))
    for item, line in zip(items, lines):
        assert [item] == yaml.load(line, Loader=loader), line
        assert item == json.loads(line[2:]), line
    loaded[loader] = items
assert loaded[yaml.CSafeLoader] == loaded[yaml.SafeLoader]
for item in items:
    print(json.dumps(item))
"#;

fn header() -> Record {
    story::entries()[0].record.clone()
}

fn lines_of(records: impl IntoIterator<Item = Record>) -> Vec<u8> {
    let (mut log, mut out) = (LavaLog::new(), Vec::new());
    for (at_micros, record) in (0..).zip(records) {
        log.push(&Entry { at_micros, record }, &mut out);
    }
    out
}

#[test]
fn python_reads_the_log_as_it_was_meant() {
    let every_character = (0..0x400)
        .chain(0x2000..0x2100)
        .chain([0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1f600, 0x10ffff]);
    let messages: Vec<String> = every_character
        .filter_map(char::from_u32)
        .map(|character| format!("<{character}>"))
        .collect();
    let logs = messages.iter().map(|message| Record::Log {
        level: LogLevel::Debug,
        message: message.clone(),
    });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("logs.yaml");
    fs_err::write(&path, lines_of([header()].into_iter().chain(logs))).expect("a log");
    let Some(items) = python(READ_LOG, &path) else {
        return;
    };
    let read: Vec<Value> = items
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(read.len(), messages.len());
    for (item, message) in read.iter().zip(&messages) {
        assert_eq!(item["msg"], message.as_str());
    }
}

#[test]
fn python_reads_all_that_a_job_leaves() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut views = Views::create(directory.path()).expect("views");
    for entry in story::entries() {
        views.entry(&entry).expect("an entry");
    }
    views.finish().expect("exports");
    let Some(items) = python(READ_LOG, &directory.path().join("logs.yaml")) else {
        return;
    };
    let last = items.lines().last().expect("a line");
    let last: Value = serde_json::from_str(last).expect("JSON");
    let script = r#"
import csv, json, os, sys, yaml
import xml.etree.ElementTree as xml
os.chdir(sys.argv[1])
read = lambda name: open(name, encoding="utf-8", newline="").read()
results = json.loads(read("results.json"))
cases = [case for suite in results["suites"] for case in suite["cases"]]
listed = yaml.load(read("results.yaml"), Loader=yaml.CSafeLoader)
rows = list(csv.DictReader(open("results.csv", encoding="utf-8", newline="")))
tests = xml.parse("junit.xml").getroot().findall("testsuite/testcase")
points = [line for line in read("results.tap").splitlines() if line.startswith(("ok", "not ok"))]
assert len(cases) == len(listed) == len(rows) == len(tests) == len(points), (
    len(cases), len(listed), len(rows), len(tests), len(points))
for row, item in zip(rows, listed):
    assert (row["name"], row["result"], row["measurement"]) == (
        item["name"], item["result"], item["measurement"]), (row, item)
    assert eval(row["metadata"]) == item["metadata"], row
names = sorted(case["name"] for case in cases)
assert names == sorted(item["name"] for item in listed), names
description = yaml.load(read("description.yaml"), Loader=yaml.CSafeLoader)
assert description["pipeline"][0]["level"] == "1", description
print(json.dumps(yaml.load(read("result.yaml"), Loader=yaml.CSafeLoader)))
"#;
    let job = python(script, directory.path()).expect("python3 was there");
    let job: Value = serde_json::from_str(&job).expect("JSON");
    assert_eq!(last["msg"], job);
    assert_eq!(job["error_type"], "Infrastructure");
}

#[test]
fn no_view_has_a_secret() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut views = Views::create(directory.path()).expect("views");
    for entry in story::entries() {
        views.entry(&entry).expect("an entry");
    }
    views.finish().expect("exports");
    let mut seen = 0;
    for file in fs_err::read_dir(directory.path()).expect("the directory") {
        let path = file.expect("a file").path();
        let text = String::from_utf8_lossy(&fs_err::read(&path).expect("a view")).into_owned();
        for part in ["hunter2", "QUJDREVG", "äöü\""] {
            assert!(!text.contains(part), "{part} in {}", path.display());
        }
        seen += text.matches("[MASKED]").count();
    }
    assert!(seen > 10, "{seen} secrets were found");
}

#[test]
fn a_line_that_is_too_long_comes_in_pieces() {
    let line: String = "0123456789\u{1}é".chars().cycle().take(1_000_000).collect();
    let output = |bytes: &[u8]| Record::Output {
        connection: ConnectionId(0),
        epoch: Epoch(0),
        bytes: bytes.to_vec(),
    };
    let chunks = line.as_bytes().chunks(4093).map(output);
    let records = [header()]
        .into_iter()
        .chain(chunks)
        .chain([output(b"\nshort\n")]);
    let text = String::from_utf8(lines_of(records)).expect("UTF-8");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| {
            assert!(line.chars().count() < LIMIT);
            serde_json::from_str(&line[2..]).expect("JSON")
        })
        .collect();
    let pieces: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line["msg"].as_str().expect("text"))
        .collect();
    assert_eq!(pieces.last(), Some(&"short"));
    assert_eq!(pieces[..pieces.len() - 1].concat(), line);
    assert!(pieces.len() < 30, "{} pieces", pieces.len());
}

#[test]
fn a_secret_is_hidden_wherever_a_long_line_is_cut() {
    let secret = "s3cret-pässword";
    for before in (97_982..98_003).chain(195_984..196_002) {
        let line = format!("{}{secret}{}\n", "x".repeat(before), "y".repeat(2_000));
        let text = lines_of([
            header(),
            Record::Secrets(vec![secret.to_owned()]),
            Record::Output {
                connection: ConnectionId(0),
                epoch: Epoch(0),
                bytes: line.into_bytes(),
            },
        ]);
        let text = String::from_utf8(text).expect("UTF-8");
        let shown: String = text
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str::<Value>(&line[2..]).expect("JSON"))
            .map(|line| line["msg"].as_str().expect("text").to_owned())
            .collect();
        let expected = format!("{}[MASKED]{}", "x".repeat(before), "y".repeat(2_000));
        assert!(shown == expected, "a secret after {before} characters");
    }
}

/// Bytes that a console may print, most of them of the difficult kinds.
fn console() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => "[ -~]{0,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => prop::sample::select(vec![
            &b"\r\n"[..], b"\n", b"\r\r\n", b"\r", b"\x1b[0m", b"s3cr", b"et", b"s3\x1bcret",
            b"s3cret", b"\xe2\x80", b"\xa8", b"\xc2", b"\x85", b"\"\\",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_log_does_not_depend_on_chunks(
        bytes in console(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        secrets in prop::option::of(Just(vec!["s3cret".to_owned()])),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let log = |chunks: &[&[u8]]| {
            let (mut log, mut out) = (LavaLog::new(), Vec::new());
            let connection = ConnectionId(0);
            let output = chunks.iter().map(|bytes| Record::Output {
                connection, epoch: Epoch(0), bytes: bytes.to_vec(),
            });
            let first = [header(), Record::Secrets(secrets.clone().unwrap_or_default())];
            for record in first.into_iter().chain(output).chain([Record::FlushLine { connection }]) {
                log.push(&Entry { at_micros: 0, record }, &mut out);
            }
            assert_eq!(log.bytes(), out.len() as u64);
            out
        };
        let whole = log(&[&bytes]);
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let text = String::from_utf8(whole.clone()).expect("the log is UTF-8");
        prop_assert_eq!(&text, &String::from_utf8(log(&chunks)).expect("the log is UTF-8"));
        let breaks: &[char] = &['\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}', '\r', '\u{1b}', '\0'];
        prop_assert!(!text.contains(breaks), "{text:?}");
        if secrets.is_some() {
            prop_assert!(!text.contains("s3cret"), "{text:?}");
        }
        let mut shown = String::new();
        for line in text.lines().skip(1) {
            let value: Value = serde_json::from_str(&line[2..]).expect("a line is JSON");
            prop_assert_eq!(&value["lvl"], "target");
            shown += value["msg"].as_str().expect("a text");
        }
        if secrets.is_none() {
            // Nothing is lost but line breaks and escape characters.
            let visible: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0x1b).collect();
            let text = |text: &str| text.replace(['\r', '\n'], "");
            let all = String::from_utf8_lossy(&visible);
            let replaced = |text: &str| text.matches('\u{fffd}').count();
            if replaced(&all) == 0 {
                prop_assert_eq!(text(&shown), text(&all));
            }
        }
    }
}
