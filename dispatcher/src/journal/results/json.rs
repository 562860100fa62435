//! `results.json`, our own format: `docs/results.md` describes it.

use super::{
    Action, Export, Failure, JournalError, Output, State, Suite, Totals,
    spool::{Case, Spool},
};
use crate::journal::text;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Version of the format. It changes only when something is taken away or changes its meaning.
pub(super) const FORMAT: u32 = 1;

/// Kernel messages beyond this many are only in the suite `lava`.
const KERNEL_MESSAGES: usize = 1000;

/// Fields of LAVA's record that have a place of their own.
const KNOWN: [&str; 11] = [
    "definition",
    "case",
    "result",
    "namespace",
    "level",
    "duration",
    "set",
    "measurement",
    "units",
    "reference",
    "extra",
];

pub(super) fn write(
    export: &mut Export<'_>,
    spool: &mut Spool,
    output: &mut Output,
) -> Result<(), JournalError> {
    let summary = export.summary;
    output.text("{\n");
    for (name, value) in head(export) {
        member(output, &name, &value);
        output.text(",\n");
    }
    output.text("  \"suites\": [");
    for (index, suite) in summary.suites.iter().enumerate() {
        separate(output, index == 0, "    ");
        write_suite(export, spool, (index, suite), output)?;
    }
    output.text("\n  ],\n  \"actions\": [");
    for (index, action) in summary.actions.iter().enumerate() {
        separate(output, index == 0, "    ");
        text::push_value(output.buffer(), &action_value(export, action));
    }
    output.text("\n  ],\n  \"kernel_messages\": [");
    write_kernel_messages(spool, output)?;
    output.text("\n  ],\n  \"power\": [");
    for (index, operation) in summary.power.iter().enumerate() {
        separate(output, index == 0, "    ");
        let value = json!({
            "time": export.stamper.iso(operation.at_micros),
            "operation": operation.operation,
            "ok": operation.ok,
        });
        text::push_value(output.buffer(), &value);
    }
    output.text("\n  ]\n}\n");
    Ok(())
}

fn head(export: &mut Export<'_>) -> Map<String, Value> {
    let summary = export.summary;
    let state = summary.state();
    let end = export.end_iso();
    let header = summary.header.as_ref();
    let value = json!({
        "format": FORMAT,
        "generator": {
            "name": "pumice",
            "version": header.map(|header| header.version.as_str()),
        },
        "job": {
            "id": header.map(|header| header.job_id.as_str()),
            "name": header.map(|header| header.job_name.as_str()),
        },
        "device": {
            "name": header.map(|header| header.device.as_str()).filter(|name| !name.is_empty()),
            "type": header.map(|header| header.device_type.as_str()),
        },
        "started": export.stamper.iso(0),
        "ended": (state != State::Unfinished).then_some(end),
        "duration": seconds(Duration::from_micros(summary.last_micros)),
        "verdict": {
            "state": state.as_str(),
            "fault": summary.failure.as_ref().map(fault_value),
        },
        "tests": totals_value(summary.tests()),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn fault_value(failure: &Failure) -> Value {
    let fault = &failure.fault;
    json!({
        "class": fault.class,
        "error_type": fault.error_type(),
        "message": fault.message,
        "hint": fault.hint,
        "waited_for": fault.waited_for,
        "timed_out_after": fault.timed_out_after.map(seconds),
        "command": fault.command,
        "diagnosis": fault.diagnosis,
        "action": failure.action.as_ref().map(|(level, name)| json!({
            "level": level,
            "name": name,
        })),
        "console": fault.console,
    })
}

fn write_suite(
    export: &mut Export<'_>,
    spool: &mut Spool,
    (index, suite): (usize, &Suite),
    output: &mut Output,
) -> Result<(), JournalError> {
    output.text("{\"name\": ");
    text::push_string(output.buffer(), &suite.name);
    output.text(", \"totals\": ");
    text::push_value(output.buffer(), &totals_value(suite.totals));
    output.text(", \"cases\": [");
    let mut is_first = true;
    spool.each(|_, case| {
        if case.suite == index {
            separate(output, is_first, "      ");
            is_first = false;
            text::push_map(output.buffer(), &case_value(export, &case));
        }
        output.relieve()
    })?;
    output.text("\n    ]}");
    Ok(())
}

/// What a case has not is left out.
fn case_value(export: &mut Export<'_>, case: &Case) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            map.insert(name.into(), value);
        }
    };
    let record = |name: &str| case.record.get(name).cloned();
    put("name", record("case"));
    put("result", record("result"));
    put("time", Some(export.stamper.iso(case.at_micros).into()));
    for name in [
        "namespace",
        "level",
        "set",
        "measurement",
        "units",
        "reference",
    ] {
        put(name, record(name));
    }
    put("duration", case.duration().map(Value::from));
    put(
        "log",
        case.lines
            .map(|lines| json!({"start": lines.start.number, "end": lines.end.number})),
    );
    put("reason", case.reason.clone().map(Value::from));
    put("extra", record("extra"));
    let others = case
        .record
        .iter()
        .filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let others: Map<String, Value> = others
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    put(
        "fields",
        (!others.is_empty()).then_some(Value::Object(others)),
    );
    map
}

fn action_value(export: &mut Export<'_>, action: &Action) -> Value {
    json!({
        "level": action.level.as_str(),
        "name": action.name,
        "namespace": action.namespace.as_str(),
        "result": match action.ok {
            Some(true) => "pass",
            Some(false) => "fail",
            None => "unknown",
        },
        "started": export.stamper.iso(action.started_micros),
        "duration": seconds(action.duration),
        "timeout": seconds(action.timeout),
        "runs": action.runs,
        "log": {"start": action.lines.0, "end": action.lines.1},
    })
}

/// What boots complained about, from the results that report it.
fn write_kernel_messages(spool: &mut Spool, output: &mut Output) -> Result<(), JournalError> {
    let mut count = 0;
    spool.each(|_, case| {
        let is_report = case.name() == "kernel-messages" && case.text("definition") == "lava";
        let Some(Value::Object(extra)) = case.record.get("extra").filter(|_| is_report) else {
            return Ok(());
        };
        let messages = extra.get("extra").and_then(Value::as_array);
        for message in messages.into_iter().flatten() {
            if count < KERNEL_MESSAGES {
                separate(output, count == 0, "    ");
                let value = json!({
                    "kind": message.get("kind"),
                    "message": message.get("message"),
                    "level": case.text("level"),
                });
                text::push_value(output.buffer(), &value);
                count += 1;
            }
        }
        output.relieve()
    })
}

fn totals_value(totals: Totals) -> Value {
    json!({
        "pass": totals.pass,
        "fail": totals.fail,
        "skip": totals.skip,
        "unknown": totals.unknown,
    })
}

/// Seconds, as exact as a microsecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn member(output: &mut Output, name: &str, value: &Value) {
    output.text("  ");
    text::push_string(output.buffer(), name);
    output.text(": ");
    text::push_value(output.buffer(), value);
}

fn separate(output: &mut Output, is_first: bool, indent: &str) {
    output.text(if is_first { "\n" } else { ",\n" });
    output.text(indent);
}
