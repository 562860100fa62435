//! `results.tap`: TAP 13 as LAVA 2026.07 renders it.

use super::{
    Export, JournalError, Output,
    spool::{Case, Spool},
};
use std::io;

pub(super) fn write(
    export: &mut Export<'_>,
    spool: &mut Spool,
    output: &mut Output,
) -> Result<(), JournalError> {
    let summary = export.summary;
    let count: u64 = summary.suites.iter().map(|suite| suite.totals.all()).sum();
    output.text(&format!("TAP version 13\n1..{count}\n"));
    let mut number = 0;
    for (index, suite) in summary.suites.iter().enumerate() {
        output.text(&format!("# TAP results for {}\n", one_line(&suite.name)));
        spool.each(|_, case| {
            if case.suite == index {
                number += 1;
                test(export, number, &case, output)?;
            }
            output.relieve()
        })?;
    }
    Ok(())
}

fn test(export: &mut Export<'_>, number: u64, case: &Case, output: &mut Output) -> io::Result<()> {
    let name = one_line(case.name());
    match case.result() {
        "pass" => output.text(&format!("ok {number} {name}\n")),
        "skip" => output.text(&format!("ok {number} {name} # SKIP test skipped\n")),
        "unknown" => output.text(&format!("not ok {number} {name} # TODO unknown result\n")),
        _ => {
            output.text(&format!("not ok {number} {name}\n"));
            if let Some(lines) = case.lines {
                output.text(" ---\n");
                for line in export.excerpts.read(lines)?.lines() {
                    output.text(&format!(" {line}\n"));
                }
                output.text(" ...\n");
            }
        }
    }
    Ok(())
}

/// A name must not begin a directive or a line.
fn one_line(name: &str) -> String {
    let is_break =
        |character: char| character.is_control() || "\u{2028}\u{2029}".contains(character);
    name.replace(is_break, " ").replace('#', "\\#")
}
