//! The views against what LAVA 2026.07 recorded: its logs are taken apart into records, and the
//! views on these must be the same logs and exports.

mod support;

use dispatcher::journal::{LavaLog, Views};
use job::{CaseResult, Fault, JobId, Level, Namespace, TestResult};
use reference_data::reference_data;
use serde_json::{Map, Value};
use std::{path::Path, time::Duration};
use wire::journal::{ConnectionId, Entry, Epoch, FORMAT, Header, LogLevel, Record, Signal};

/// A line of LAVA's log as JSON: LAVA writes numbers as `! "12"` and has escapes of its own.
fn parse_line(line: &str) -> Value {
    let mut json = line
        .strip_prefix("- ")
        .expect("a line is an item")
        .to_owned();
    while let Some(start) = json.find("! \"") {
        let end = start + 3 + json[start + 3..].find('"').expect("a closing quote");
        json = format!(
            "{}{}{}",
            &json[..start],
            &json[start + 3..end],
            &json[end + 1..]
        );
    }
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn micros(dt: &str) -> u64 {
    let time: jiff::Timestamp = dt.parse().expect("a time");
    u64::try_from(time.as_microsecond()).expect("after 1970")
}

fn clock(text: &str) -> Duration {
    let parts: Vec<u64> = text
        .split(':')
        .map(|part| part.parse().expect("a number"))
        .collect();
    Duration::from_secs(parts[0] * 3600 + parts[1] * 60 + parts[2])
}

/// `start: 1.1 name (timeout 00:03:00) [common]`, without the first word.
fn action(text: &str, word: &str) -> Option<(Level, String, Duration, Namespace)> {
    let (head, namespace) = text.strip_suffix(']')?.rsplit_once(" [")?;
    let (head, time) = head.strip_suffix(')')?.rsplit_once(&format!(" ({word} "))?;
    let (level, name) = head.split_once(' ')?;
    Some((
        Level::new(level),
        name.to_owned(),
        clock(time),
        Namespace::new(namespace),
    ))
}

fn case_result(msg: &Map<String, Value>) -> CaseResult {
    let text = |name: &str| msg.get(name).and_then(Value::as_str).map(str::to_owned);
    let fields = ["uuid", "repository", "path", "revision", "commit_id"];
    CaseResult {
        definition: text("definition").expect("a definition"),
        case: text("case").expect("a case"),
        result: TestResult::parse(&text("result").expect("a result")).expect("one of four"),
        namespace: text("namespace").map(Namespace::new),
        level: text("level").map(Level::new),
        duration: text("duration").map(|text| {
            Duration::try_from_secs_f64(text.parse().expect("seconds")).expect("positive")
        }),
        set: text("set"),
        measurement: msg.get("measurement").and_then(Value::as_f64),
        units: text("units"),
        reference: text("reference"),
        has_lines: msg.contains_key("starttc"),
        fields: msg
            .iter()
            .filter(|(name, _)| fields.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        extra: msg
            .get("extra")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        reason: None,
    }
}

/// What must have been recorded for LAVA to write this line. Some lines belong to one record.
fn records(line: &Value) -> Vec<Record> {
    let level = line["lvl"].as_str().expect("a level");
    let connection = ConnectionId(0);
    if let Some(msg) = line["msg"].as_object() {
        if msg["case"] != "job" {
            return vec![Record::Result(case_result(msg))];
        }
        let mut records = Vec::new();
        if let Some(message) = msg.get("error_msg") {
            assert_eq!(msg["error_type"], "Job");
            records.push(Record::Fault {
                level: None,
                action: None,
                fault: Fault::job(message.as_str().expect("a text")),
            });
        }
        records.push(Record::End {
            ok: msg["result"] == "pass",
        });
        return records;
    }
    let text = line["msg"].as_str().expect("a text");
    if let Some((level, name, timeout, namespace)) = text
        .strip_prefix("start: ")
        .and_then(|text| action(text, "timeout"))
    {
        return vec![Record::ActionStart {
            level,
            name,
            namespace,
            timeout,
        }];
    }
    if let Some((level, name, duration, namespace)) = text
        .strip_prefix("end: ")
        .and_then(|text| action(text, "duration"))
    {
        return vec![Record::ActionEnd {
            level,
            name,
            namespace,
            duration,
            ok: true,
        }];
    }
    if let Some((name, arguments)) = text
        .strip_prefix("Received signal: <")
        .and_then(|text| text.split_once('>'))
    {
        return vec![Record::Signal(Signal {
            name: name.into(),
            arguments: arguments.trim_start().into(),
            repaired: false,
        })];
    }
    if let Some((name, reason)) = text.split_once(" failed: 1 of 1 attempts. ") {
        return vec![Record::ActionRetry {
            level: Level::new("1.1"),
            name: name.into(),
            attempt: 1,
            attempts: 1,
            reason: reason.trim_matches('\'').into(),
        }];
    }
    // The record of the job makes these two.
    if text == "Job finished correctly" || text == "JobError: Your job cannot terminate cleanly." {
        return Vec::new();
    }
    let bytes = format!("{text}\r\r\n").into_bytes();
    let output = Record::Output {
        connection,
        epoch: Epoch(1),
        bytes,
    };
    if level == "feedback" {
        let feedback = |on| Record::Feedback { connection, on };
        return vec![feedback(true), output, feedback(false)];
    }
    vec![match level {
        "target" => output,
        "input" => Record::Input {
            connection,
            bytes: format!("{text}\n").into_bytes(),
        },
        _ => Record::Log {
            level: match level {
                "exception" => LogLevel::Exception,
                "error" => LogLevel::Error,
                "warning" => LogLevel::Warning,
                "info" => LogLevel::Info,
                "debug" => LogLevel::Debug,
                other => panic!("level {other}"),
            },
            message: text.into(),
        },
    }]
}

/// Takes a log apart. Its first line, which tells LAVA's version, becomes the header.
fn entries(lines: &[Value]) -> Vec<Entry> {
    let dt = |line: &Value| micros(line["dt"].as_str().expect("a time"));
    let start = dt(&lines[0]);
    let header = Record::Header(Header {
        format: FORMAT,
        version: "0.1.0".into(),
        job_id: JobId::new("1"),
        job_name: "qemu".into(),
        device: "qemu-tcg01".into(),
        device_type: "qemu".into(),
        started_unix_micros: start,
    });
    let opened = Record::ConnectionOpened {
        connection: ConnectionId(0),
        namespace: Namespace::common(),
        name: "qemu-system-x86_64".into(),
    };
    let first = [header, opened].map(|record| Entry {
        at_micros: 0,
        record,
    });
    let mut entries = Vec::from(first);
    for line in &lines[1..] {
        let at_micros = dt(line) - start;
        entries.extend(
            records(line)
                .into_iter()
                .map(|record| Entry { at_micros, record }),
        );
    }
    entries
}

fn golden(path: &str) -> Option<Vec<Value>> {
    let text = fs_err::read_to_string(reference_data(path)?).expect("the log is readable");
    let mut lines: Vec<Value> = text.lines().map(parse_line).collect();
    for line in &mut lines {
        // LAVA logs the patterns of the kernel as a list, once; our messages are texts.
        if line["msg"].is_array() {
            line["msg"] = Value::String(line["msg"].to_string());
        }
    }
    Some(lines)
}

fn assert_same_log(path: &str) {
    let Some(expected) = golden(path) else { return };
    let (mut log, mut out) = (LavaLog::new(), Vec::new());
    for entry in entries(&expected) {
        log.push(&entry, &mut out);
    }
    let out = String::from_utf8(out).expect("the log is UTF-8");
    let lines: Vec<Value> = out.lines().map(parse_line).collect();
    // The two last lines were recorded a little apart.
    let last = expected.len() - 2;
    for (number, (line, expected)) in lines.iter().zip(&expected).enumerate().skip(1) {
        let mut expected = expected.clone();
        if number == last {
            expected["dt"] = line["dt"].clone();
        }
        // LAVA forgets the namespace of what was left when it closes a connection.
        if expected["lvl"] == "feedback" && expected.get("ns").is_none() {
            expected["ns"] = "common".into();
        }
        // As texts: the order of keys counts.
        assert_eq!(
            line.to_string(),
            expected.to_string(),
            "{path}, line {number}"
        );
    }
    assert_eq!(lines.len(), expected.len(), "{path}");
    assert_eq!(log.lines(), expected.len() as u64);
    assert_eq!(log.bytes(), out.len() as u64);
}

#[test]
fn a_complete_job_has_the_log_of_lava() {
    assert_same_log("golden/peer/qemu/logs.yaml");
    assert_same_log("golden/peer/uboot/logs.yaml");
    assert_same_log("golden/peer/server/job1/output.yaml");
}

#[test]
fn a_failed_job_has_the_log_of_lava() {
    assert_same_log("golden/peer/uboot/login-timeout/logs.yaml");
    assert_same_log("golden/peer/server/job8958/rest-job-logs.yaml");
}

/// Takes out what LAVA's server adds: its own time of arrival.
fn without_times(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("2026-11-20") {
        kept += &rest[..at];
        kept += "TIME";
        rest = rest[at..].get(32..).unwrap_or_default();
    }
    kept + rest
}

fn assert_same_export(ours: &Path, golden: &str, normalise: impl Fn(&str) -> String) {
    let Some(golden) = reference_data(golden) else {
        return;
    };
    let read = |path: &Path| fs_err::read_to_string(path).expect("the export is readable");
    let (ours, theirs) = (normalise(&read(ours)), normalise(&read(&golden)));
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {number} of {}", golden.display());
    }
    assert_eq!(
        ours.lines().count(),
        theirs.lines().count(),
        "{}",
        golden.display()
    );
}

#[test]
fn exports_are_those_of_lava() {
    let job = "golden/peer/server/job1";
    let Some(lines) = golden(&format!("{job}/output.yaml")) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut views = Views::create(directory.path()).expect("views");
    for entry in entries(&lines) {
        views.entry(&entry).expect("a view takes an entry");
    }
    views.finish().expect("exports");
    let ours = |name: &str| directory.path().join(name);
    let exact = |text: &str| without_times(text);
    assert_same_export(
        &ours("results.csv"),
        &format!("{job}/rest-job-csv.csv"),
        exact,
    );
    assert_same_export(
        &ours("results.yaml"),
        &format!("{job}/rest-job-yaml.yaml"),
        exact,
    );
    // The excerpts hold times of the log, which are the same, but numbers are written as numbers.
    let numbers = |text: &str| without_times(text).replace("7.550000000000001", "7.55");
    assert_same_export(
        &ours("junit.xml"),
        &format!("{job}/rest-job-junit.xml"),
        numbers,
    );
    assert_same_export(
        &ours("results.tap"),
        &format!("{job}/rest-job-tap13.tap"),
        exact,
    );
}

fn json(value: &yaml::Value) -> Value {
    match value {
        yaml::Value::String(text) => text.as_str().into(),
        yaml::Value::Int(yaml::Int::Small(number)) => (*number).into(),
        yaml::Value::Float(number) => (*number).into(),
        yaml::Value::Sequence(items) => items.iter().map(|item| json(&item.value)).collect(),
        yaml::Value::Mapping(map) => {
            let key = |node: &yaml::Node| node.as_str().expect("a text").to_owned();
            map.iter()
                .map(|(name, item)| (key(name), json(&item.value)))
                .collect()
        }
        other => panic!("unexpected {}", other.kind()),
    }
}

#[test]
fn the_description_and_the_result_are_those_of_lava() {
    for job in [
        "golden/peer/qemu",
        "golden/peer/uboot",
        "golden/peer/uboot/login-timeout",
    ] {
        let Some(lines) = golden(&format!("{job}/logs.yaml")) else {
            return;
        };
        let Some(plan) = reference_data(&format!("{job}/description.yaml")) else {
            return;
        };
        let plan = fs_err::read_to_string(plan).expect("the plan is readable");
        let plan = yaml::load(&plan, &yaml::Limits::default()).expect("the plan is YAML");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut views = Views::create(directory.path()).expect("views");
        let record = Record::Description(json(&plan.value));
        let description = Entry {
            at_micros: 0,
            record,
        };
        for entry in entries(&lines).iter().chain([&description]) {
            views.entry(entry).expect("a view takes an entry");
        }
        views.finish().expect("exports");
        for name in ["description.yaml", "result.yaml"] {
            let ours = directory.path().join(name);
            assert_same_export(&ours, &format!("{job}/{name}"), str::to_owned);
        }
    }
}
