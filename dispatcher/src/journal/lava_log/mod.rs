//! The view that a LAVA server reads: `logs.yaml`, one record a line.
//!
//! A line is `- ` and a JSON object, which is YAML too:
//! `- {"dt": "2026-11-20T11:33:11.314152+00:00", "lvl": "info", "msg": "…"}`. Level, texts and the
//! order of keys are those of LAVA 2026.07. Where LAVA writes a number as `! "12"`, this view writes
//! `12`: its server reads both. What a board prints in one line of [`LIMIT`] characters or more
//! comes in several records; LAVA replaces it by a remark. What its server cannot keep of a result
//! is changed; `docs/interop.md` says what.

mod console;
mod sink;

use super::{
    mask::Masker,
    record,
    stamp::{self, Stamper},
    text::Escape,
};
use console::Console;
use job::{CaseResult, Fault, FaultClass, Level, Namespace};
use serde::{Deserialize, Serialize};
use sink::Sink;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use wire::journal::{ConnectionId, Entry, Header, LogLevel, Record, Signal};

/// LAVA's servers take records of fewer characters than this.
pub const LIMIT: usize = 100_000;

/// A test case whose start was seen, but neither its end nor its result, is remembered, but not
/// more of them than this: a board may print what it likes.
const MARKERS: usize = 4096;

/// A line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, counted from 0.
    pub number: u64,
    /// Where it begins, in bytes from the start of the log.
    pub offset: u64,
}

/// The lines of a test case: LAVA's `starttc` and `endtc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRange {
    /// The line that reports the start.
    pub start: Line,
    /// The line that reports the end, or the result when the end was not reported.
    pub end: Line,
}

#[derive(Clone, Copy, Debug, Default)]
struct Marker {
    start: Option<Line>,
    end: Option<Line>,
}

/// The log as a function of the journal.
///
/// Memory is bounded: an open line for each connection, and one entry for each action and for each
/// test case that began and has not ended.
#[derive(Debug)]
pub struct LavaLog {
    stamper: Stamper,
    masker: Masker,
    sink: Sink,
    consoles: BTreeMap<ConnectionId, Console>,
    started: HashMap<Level, (Namespace, Duration)>,
    progress: HashMap<(Level, String), u64>,
    markers: HashMap<String, Marker>,
    result_lines: Option<LineRange>,
    fault: Option<Fault>,
}

impl Default for LavaLog {
    fn default() -> Self {
        Self::new()
    }
}

impl LavaLog {
    /// The log before the first entry.
    pub fn new() -> Self {
        Self {
            stamper: Stamper::default(),
            masker: Masker::new(),
            sink: Sink::default(),
            consoles: BTreeMap::new(),
            started: HashMap::new(),
            progress: HashMap::new(),
            markers: HashMap::new(),
            result_lines: None,
            fault: None,
        }
    }

