//! What is said when a job is over: its suites, its verdict, and what went wrong.

use super::{
    style::{Mark, Row, Style, Theme},
    text::{self, clean, count},
};
use crate::exit::Exit;
use dispatcher::journal::{Failure, State, Suite, Summary};
use job::{CaseResult, Fault, FaultClass, TestResult};
use std::{borrow::Cow, path::Path, time::Duration};

/// So many failed test cases are named.
const NAMED: usize = 10;
/// Columns of the names at the left.
const LABEL: usize = 10;

/// The first test cases that failed.
#[derive(Clone, Debug, Default)]
pub(super) struct FailedCases {
    names: Vec<String>,
    more: u64,
}

impl FailedCases {
    /// Takes a result; its texts are masked.
    pub(super) fn push(&mut self, result: &CaseResult) {
        if result.definition == "lava" || result.result != TestResult::Fail {
            return;
        }
        if self.names.len() < NAMED {
            self.names.push(case_name(result));
        } else {
            self.more += 1;
        }
    }
}

/// `suite case`, with the test set between them.
pub(super) fn case_name(result: &CaseResult) -> String {
    let mut name = clean(&result.definition).into_owned();
    for part in result.set.iter().chain([&result.case]) {
        name.push(' ');
        name.push_str(&clean(part));
    }
    name
}

/// What a result tells beside its name: a measurement, or why it is unknown.
pub(super) fn case_detail(result: &CaseResult) -> String {
    let units = result.units.as_deref().unwrap_or_default();
    let measurement = result.measurement.map(|number| format!("{number} {units}"));
    let detail = measurement.or_else(|| result.reason.clone());
    clean(detail.unwrap_or_default().trim()).into_owned()
}

/// All that is to be said at the end.
pub(super) struct Report<'a> {
    /// The job.
    pub(super) summary: &'a Summary,
    /// Which tests failed.
    pub(super) failed: &'a FailedCases,
    /// Where the files are.
    pub(super) output: &'a Path,
    /// How the program will end.
    pub(super) exit: Exit,
}

impl Report<'_> {
    /// The rows of the report. Long texts are broken at `width` columns.
    pub(super) fn rows(&self, theme: Theme, width: usize) -> Vec<Row> {
        let mut rows = vec![Row::new()];
        rows.extend(table(&self.summary.suites));
        rows.extend(self.failed_cases(theme));
        rows.push(Row::new());
        rows.push(self.verdict(theme));
        if let Some(failure) = &self.summary.failure {
            fault_rows(failure, theme, width, &mut rows);
        }
        if matches!(self.summary.state(), State::Canceled) {
            labelled("power", &power(self.summary), width, &mut rows);
        }
        let files = format!(
            "{} (logs.yaml, results.json, junit.xml, console.log)",
            clean(&self.output.to_string_lossy())
        );
        labelled("files", &files, width, &mut rows);
        rows
    }

    fn failed_cases(&self, theme: Theme) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for name in &self.failed.names {
            let row = Row::new().text(Style::Plain, "  ").mark(theme, Mark::Fail);
            rows.push(row.text(Style::Plain, name));
        }
        if self.failed.more > 0 {
            let more = format!("    and {} more", self.failed.more);
            rows.push(Row::new().text(Style::Dim, more));
        }
        if !rows.is_empty() {
            rows.insert(0, Row::new());
        }
        rows
    }

    /// One sentence.
    fn verdict(&self, theme: Theme) -> Row {
        let duration = text::took(Duration::from_micros(self.summary.last_micros));
        let tests = self.summary.tests();
        let (mark, sentence) = match (&self.summary.failure, self.summary.state()) {
            (Some(failure), _) => (Mark::Fail, class_sentence(&failure.fault).to_owned()),
            (None, State::Complete) if tests.fail > 0 => {
                let all = count(tests.all(), "test", "tests");
                let text = format!("The job is complete, but {} of {all} failed", tests.fail);
                (Mark::Fail, text)
            }
            (None, State::Complete) if tests.all() == 0 => {
                (Mark::Pass, "The job is complete".to_owned())
            }
            (None, State::Complete) => {
                let passed = count(tests.pass, "test", "tests");
                (Mark::Pass, format!("The job is complete: {passed} passed"))
            }
            (None, _) => (Mark::Fail, "The job did not come to its end".to_owned()),
        };
        let mut end = format!(", after {duration}");
        if self.exit != Exit::Complete {
            end.push_str(&format!(" (exit code {})", self.exit as u8));
        }
        let style = match mark {
            Mark::Pass => Style::Good,
            _ => Style::Bad,
        };
        let row = Row::new().mark(theme, mark).text(style, sentence);
        row.text(Style::Plain, end)
    }
}

