//! `results.yaml`, with the keys of LAVA 2026.07, and `result.yaml`, the record of the job.

use super::{
    Export, JournalError, Output,
    spool::{Case, Spool},
};
use crate::journal::{text, yaml_text};
use serde_json::{Value, json};

/// What LAVA's YAML and CSV exports say of a case, as texts.
pub(super) struct Columns {
    pub(super) job: String,
    pub(super) suite: String,
    /// A decimal number, or the word `None`, which clients of LAVA test for.
    pub(super) measurement: String,
    pub(super) unit: String,
    pub(super) url: String,
    pub(super) id: String,
    pub(super) logged: String,
    /// Empty when there is none or when it is the first, as in LAVA.
    pub(super) start_line: String,
    /// As `start_line`.
    pub(super) end_line: String,
}

impl Columns {
    pub(super) fn new(export: &mut Export<'_>, number: u64, case: &Case) -> Self {
        let suite = &export.summary.suites[case.suite].name;
        // LAVA stores what an action took as its measurement.
        let (measurement, unit) = match case.duration() {
            Some(seconds) if suite == "lava" => (Some(seconds), "seconds"),
            _ => (case.measurement(), case.text("units")),
        };
        let line = |number: u64| match number {
            0 => String::new(),
            _ => number.to_string(),
        };
        let header = export.summary.header.as_ref();
        Self {
            job: header.map_or_else(String::new, |header| header.job_id.to_string()),
            suite: suite.clone(),
            measurement: measurement.map_or_else(|| "None".to_owned(), text::decimal),
            unit: unit.to_owned(),
            url: format!("/results/testcase/{number}"),
            id: number.to_string(),
            logged: export.stamper.python(case.at_micros),
            start_line: case
                .lines
                .map_or_else(String::new, |lines| line(lines.start.number)),
            end_line: case
                .lines
                .map_or_else(String::new, |lines| line(lines.end.number)),
        }
    }
}

/// The record, with `extra` as a list of maps with one key each, as LAVA's exports have it.
pub(super) fn metadata(case: &Case) -> Value {
    let mut record = case.record.clone();
    if let Some(Value::Object(extra)) = record.get_mut("extra") {
        let items = extra
            .iter()
            .map(|(key, value)| json!({ key: value }))
            .collect();
        record.insert("extra".into(), Value::Array(items));
    }
    Value::Object(record)
}

pub(super) fn write(
    export: &mut Export<'_>,
    spool: &mut Spool,
    output: &mut Output,
) -> Result<(), JournalError> {
    let mut is_empty = true;
    spool.each(|number, case| {
        is_empty = false;
        let columns = Columns::new(export, number, &case);
        let item = json!([{
            "name": case.name(),
            "job": columns.job,
            "suite": columns.suite,
            "result": case.result(),
            "measurement": columns.measurement,
            "unit": columns.unit,
            "level": case.text("level"),
            "url": columns.url,
            "id": columns.id,
            "logged": columns.logged,
            "log_start_line": columns.start_line,
            "log_end_line": columns.end_line,
            "metadata": metadata(&case),
        }]);
        // A list is its items one after the other.
        output.text(&yaml_text::dump(&item));
        output.relieve()
    })?;
    if is_empty {
        output.text("[]\n");
    }
    Ok(())
}

/// The last record of suite `lava`: the result of the job.
pub(super) fn write_job(
    _: &mut Export<'_>,
    spool: &mut Spool,
    output: &mut Output,
) -> Result<(), JournalError> {
    let mut job = None;
    spool.each(|_, case| {
        if case.name() == "job" && case.text("definition") == "lava" {
            job = Some(case.record);
        }
        Ok(())
    })?;
    if let Some(record) = job {
        output.text(&yaml_text::dump(&Value::Object(record)));
    }
    Ok(())
}
