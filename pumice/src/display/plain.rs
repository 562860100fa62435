//! `--format plain`: one line an event, for the logs of other systems.
//!
//! `seconds  what  text`; what a board printed stands behind a `|`, a line once it is complete.

use super::{
    console::ConsoleText,
    mask::{Direction, Secrets},
    printer::Printer,
    report::{FailedCases, case_detail, case_name},
    style::{Row, Style, Theme},
    text::{self, clean},
};
use dispatcher::journal::Observer;
use job::{CaseResult, Level, TestResult};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use wire::journal::{ConnectionId, Entry, Header, LogLevel, Record};

/// Progress is told in steps of so many percent, or of so many bytes when nobody knows the end.
const PERCENT: u64 = 20;
const BYTES: u64 = 64 << 20;

pub(super) struct Plain {
    printer: Printer,
    theme: Theme,
    secrets: Secrets,
    consoles: BTreeMap<ConnectionId, Console>,
    /// The actions that run, the innermost last.
    path: Vec<(Level, String)>,
    last_ended: String,
    last_exception: String,
    progress: BTreeMap<(Level, String), u64>,
    failed: Arc<Mutex<FailedCases>>,
    out: Vec<u8>,
}

#[derive(Default)]
struct Console {
    namespace: String,
    text: ConsoleText,
}

impl Plain {
    pub(super) fn new(
        printer: Printer,
        theme: Theme,
        secrets: &[String],
        failed: Arc<Mutex<FailedCases>>,
    ) -> Self {
        let mut plain = Self {
            printer,
            theme,
            secrets: Secrets::default(),
            consoles: BTreeMap::new(),
            path: Vec::new(),
            last_ended: String::new(),
            last_exception: String::new(),
            progress: BTreeMap::new(),
            failed,
            out: Vec::new(),
        };
        plain.secrets.add(secrets);
        plain
    }

    fn record(&mut self, at: u64, record: &Record) {
        match record {
            Record::Output {
                connection, bytes, ..
            } => self.output(at, *connection, bytes),
            Record::FlushLine { connection } => self.end_line(at, *connection),
            Record::ConnectionOpened {
                connection,
                namespace,
                ..
            } => {
                let console = self.consoles.entry(*connection).or_default();
                console.namespace = clean(namespace.as_str()).into_owned();
            }
            Record::ConnectionClosed { connection, reason } => {
                self.end_line(at, *connection);
                self.consoles.remove(connection);
                self.line(
                    at,
                    "info",
                    Style::Plain,
                    &format!("connection closed: {reason}"),
                );
            }
            Record::Secrets(secrets) => self.secrets.add(secrets),
            Record::Header(header) => self.header(at, header),
            Record::Log { level, message } => self.message(at, *level, message),
            Record::ActionStart {
                level,
                name,
                timeout,
                ..
            } => {
                self.path.push((level.clone(), name.clone()));
                let text = format!("{level} {name} (at most {})", text::limit(*timeout));
                self.line(at, "start", Style::Accent, &text);
            }
            Record::ActionEnd {
                level,
                name,
                duration,
                ok,
                ..
            } => {
                self.end_action(level, name);
                let took = text::took(*duration);
                if *ok {
                    self.line(
                        at,
                        "end",
                        Style::Plain,
                        &format!("{level} {name} after {took}"),
                    );
                } else {
                    self.line(
                        at,
                        "failed",
                        Style::Bad,
                        &format!("{level} {name} after {took}"),
                    );
                }
            }
            Record::ActionRetry {
                level,
                name,
                attempt,
                attempts: attempts @ 2..,
                reason,
            } => {
                let text =
                    format!("{level} {name}: attempt {attempt} of {attempts} failed: {reason}");
                self.line(at, "warning", Style::Warn, &text);
            }
            Record::Result(result) => self.result(at, result),
            Record::Progress {
                level,
                label,
                done,
                total,
            } => self.progress(at, (level, label), *done, *total),
            Record::Power { operation, ok } => {
                let outcome = if *ok { "done" } else { "FAILED" };
                let text = format!("{}: {outcome}", operation.replace('_', " "));
                self.line(at, "power", Style::Accent, &text);
            }
            Record::Fault { .. }
            | Record::End { .. }
            | Record::Input { .. }
            | Record::Signal(_)
            | Record::Description(_)
            | Record::Feedback { .. }
            | Record::ActionRetry { .. }
            | Record::Undo { .. }
            | Record::UndoDone { .. } => {}
        }
    }

    fn header(&mut self, at: u64, header: &Header) {
        let Header {
            version,
            job_id,
            job_name,
            device,
            device_type,
            ..
        } = header;
        let device = if device.is_empty() {
            device_type
        } else {
            device
        };
        let text = format!("pumice {version}: job {job_id} '{job_name}' on {device}");
        self.line(at, "info", Style::Plain, &text);
    }

