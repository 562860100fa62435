//! `junit.xml`, with the elements and attributes of LAVA 2026.07.
//!
//! Beyond LAVA the failure of the job itself says why, and so does a result that was changed.

use super::{
    Export, JournalError, Output, Totals,
    spool::{Case, Spool},
};
use std::{fmt::Write as _, io, time::Duration};

pub(super) fn write(
    export: &mut Export<'_>,
    spool: &mut Spool,
    output: &mut Output,
) -> Result<(), JournalError> {
    let summary = export.summary;
    let end = export.end_iso();
    let all: Totals = summary.suites.iter().map(|suite| suite.totals).sum();
    let time: Duration = summary.suites.iter().map(|suite| suite.duration).sum();
    output.text("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    if summary.suites.is_empty() {
        output.text("<testsuites/>\n");
        return Ok(());
    }
    output.text(&format!(
        "<testsuites disabled=\"0\" errors=\"0\" failures=\"{}\" tests=\"{}\" time=\"{}\">\n",
        all.fail,
        all.all(),
        time.as_secs_f64(),
    ));
    for (index, suite) in summary.suites.iter().enumerate() {
        output.text(&format!(
            "\t<testsuite disabled=\"0\" errors=\"0\" failures=\"{}\" name=\"{}\" skipped=\"{}\" \
             tests=\"{}\" time=\"{}\" timestamp=\"{end}\">\n",
            suite.totals.fail,
            attribute(&suite.name),
            suite.totals.skip,
            suite.totals.all(),
            suite.duration.as_secs_f64(),
        ));
        spool.each(|_, case| {
            if case.suite == index {
                test(export, &suite.name, &case, output)?;
            }
            output.relieve()
        })?;
        output.text("\t</testsuite>\n");
    }
    output.text("</testsuites>\n");
    Ok(())
}

fn test(export: &mut Export<'_>, suite: &str, case: &Case, output: &mut Output) -> io::Result<()> {
    let mut tag = format!("\t\t<testcase name=\"{}\"", attribute(case.name()));
    if let Some(seconds) = case.duration().filter(|seconds| *seconds > 0.0) {
        let _ = write!(tag, " time=\"{seconds:.6}\"");
    }
    let logged = export.stamper.iso(case.at_micros);
    let _ = write!(
        tag,
        " timestamp=\"{logged}\" classname=\"{}\"",
        attribute(suite)
    );
    output.text(&tag);
    let inner = match case.result() {
        "fail" => failure(export, case)?,
        "skip" => "<skipped type=\"skipped\" message=\"skipped\"/>".into(),
        "unknown" => case.reason.as_ref().map_or_else(String::new, |reason| {
            format!("<system-out>{}</system-out>", content(reason))
        }),
        _ => String::new(),
    };
    if inner.is_empty() {
        output.text("/>\n");
    } else {
        output.text(&format!(">\n\t\t\t{inner}\n\t\t</testcase>\n"));
    }
    Ok(())
}

fn failure(export: &mut Export<'_>, case: &Case) -> io::Result<String> {
    let mut body = String::new();
    let is_job = case.name() == "job" && case.text("definition") == "lava";
    if let Some(failure) = export.summary.failure.as_ref().filter(|_| is_job) {
        let fault = &failure.fault;
        let _ = writeln!(body, "{}: {}", fault.error_type(), fault.message);
        for (what, text) in [("Waited for", &fault.waited_for), ("Hint", &fault.hint)] {
            if let Some(text) = text {
                let _ = writeln!(body, "{what}: {text}");
            }
        }
    }
    if let Some(reason) = &case.reason {
        body.push_str(reason);
        body.push('\n');
    }
    if let Some(lines) = case.lines {
        body.push_str(&export.excerpts.read(lines)?);
    }
    let start = "<failure type=\"failure\" message=\"failed\"";
    Ok(if body.is_empty() {
        format!("{start}/>")
    } else {
        format!("{start}>{}</failure>", content(&body))
    })
}

/// A text within an attribute: one line.
fn attribute(text: &str) -> String {
    content(&text.replace(['\n', '\r', '\t'], " "))
}

/// A text between tags. Characters that XML 1.0 has no form for are left out.
fn content(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' | '\n' => escaped.push(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            _ => escaped.push(character),
        }
    }
    escaped
}
