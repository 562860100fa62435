//! What the server says of a job, beside what was written here.

use crate::{
    server::{Server, command},
    worker::Report,
};
use integration::root;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::Path};

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) cases: usize,
    pub(crate) measurements: usize,
    pub(crate) sets: usize,
    pub(crate) export_rows: usize,
}

/// Everything that the server shows of a job. Its web pages know no API tokens: for a job that only
/// its submitter may see, what they show is left out. The files here keep results as they were
/// reported, the log what a server can keep of them.
pub(crate) fn all(
    server: &Server,
    report: &Report,
    is_public: bool,
    is_within_limits: bool,
) -> Compared {
    stored_log(server, report);
    if is_public {
        read_log(server, report);
        let path = format!("/scheduler/job/{}/description", report.id);
        let ours = fs_err::read_to_string(report.directory.join("description.yaml")).unwrap();
        assert_eq!(server.get(&path), ours);
    }
    let mut compared = Compared::default();
    cases(server, report, &mut compared);
    if !is_within_limits {
        return compared;
    }
    summary(server, report);
    for (form, name) in [
        ("csv", "results.csv"),
        ("yaml", "results.yaml"),
        ("junit", "junit.xml"),
        ("tap13", "results.tap"),
    ] {
        compared.export_rows += export(server, report, form, name);
    }
    compared
}

/// The log is kept byte for byte, but for events, which the server publishes and writes anew as
/// `debug`.
fn stored_log(server: &Server, report: &Report) {
    let stored = server.get(&format!("/api/v0.2/jobs/{}/logs/", report.id));
    assert!(stored.ends_with('\n'));
    assert_eq!(stored.lines().count(), report.lines.len(), "stored lines");
    for (stored, line) in stored.lines().zip(&report.lines) {
        if line.contains("\"lvl\": \"event\"") {
            let [stored, line] = [stored, line].map(|text| {
                let record = yaml::load(text, &yaml::Limits::default()).unwrap();
                let record = &record.as_sequence().unwrap()[0];
                ["dt", "msg"].map(|key| record.get(key).unwrap().as_str().unwrap().to_owned())
            });
            assert_eq!(stored, line, "stored event");
        } else {
            assert_eq!(stored, line, "stored line");
        }
    }
}

/// The server's YAML reader finds in every line what is meant.
fn read_log(server: &Server, report: &Report) {
    let path = format!(
        "/scheduler/job/{}/log_pipeline_incremental?line=0",
        report.id
    );
    let read: Vec<Value> = serde_json::from_str(&server.get(&path)).unwrap();
    assert_eq!(read.len(), report.lines.len(), "lines the server reads");
    for (mut read, line) in read.into_iter().zip(&report.lines) {
        let mut ours: Value = serde_json::from_str(line.strip_prefix("- ").unwrap()).unwrap();
        if ours["lvl"] == "event" {
            ours["lvl"] = json!("debug");
        }
        if let Some(result) = read["msg"].as_object_mut() {
            // It links results with its records of them.
            assert!(result.remove("case_id").is_some(), "no record of {line}");
        }
        assert_eq!(read, ours);
    }
}

/// Every result, with all that belongs to it.
fn cases(server: &Server, report: &Report, compared: &mut Compared) {
    let job = format!("jobs/{}", report.id);
    let suites = server.rest(&format!("{job}/suites/"));
    let suites = suites.as_array().unwrap().iter();
    let suites: BTreeMap<u64, String> = suites
        .map(|suite| (suite["id"].as_u64().unwrap(), text(&suite["name"])))
        .collect();
    let mut theirs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for case in server.rest(&format!("{job}/tests/")).as_array().unwrap() {
        let suite = &suites[&case["suite"].as_u64().unwrap()];
        theirs.entry(suite).or_default().push(their_case(case));
    }
    let ours = results(report);
    let mut names = 0;
    for suite in ours["suites"].as_array().unwrap() {
        let name = suite["name"].as_str().unwrap();
        let cases = suite["cases"].as_array().unwrap().iter();
        let cases: Vec<Value> = cases.map(|case| our_case(name, case)).collect();
        assert_eq!(theirs.get(name), Some(&cases), "suite {name}");
        let with = |field: &str| cases.iter().filter(|case| !case[field].is_null()).count();
        compared.cases += cases.len();
        compared.measurements += with("measurement");
        compared.sets += with("set");
        names += 1;
    }
    assert_eq!(suites.len(), names, "{suites:?}");
}

/// A case of the REST API, as [`our_case`] shows ours.
fn their_case(case: &Value) -> Value {
    let metadata = yaml::load(&text(&case["metadata"]), &yaml::Limits::default());
    let metadata = metadata.expect("the server's own YAML is good");
    let field = |name: &str| metadata.get(name).and_then(yaml::Node::as_str);
    assert_eq!(case["test_set"].is_null(), field("set").is_none());
    let measurement = case["measurement"].as_str().map(number);
    json!({
        "name": case["name"],
        "result": case["result"],
        "measurement": measurement,
        "unit": case["unit"],
        "set": field("set"),
        "reference": field("reference"),
        "level": field("level"),
        "start": case["start_log_line"],
        "end": case["end_log_line"],
        "error_type": field("error_type"),
    })
}