    fn message(&mut self, at: u64, level: LogLevel, message: &str) {
        let (word, style) = match level {
            LogLevel::Debug | LogLevel::Input => return,
            LogLevel::Info => ("info", Style::Plain),
            LogLevel::Warning => ("warning", Style::Warn),
            LogLevel::Error => ("error", Style::Bad),
            LogLevel::Exception => ("error", Style::Bad),
            LogLevel::Target | LogLevel::Feedback => ("target", Style::Plain),
            LogLevel::Event => ("event", Style::Plain),
        };
        if level == LogLevel::Exception {
            // Every action around the one that failed says the same.
            if self.last_exception == message {
                return;
            }
            message.clone_into(&mut self.last_exception);
        }
        let action = self
            .path
            .last()
            .map(|(level, name)| format!("{level} {name}: "));
        let action = action.unwrap_or_default();
        for line in message.lines() {
            self.line(at, word, style, &format!("{action}{line}"));
        }
    }

    fn end_action(&mut self, level: &Level, name: &str) {
        if let Some(index) = self.path.iter().rposition(|(known, _)| known == level) {
            self.path.truncate(index);
        }
        name.clone_into(&mut self.last_ended);
        self.progress.retain(|(known, _), _| known != level);
    }

    fn result(&mut self, at: u64, result: &CaseResult) {
        // The end of the action has just said so.
        if result.definition == "lava" && result.case == self.last_ended {
            return;
        }
        let result = self.secrets.result(result);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.push(&result);
        drop(failed);
        let style = match result.result {
            TestResult::Pass => Style::Good,
            TestResult::Fail => Style::Bad,
            TestResult::Skip => Style::Plain,
            TestResult::Unknown => Style::Warn,
        };
        let detail = case_detail(&result);
        let separator = if detail.is_empty() { "" } else { ": " };
        let text = format!("{}{separator}{detail}", case_name(&result));
        self.line(at, result.result.as_str(), style, &text);
    }

    fn progress(&mut self, at: u64, (level, label): (&Level, &str), done: u64, total: Option<u64>) {
        let step = match total {
            Some(total) => done.min(total).saturating_mul(100) / total.max(1) / PERCENT,
            None => done / BYTES,
        };
        let known = self
            .progress
            .entry((level.clone(), label.to_owned()))
            .or_default();
        if step <= *known {
            return;
        }
        *known = step;
        let text = match total {
            Some(total) => format!(
                "{label}: {} % of {}",
                done.min(total).saturating_mul(100) / total.max(1),
                text::size(total)
            ),
            None => format!("{label}: {}", text::size(done)),
        };
        self.line(at, "progress", Style::Plain, &text);
    }

    fn output(&mut self, at: u64, connection: ConnectionId, bytes: &[u8]) {
        let mut shown = Vec::with_capacity(bytes.len());
        self.secrets
            .stream(connection, Direction::Output, bytes, &mut shown);
        self.console(at, connection, &shown, false);
    }

    fn end_line(&mut self, at: u64, connection: ConnectionId) {
        let mut shown = Vec::new();
        self.secrets.end(connection, Direction::Output, &mut shown);
        self.console(at, connection, &shown, true);
    }

    fn console(&mut self, at: u64, connection: ConnectionId, bytes: &[u8], is_end: bool) {
        let several = self.consoles.len() > 1;
        let console = self.consoles.entry(connection).or_default();
        let namespace = if several {
            console.namespace.as_str()
        } else {
            ""
        };
        let prefix = format!("{} {namespace}| ", stamp(at, "target"));
        let (out, masker) = (&mut self.out, self.secrets.masker());
        let mut emit = |line: super::console::Line<'_>| {
            out.extend_from_slice(prefix.as_bytes());
            line.write(false, masker, out);
            out.push(b'\n');
        };
        console.text.push(bytes, &mut emit);
        if is_end {
            console.text.flush(&mut emit);
        }
    }

    fn line(&mut self, at: u64, word: &str, style: Style, text: &str) {
        let text = self.secrets.text(text);
        let line = line(self.theme, at, word, style, &text);
        self.out.extend_from_slice(line.as_bytes());
    }
}

impl Observer for Plain {
    fn entry(&mut self, entry: &Entry) {
        self.record(entry.at_micros, &entry.record);
        self.printer.print(&self.out);
        self.out.clear();
    }
}

/// One line, its end included.
pub(super) fn line(theme: Theme, at_micros: u64, word: &str, style: Style, text: &str) -> String {
    let stamp = stamp(at_micros, word);
    let (head, tail) = stamp.split_at(TIME);
    let row = Row::new().text(Style::Plain, head).text(style, tail);
    let row = row.text(Style::Plain, format!(" {}", clean(text)));
    format!("{}\n", row.whole(theme))
}

/// Columns of the time and the blanks behind it.
const TIME: usize = 12;

/// The time and the word, in columns.
fn stamp(at_micros: u64, word: &str) -> String {
    let millis = at_micros / 1000;
    format!("{:>6}.{:03}  {word:<8}", millis / 1000, millis % 1000)
}