    /// Appends to `out` the lines that an entry adds to the log, all of them whole.
    pub fn push(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        if let Record::Header(header) = &entry.record {
            self.stamper = Stamper::new(header.started_unix_micros);
        }
        self.sink.stamp(self.stamper.iso(entry.at_micros));
        self.record(&entry.record, out);
    }

    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.sink.lines
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.sink.bytes
    }

    /// The lines of the last result that was pushed, when it is one of a test case.
    pub fn result_lines(&self) -> Option<LineRange> {
        self.result_lines
    }

    /// What this view hides.
    pub fn masker(&self) -> &Masker {
        &self.masker
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        match record {
            Record::Output {
                connection, bytes, ..
            } => console(&mut self.consoles, *connection).output(
                bytes,
                &self.masker,
                &mut self.sink,
                out,
            ),
            Record::Input { connection, bytes } => console(&mut self.consoles, *connection).input(
                bytes,
                &self.masker,
                &mut self.sink,
                out,
            ),
            Record::FlushLine { connection } => console(&mut self.consoles, *connection)
                .flush_output(&self.masker, &mut self.sink, out),
            Record::Header(header) => self.header(header, out),
            Record::Secrets(secrets) => self.masker.add(secrets),
            Record::ConnectionOpened {
                connection,
                namespace,
                name,
            } => {
                let console = console(&mut self.consoles, *connection);
                console.namespace = namespace.clone();
                name.clone_into(&mut console.name);
            }
            Record::ConnectionClosed { connection, reason } => self.close(*connection, reason, out),
            Record::Feedback { connection, on } => {
                console(&mut self.consoles, *connection).is_feedback = *on;
            }
            Record::Log { level, message } => self.message(*level, message, out),
            Record::ActionStart {
                level,
                name,
                namespace,
                timeout,
            } => self.action_start(level, name, namespace, *timeout, out),
            Record::ActionEnd {
                level,
                name,
                namespace,
                duration,
                ..
            } => {
                let duration = stamp::clock(*duration);
                let text = format!("end: {level} {name} (duration {duration})");
                self.action_line(level, namespace, text, out);
            }
            Record::ActionRetry {
                level,
                name,
                attempt,
                attempts,
                reason,
            } => self.action_retry(level, name, (*attempt, *attempts), reason, out),
            Record::Signal(signal) => self.signal(signal, out),
            Record::Result(result) => self.result(result, out),
            Record::Progress {
                level,
                label,
                done,
                total,
            } => self.progress(level, label, *done, *total, out),
            Record::Fault { fault, .. } => {
                // The first one is the reason, what follows happens while cleaning up.
                self.fault.get_or_insert_with(|| fault.clone());
            }
            Record::End { ok } => self.end(*ok, out),
            Record::Description(_)
            | Record::Power { .. }
            | Record::Undo { .. }
            | Record::UndoDone { .. } => {}
        }
    }

    fn header(&mut self, header: &Header, out: &mut Vec<u8>) {
        let text = format!("pumice, installed at version: {}", header.version);
        self.message(LogLevel::Info, &text, out);
    }

    fn message(&mut self, level: LogLevel, text: &str, out: &mut Vec<u8>) {
        let masked = self.masker.mask(text);
        let text = masked.as_bytes();
        self.sink
            .text(out, level_name(level), text, Escape::Keep, None);
    }

    fn action_start(
        &mut self,
        level: &Level,
        name: &str,
        namespace: &Namespace,
        timeout: Duration,
        out: &mut Vec<u8>,
    ) {
        self.started
            .insert(level.clone(), (namespace.clone(), timeout));
        let timeout = stamp::clock(timeout);
        let text = format!("start: {level} {name} (timeout {timeout})");
        self.action_line(level, namespace, text, out);
    }

    /// Actions of the job itself are `info`, those within them `debug`.
    fn action_line(
        &mut self,
        level: &Level,
        namespace: &Namespace,
        mut text: String,
        out: &mut Vec<u8>,
    ) {
        if !namespace.as_str().is_empty() {
            text = format!("{text} [{namespace}]");
        }
        let log_level = if level.is_top() {
            LogLevel::Info
        } else {
            LogLevel::Debug
        };
        self.message(log_level, &text, out);
    }

    fn action_retry(
        &mut self,
        level: &Level,
        name: &str,
        (attempt, attempts): (u32, u32),
        reason: &str,
        out: &mut Vec<u8>,
    ) {
        let text = format!("{name} failed: {attempt} of {attempts} attempts. '{reason}'");
        self.message(LogLevel::Error, &text, out);
        if attempt < attempts {
            let (namespace, timeout) = match self.started.get(level) {
                Some((namespace, timeout)) => (namespace.clone(), *timeout),
                None => (Namespace::new(""), Duration::ZERO),
            };
            let timeout = stamp::clock(timeout);
            let text = format!("Retrying: {level} {name} (timeout {timeout})");
            self.action_line(level, &namespace, text, out);
        }
    }

    fn signal(&mut self, signal: &Signal, out: &mut Vec<u8>) {
        if signal.repaired {
            let text = "The next signal was cut by other output and is put together again.";
            self.message(LogLevel::Debug, text, out);
        }
        let Signal {
            name, arguments, ..
        } = signal;
        let text = format!("Received signal: <{name}> {arguments}");
        self.message(LogLevel::Debug, text.trim_end(), out);
        let case = arguments.split_whitespace().next().unwrap_or_default();
        let line = Some(self.sink.last);
        match name.as_str() {
            "STARTTC" => self.mark(case, |marker| marker.start = line),
            "ENDTC" => self.mark(case, |marker| marker.end = line),
            "STARTRUN" | "ENDRUN" => self.markers.clear(),
            _ => {}
        }
    }

    fn mark(&mut self, case: &str, set: impl Fn(&mut Marker)) {
        if let Some(marker) = self.markers.get_mut(case) {
            set(marker);
        } else if self.markers.len() < MARKERS {
            set(self.markers.entry(case.to_owned()).or_default());
        }
    }

    fn result(&mut self, result: &CaseResult, out: &mut Vec<u8>) {
        let mut map = record::result_map(result, &self.masker);
        self.result_lines = result.has_lines.then(|| {
            // Without a start or an end, the line before this record stands for it.
            let marker = self.markers.remove(&result.case).unwrap_or_default();
            let start = marker.start.unwrap_or(self.sink.last);
            let end = marker.end.unwrap_or(self.sink.last);
            LineRange { start, end }
        });
        if let Some(range) = self.result_lines {
            map.insert("starttc".into(), range.start.number.into());
            map.insert("endtc".into(), range.end.number.into());
        }
        self.sink.results(out, map);
    }

    /// LAVA's lines: at every 5 %, or at every 32 MB when nobody knows how much there is.
    fn progress(
        &mut self,
        level: &Level,
        label: &str,
        done: u64,
        total: Option<u64>,
        out: &mut Vec<u8>,
    ) {
        const MEGABYTE: u64 = 1 << 20;
        let step = match total {
            Some(total) => done.min(total).saturating_mul(20) / total.max(1),
            None => done / (32 * MEGABYTE),
        };
        let key = (level.clone(), label.to_owned());
        let before = self.progress.get(&key).copied();
        let megabytes = done / MEGABYTE;
        let is_done = total.is_some_and(|total| done >= total);
        if step > before.unwrap_or(0) && !(is_done && before.is_none()) {
            let text = match total {
                Some(_) => format!("progress {:3}\u{202f}% ({megabytes}\u{202f}MB)", step * 5),
                None => format!("progress {megabytes}\u{202f}MB"),
            };
            self.message(LogLevel::Debug, &text, out);
        }
        if is_done {
            self.progress.remove(&key);
        } else {
            self.progress.insert(key, step.max(before.unwrap_or(0)));
        }
    }

    fn end(&mut self, ok: bool, out: &mut Vec<u8>) {
        for console in self.consoles.values_mut() {
            console.flush(&self.masker, &mut self.sink, out);
        }
        let fault = self.fault.take();
        match &fault {
            Some(fault) => {
                let hints = [("Waited for", &fault.waited_for), ("Hint", &fault.hint)];
                for (what, text) in hints {
                    if let Some(text) = text {
                        self.message(LogLevel::Error, &format!("{what}: {text}"), out);
                    }
                }
                self.message(LogLevel::Error, class_text(fault.class), out);
            }
            None if ok => self.message(LogLevel::Info, "Job finished correctly", out),
            None => {}
        }
        let complete = ok && fault.is_none();
        let map = record::job_map(complete, fault.as_ref(), &self.masker);
        self.sink.results(out, map);
    }

    fn close(&mut self, connection: ConnectionId, reason: &str, out: &mut Vec<u8>) {
        if let Some(mut console) = self.consoles.remove(&connection) {
            console.flush(&self.masker, &mut self.sink, out);
            if !reason.is_empty() {
                let text = format!("Connection to '{}' closed: {reason}", console.name);
                self.message(LogLevel::Debug, &text, out);
            }
        }
    }
}

/// The console of a connection; a journal that was cut may lack its opening.
fn console(
    consoles: &mut BTreeMap<ConnectionId, Console>,
    connection: ConnectionId,
) -> &mut Console {
    consoles.entry(connection).or_default()
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Exception => "exception",
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Input => "input",
        LogLevel::Target => "target",
        LogLevel::Feedback => "feedback",
        LogLevel::Event => "event",
    }
}

/// What the log says last of a job that failed: LAVA's name of the class, and what it means.
fn class_text(class: FaultClass) -> &'static str {
    match class {
        FaultClass::Infrastructure => {
            "InfrastructureError: The lab does not work as it should. Please tell its admins."
        }
        FaultClass::Job => "JobError: Your job cannot terminate cleanly.",
        FaultClass::Test => "TestError: A test of your job could not be run to its end.",
        FaultClass::Configuration => {
            "ConfigurationError: The device or the dispatcher is not configured correctly. Please \
             tell the lab's admins."
        }
        FaultClass::Canceled => "JobCanceled: The job was canceled.",
        FaultClass::Bug => "LAVABug: This is a bug in Pumice. Please report it.",
    }
}