fn our_case(suite: &str, case: &Value) -> Value {
    // The server takes durations of its own suite for measurements.
    let (measurement, unit) = match (suite, &case["duration"]) {
        ("lava", Value::Number(seconds)) => (seconds.as_f64(), "seconds"),
        _ => (
            case["measurement"].as_f64(),
            case["units"].as_str().unwrap_or_default(),
        ),
    };
    let kept = |value: &Value, characters: usize| {
        let text = value.as_str()?.replace('\0', "\u{fffd}");
        Some(text.chars().take(characters).collect::<String>())
    };
    let measurement = measurement.filter(|number| number.abs() < 1e20);
    json!({
        "name": kept(&case["name"], usize::MAX),
        "result": case["result"],
        "measurement": measurement.map(ten_places),
        "unit": unit.replace('\0', "\u{fffd}"),
        "set": kept(&case["set"], 200),
        "reference": case["reference"],
        "level": case["level"],
        "start": case["log"]["start"],
        "end": case["log"]["end"],
        "error_type": case["fields"]["error_type"],
    })
}

/// What LAVA's own client prints.
fn summary(server: &Server, report: &Report) {
    let printed = server.lavacli(&["results", &report.id.to_string()]);
    let mut printed: Vec<&str> = printed.lines().skip(1).collect();
    let results = results(report);
    let mut ours = Vec::new();
    for suite in results["suites"].as_array().unwrap() {
        for case in suite["cases"].as_array().unwrap() {
            let [suite, case, result] = [&suite["name"], &case["name"], &case["result"]]
                .map(|value| value.as_str().unwrap());
            ours.push(format!("* {suite}.{case} [{result}]"));
        }
    }
    ours.sort_unstable();
    printed.sort_unstable();
    assert_eq!(printed, ours);
}

/// The same export of both, read as its users read it. Gives the number of rows.
fn export(server: &Server, report: &Report, form: &str, name: &str) -> usize {
    let path = format!("/api/v0.2/jobs/{}/{form}/", report.id);
    let theirs = report.directory.join(format!("server-{name}"));
    fs_err::write(&theirs, server.get(&path)).unwrap();
    let theirs = read_export(form, &theirs);
    let ours = read_export(form, &report.directory.join(name));
    assert_eq!(theirs.len(), ours.len(), "rows of {name}");
    for (their_row, our_row) in theirs.iter().zip(&ours) {
        assert_eq!(comparable(their_row), comparable(our_row), "{name}");
    }
    ours.len()
}

fn read_export(form: &str, file: &Path) -> Vec<Value> {
    let output = command(Path::new("/usr/bin/python3"))
        .arg(root().join("tests/interop/read-export"))
        .arg(form.trim_end_matches("13"))
        .arg(file)
        .output()
        .expect("python3 can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", file.display());
    let mut rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    // LAVA 2023.01 orders by suite, later versions and ours by number.
    rows.sort_by_key(|row| {
        let id = row["id"].as_str().map(|id| id.parse::<u64>().unwrap());
        (text(&row["suite"]), id)
    });
    rows
}

/// A row without what each side has of its own.
fn comparable(row: &Value) -> Value {
    let Value::Object(row) = row else {
        return row.clone();
    };
    let mut row = row.clone();
    // Numbers of its database; and it has the time when a result came for the time of the result.
    for own in ["id", "url", "logged"] {
        row.remove(own);
    }
    // One writes `0.01` where the other writes `0.0100000000`.
    for name in ["measurement", "time"] {
        if let Some(value) = row.get_mut(name)
            && let Some(text) = value.as_str().filter(|text| text.parse::<f64>().is_ok())
        {
            *value = json!(number(text));
        }
    }
    if let Some(Value::Array(extra)) = row.get_mut("metadata").and_then(|map| map.get_mut("extra"))
    {
        let pairs = extra.iter().filter_map(Value::as_object).flatten();
        let pairs: Map<String, Value> = pairs
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        row["metadata"]["extra"] = Value::Object(pairs);
    }
    if let Some(Value::Array(inside)) = row.get_mut("inside") {
        // Beyond LAVA: why a result is unknown, and the fault of the job.
        inside.retain(|element| element[0] != "system-out");
        if row["classname"] == "lava" {
            row["inside"] = json!(row["inside"].as_array().map(Vec::len));
        }
    }
    Value::Object(row)
}

fn results(report: &Report) -> Value {
    let text = fs_err::read_to_string(report.directory.join("results.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A decimal number as near as the server keeps it.
fn number(text: &str) -> f64 {
    ten_places(text.parse().expect("a number"))
}

fn ten_places(number: f64) -> f64 {
    // A float has 15 to 17 digits, of which the server's decimal keeps all: compare 15.
    format!("{number:.14e}")
        .parse::<f64>()
        .map_or(number, |near| format!("{near:.10}").parse().unwrap_or(near))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