/// The suites, the dispatcher's own last.
fn table(suites: &[Suite]) -> Vec<Row> {
    if suites.is_empty() {
        return Vec::new();
    }
    let names: Vec<Cow<'_, str>> = suites.iter().map(|suite| clean(&suite.name)).collect();
    let widths = names.iter().map(|name| text::columns(name));
    let width = widths.max().unwrap_or(0).clamp(12, 40);
    let head = format!(
        "  {:<width$}{:>8}{:>8}{:>8}{:>9}",
        "suite", "pass", "fail", "skip", "unknown"
    );
    let mut rows = vec![Row::new().text(Style::Dim, head)];
    let (own, tests): (Vec<_>, Vec<_>) = suites
        .iter()
        .zip(&names)
        .partition(|(suite, _)| suite.name == "lava");
    for (suite, name) in tests.into_iter().chain(own) {
        let totals = suite.totals;
        let columns = [
            (totals.pass, 8, Style::Good),
            (totals.fail, 8, Style::Bad),
            (totals.skip, 8, Style::Plain),
            (totals.unknown, 9, Style::Warn),
        ];
        let room = width.saturating_sub(text::columns(name));
        let mut row = Row::new().text(Style::Plain, format!("  {name}{:room$}", ""));
        for (number, width, style) in columns {
            let style = if number == 0 { Style::Dim } else { style };
            row = row.text(style, format!("{number:>width$}"));
        }
        rows.push(row);
    }
    rows
}

/// Whose fault it is, in words.
fn class_sentence(fault: &Fault) -> &'static str {
    match fault.class {
        FaultClass::Infrastructure => {
            "The lab failed (InfrastructureError): the job is not to blame"
        }
        FaultClass::Job => "The job failed by its own fault (JobError)",
        FaultClass::Test => "A test could not be run to its end (TestError)",
        FaultClass::Configuration => {
            "The device or this host is not configured correctly (ConfigurationError)"
        }
        FaultClass::Canceled => "The job was canceled",
        FaultClass::Bug => "Pumice itself failed (Bug): please report it together with the journal",
    }
}

fn fault_rows(failure: &Failure, theme: Theme, width: usize, rows: &mut Vec<Row>) {
    let fault = &failure.fault;
    if let Some((level, name)) = &failure.action {
        labelled("where", format!("{level} {name}").trim(), width, rows);
    }
    if fault.class != FaultClass::Canceled {
        labelled("what", &fault.message, width, rows);
    }
    if let Some(diagnosis) = &fault.diagnosis {
        labelled("because", diagnosis, width, rows);
    }
    if let Some(waited) = waited(fault) {
        labelled("waited", &waited, width, rows);
    }
    if let Some(command) = &fault.command {
        labelled("command", command, width, rows);
    }
    let bar = if theme.unicode { "│ " } else { "| " };
    for (index, line) in fault.console.iter().enumerate() {
        let label = if index == 0 { "console" } else { "" };
        let row = Row::new().text(Style::Dim, format!("  {label:<LABEL$}{bar}"));
        rows.push(row.text(Style::Plain, clean(line)));
    }
    if let Some(hint) = &fault.hint {
        labelled("hint", hint, width, rows);
    }
}

/// What was waited for, and how long.
fn waited(fault: &Fault) -> Option<String> {
    let limit = fault
        .timed_out_after
        .filter(|limit| !limit.is_zero())
        .map(text::limit);
    match (limit, &fault.waited_for) {
        (Some(limit), Some(what)) => Some(format!("{limit} for {what}")),
        (Some(limit), None) => Some(limit),
        (None, Some(what)) => Some(format!("for {what}")),
        (None, None) => None,
    }
}

