//! `--format plain`: one line per event.

use dispatcher::journal::{Observer, Summary};
use std::{io::Write, path::Path};
use wire::journal::{Entry, LogLevel, Record};

#[derive(Default)]
pub(super) struct Plain;

impl Observer for Plain {
    fn entry(&mut self, entry: &Entry) {
        let mut out = std::io::stdout().lock();
        let seconds = entry.at_micros as f64 / 1e6;
        let text = match &entry.record {
            Record::ActionStart { level, name, .. } => format!("{level} {name}"),
            Record::Output { bytes, .. } => {
                let _ = out.write_all(bytes);
                return;
            }
            Record::Log {
                level: LogLevel::Debug | LogLevel::Input,
                ..
            } => return,
            Record::Log { message, .. } => message.clone(),
            Record::Result(result) => {
                format!("{} {} {}", result.definition, result.case, result.result)
            }
            Record::Fault { fault, .. } => format!("{}: {}", fault.error_type(), fault.message),
            _ => return,
        };
        let _ = writeln!(out, "[{seconds:9.3}] {text}");
    }
}

pub(super) fn conclude(summary: &Summary, output: &Path) {
    let mut out = std::io::stdout().lock();
    for suite in &summary.suites {
        let totals = suite.totals;
        let _ = writeln!(
            out,
            "{:<24} {:>5} pass {:>5} fail {:>5} skip {:>5} unknown",
            suite.name, totals.pass, totals.fail, totals.skip, totals.unknown
        );
    }
    let _ = writeln!(out, "results are in {}", output.display());
}
