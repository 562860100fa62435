//! `results.csv`, with the columns of LAVA 2026.07, all fields quoted, lines ending in CR LF.

use super::{
    Export, JournalError, Output,
    spool::{Case, Spool},
    yaml::{Columns, metadata},
};
use crate::journal::text;

const COLUMNS: [&str; 15] = [
    "job",
    "suite",
    "result",
    "measurement",
    "unit",
    "duration",
    "timeout",
    "logged",
    "level",
    "metadata",
    "url",
    "name",
    "id",
    "log_start_line",
    "log_end_line",
];

pub(super) fn write(
    export: &mut Export<'_>,
    spool: &mut Spool,
    output: &mut Output,
) -> Result<(), JournalError> {
    row(output, COLUMNS);
    spool.each(|number, case| {
        case_row(export, number, &case, output);
        output.relieve()
    })
}

fn case_row(export: &mut Export<'_>, number: u64, case: &Case, output: &mut Output) {
    let columns = Columns::new(export, number, case);
    let mut python = String::new();
    text::push_python(&mut python, &metadata(case));
    row(
        output,
        [
            &columns.job,
            &columns.suite,
            case.result(),
            &columns.measurement,
            &columns.unit,
            "",
            "",
            &columns.logged,
            case.text("level"),
            &python,
            &columns.url,
            case.name(),
            &columns.id,
            &columns.start_line,
            &columns.end_line,
        ],
    );
}

fn row(output: &mut Output, fields: [&str; 15]) {
    for (index, field) in fields.into_iter().enumerate() {
        output.text(if index == 0 { "\"" } else { ",\"" });
        output.text(&field.replace('"', "\"\""));
        output.text("\"");
    }
    output.text("\r\n");
}