fn power(summary: &Summary) -> String {
    let last = summary
        .power
        .iter()
        .rev()
        .find(|power| power.operation.ends_with("off"));
    match last {
        Some(power) if power.ok => "the board is switched off".to_owned(),
        Some(_) => "the board could NOT be switched off".to_owned(),
        None => {
            "the board was not touched, or its device has no command to switch it off".to_owned()
        }
    }
}

/// `  label     text`, the text broken into lines at blanks.
fn labelled(label: &str, text: &str, width: usize, rows: &mut Vec<Row>) {
    let room = width.saturating_sub(LABEL + 3).max(20);
    for (index, line) in wrapped(&clean(text), room).into_iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let row = Row::new().text(Style::Dim, format!("  {label:<LABEL$}"));
        rows.push(row.text(Style::Plain, line));
    }
}

fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let columns = text::columns(word);
        let blank = usize::from(used > 0);
        if used > 0 && used + blank + columns > room {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += columns;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use dispatcher::journal::{PowerOperation, Totals};

    fn text(summary: &Summary, failed: &FailedCases, exit: Exit, width: usize) -> String {
        let report = Report {
            summary,
            failed,
            output: Path::new("/srv/jobs/7"),
            exit,
        };
        let theme = Theme {
            colour: false,
            unicode: true,
        };
        let rows = report.rows(theme, width);
        let lines: Vec<String> = rows.iter().map(|row| row.whole(theme)).collect();
        lines.join("\n")
    }

    fn summary() -> Summary {
        let suite = |name: &str, pass, fail| Suite {
            name: name.to_owned(),
            totals: Totals {
                pass,
                fail,
                ..Totals::default()
            },
            duration: Duration::ZERO,
        };
        Summary {
            suites: vec![suite("lava", 11, 0), suite("0_smoke", 4, 1)],
            ended: Some(true),
            last_micros: 12_400_000,
            ..Summary::default()
        }
    }

    #[test]
    fn a_complete_job() {
        let mut failed = FailedCases::default();
        for number in 0..12 {
            failed.push(&CaseResult {
                definition: "0_smoke".to_owned(),
                case: format!("case-{number}"),
                result: TestResult::Fail,
                ..CaseResult::default()
            });
        }
        insta::assert_snapshot!(text(&summary(), &failed, Exit::TestFailed, 80));
    }

    #[test]
    fn a_fault_with_all_there_is_to_say() {
        let mut fault = Fault::job("login-action timed out after 120 seconds")
            .with_waited_for("'board login:', 'Login incorrect'")
            .with_timeout(Duration::from_secs(120))
            .with_command("telnet lab 2001")
            .with_hint("if that is too short, set it in the job: timeouts: {actions: {login-action: {minutes: N}}}");
        fault.console = vec!["Starting kernel ...".to_owned(), "\x1b[2Jevil".to_owned()];
        let failed = Summary {
            failure: Some(Failure {
                fault,
                action: Some(("2.2.1".to_owned(), "login-action".to_owned())),
            }),
            ended: Some(false),
            ..summary()
        };
        insta::assert_snapshot!(text(&failed, &FailedCases::default(), Exit::JobFault, 72));
    }

    #[test]
    fn a_canceled_job_tells_whether_the_board_is_off() {
        let mut canceled = Summary {
            failure: Some(Failure {
                fault: Fault::canceled("the job was canceled"),
                action: None,
            }),
            ended: Some(false),
            suites: Vec::new(),
            ..summary()
        };
        canceled.power.push(PowerOperation {
            at_micros: 1,
            operation: "power_off".to_owned(),
            ok: true,
        });
        let text = text(&canceled, &FailedCases::default(), Exit::Canceled, 80);
        assert!(
            text.contains("power     the board is switched off"),
            "{text}"
        );
        assert!(
            text.contains("The job was canceled, after 12.4s (exit code 130)"),
            "{text}"
        );
    }
}
