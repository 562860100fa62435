//! The results of a job, gathered from its entries, and the files they are exported to.

mod csv;
mod excerpt;
mod json;
mod junit;
mod spool;
mod tap;
mod yaml;

use super::{JournalError, LavaLog, Masker, append::AppendFile, record, stamp::Stamper};
use excerpt::Excerpts;
use job::{CaseResult, Fault, Level, Namespace, TestResult};
use spool::{Case, Spool};
use std::{borrow::Cow, collections::HashMap, io, path::Path, time::Duration};
use wire::journal::{Entry, Header, Record};

/// Power operations beyond this many are counted but not listed.
const POWER_OPERATIONS: usize = 1000;

/// How many results there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Passed.
    pub pass: u64,
    /// Failed.
    pub fail: u64,
    /// Were not run.
    pub skip: u64,
    /// Nobody can tell.
    pub unknown: u64,
}

/// A suite: the test cases of one test definition, or `lava` for what the dispatcher reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its results.
    pub totals: Totals,
    /// What its cases took, as far as they say and as exact as they say it, so that it is their sum.
    pub duration: Duration,
}

/// An action, with all the runs it had when it was tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Its place in the tree.
    pub level: Level,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// When it first began, in microseconds since the start.
    pub started_micros: u64,
    /// The time it was last allowed.
    pub timeout: Duration,
    /// How often it began.
    pub runs: u32,
    /// What all runs took that ended.
    pub duration: Duration,
    /// Whether the last run ended well; `None` while it runs, or when the runner died in it.
    pub ok: Option<bool>,
    /// The lines of the log where it first began and last ended.
    pub lines: (u64, Option<u64>),
}

/// A power operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerOperation {
    /// When, in microseconds since the start.
    pub at_micros: u64,
    /// `on`, `off` or `reset`.
    pub operation: String,
    /// Whether it worked.
    pub ok: bool,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or its runner died.
    Unfinished,
    /// It ran to its end; tests may have failed.
    Complete,
    /// A fault ended it.
    Incomplete,
    /// Somebody canceled it.
    Canceled,
}

/// The fault that ended a job, secrets masked, and the action it happened in.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The fault.
    pub fault: Fault,
    /// The level and the name of the action, when it happened in one.
    pub action: Option<(String, String)>,
}

/// What there is to say about a job beside its single results. Its size is bounded by the plan.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Which job this is; `None` before the first entry.
    pub header: Option<Header>,
    /// The suites in the order of their first result.
    pub suites: Vec<Suite>,
    /// The actions in the order of their first start.
    pub actions: Vec<Action>,
    /// The first power operations.
    pub power: Vec<PowerOperation>,
    /// The first fault: the reason for all that follows.
    pub failure: Option<Failure>,
    /// Whether the last entry was seen, and what it said.
    pub ended: Option<bool>,
    /// Time of the last entry, in microseconds since the start.
    pub last_micros: u64,
}

/// Gathers the results; feed it after the [`LavaLog`], which knows the line numbers.
#[derive(Debug)]
pub struct Results {
    summary: Summary,
    spool: Spool,
    suites: HashMap<String, usize>,
    actions: HashMap<Level, usize>,
}

/// What a writer of an export needs.
struct Export<'a> {
    summary: &'a Summary,
    stamper: Stamper,
    excerpts: Excerpts,
}

impl State {
    /// Its name in `results.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Canceled => "canceled",
        }
    }
}

impl Totals {
    fn add(&mut self, result: TestResult) {
        match result {
            TestResult::Pass => self.pass += 1,
            TestResult::Fail => self.fail += 1,
            TestResult::Skip => self.skip += 1,
            TestResult::Unknown => self.unknown += 1,
        }
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.pass + self.fail + self.skip + self.unknown
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |sum, next| Self {
            pass: sum.pass + next.pass,
            fail: sum.fail + next.fail,
            skip: sum.skip + next.skip,
            unknown: sum.unknown + next.unknown,
        })
    }
}

impl Summary {
    /// How the job stands.
    pub fn state(&self) -> State {
        match (self.ended, &self.failure) {
            (None, _) => State::Unfinished,
            (_, Some(failure)) if failure.fault.class == job::FaultClass::Canceled => {
                State::Canceled
            }
            (Some(true), None) => State::Complete,
            _ => State::Incomplete,
        }
    }

    /// The results of the tests, without those of the dispatcher (suite `lava`).
    pub fn tests(&self) -> Totals {
        let tests = self.suites.iter().filter(|suite| suite.name != "lava");
        tests.map(|suite| suite.totals).sum()
    }
}

impl Results {
    /// No results yet. When there are many they are kept in an unnamed file in `directory`.
    pub fn new(directory: &Path) -> Self {
        Self {
            summary: Summary::default(),
            spool: Spool::new(directory),
            suites: HashMap::new(),
            actions: HashMap::new(),
        }
    }

    /// What is known so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes an entry that `log` was just given; `line` is the number of lines it had before.
    pub fn push(&mut self, entry: &Entry, log: &LavaLog, line: u64) {
        let at_micros = entry.at_micros;
        self.summary.last_micros = at_micros;
        let masker = log.masker();
        match &entry.record {
            Record::Header(header) => self.summary.header = Some(header.clone()),
            Record::Result(result) => self.result(result, at_micros, log),
            Record::ActionStart {
                level,
                name,
                namespace,
                timeout,
            } => {
                let index = *self.actions.entry(level.clone()).or_insert_with(|| {
                    self.summary.actions.push(Action {
                        level: level.clone(),
                        name: name.clone(),
                        namespace: namespace.clone(),
                        started_micros: at_micros,
                        timeout: *timeout,
                        runs: 0,
                        duration: Duration::ZERO,
                        ok: None,
                        lines: (line, None),
                    });
                    self.summary.actions.len() - 1
                });
                let action = &mut self.summary.actions[index];
                action.runs = action.runs.saturating_add(1);
                action.timeout = *timeout;
                action.ok = None;
            }
            Record::ActionEnd {
                level,
                duration,
                ok,
                ..
            } => {
                if let Some(index) = self.actions.get(level) {
                    let action = &mut self.summary.actions[*index];
                    action.duration = action.duration.saturating_add(*duration);
                    action.ok = Some(*ok);
                    action.lines.1 = Some(line);
                }
            }
            Record::Power { operation, ok } if self.summary.power.len() < POWER_OPERATIONS => {
                self.summary.power.push(PowerOperation {
                    at_micros,
                    operation: operation.clone(),
                    ok: *ok,
                });
            }
            Record::Fault {
                level,
                action,
                fault,
            } => {
                self.summary.failure.get_or_insert_with(|| Failure {
                    fault: mask_fault(fault, masker),
                    action: level
                        .as_ref()
                        .map(|level| level.as_str().to_owned())
                        .or_else(|| action.as_ref().map(|_| String::new()))
                        .map(|level| (level, action.clone().unwrap_or_default())),
                });
            }
            Record::End { ok } => self.end(*ok, at_micros, masker),
            _ => {}
        }
    }

    fn result(&mut self, result: &CaseResult, at_micros: u64, log: &LavaLog) {
        let masker = log.masker();
        let case = Case {
            suite: self.suite(&suite_name(result, masker)),
            at_micros,
            record: record::result_map(result, masker),
            lines: log.result_lines(),
            reason: result
                .reason
                .as_ref()
                .map(|reason| masker.mask(reason).into_owned()),
        };
        let suite = &mut self.summary.suites[case.suite];
        suite.totals.add(result.result);
        suite.duration = suite.duration.saturating_add(case.time());
        self.spool.push(&case);
    }

    fn end(&mut self, ok: bool, at_micros: u64, masker: &Masker) {
        self.summary.ended = Some(ok);
        let fault = self.summary.failure.as_ref().map(|failure| &failure.fault);
        let complete = ok && fault.is_none();
        let record = record::job_map(complete, fault, masker);
        let suite = self.suite("lava");
        let result = if complete {
            TestResult::Pass
        } else {
            TestResult::Fail
        };
        self.summary.suites[suite].totals.add(result);
        self.spool.push(&Case {
            suite,
            at_micros,
            record,
            lines: None,
            reason: None,
        });
    }

    fn suite(&mut self, name: &str) -> usize {
        if let Some(index) = self.suites.get(name) {
            return *index;
        }
        self.summary.suites.push(Suite {
            name: name.to_owned(),
            ..Suite::default()
        });
        let index = self.summary.suites.len() - 1;
        self.suites.insert(name.to_owned(), index);
        index
    }

    /// Writes all exports into `directory`, where `logs.yaml` lies already.
    ///
    /// # Errors
    /// A file cannot be written, or the results could not be kept. The other files are written
    /// nevertheless; the first error is given.
    pub fn export(&mut self, directory: &Path) -> Result<(), JournalError> {
        type Write = fn(&mut Export<'_>, &mut Spool, &mut Output) -> Result<(), JournalError>;
        let exports: [(&str, Write); 5] = [
            ("results.json", json::write),
            ("results.yaml", yaml::write),
            ("results.csv", csv::write),
            ("junit.xml", junit::write),
            ("results.tap", tap::write),
        ];
        let mut outcome = Ok(());
        for (name, write) in exports {
            outcome = outcome.and(self.write_file(directory, name, write));
        }
        if self.summary.ended.is_some() {
            outcome = outcome.and(self.write_file(directory, "result.yaml", yaml::write_job));
        }
        outcome
    }

    fn write_file(
        &mut self,
        directory: &Path,
        name: &str,
        write: impl FnOnce(&mut Export<'_>, &mut Spool, &mut Output) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let started = self.summary.header.as_ref();
        let mut export = Export {
            summary: &self.summary,
            stamper: Stamper::new(started.map_or(0, |header| header.started_unix_micros)),
            excerpts: Excerpts::open(&directory.join(super::views::LOG_FILE)),
        };
        // A file is there as a whole or not at all, also when the disk is full.
        let (path, partial) = (directory.join(name), directory.join(format!(".{name}.new")));
        let written = Output::create(&partial).and_then(|mut output| {
            write(&mut export, &mut self.spool, &mut output)?;
            output.file.flush()
        });
        let written = written.and_then(|()| {
            fs_err::rename(&partial, &path).map_err(|error| JournalError::io(&path, error))
        });
        if written.is_err() {
            // What is wrong is known; that a part of a file stays, too, helps nobody.
            let _ = fs_err::remove_file(&partial);
        }
        written
    }
}

impl Export<'_> {
    /// When the job ended, or when it was last heard of.
    fn end_iso(&mut self) -> String {
        let micros = self.summary.last_micros;
        self.stamper.iso(micros).to_owned()
    }
}

/// A file that is written in blocks.
struct Output {
    file: AppendFile,
}

impl Output {
    fn create(path: &Path) -> Result<Self, JournalError> {
        let file = fs_err::File::create(path).map_err(|error| JournalError::io(path, error))?;
        Ok(Self {
            file: AppendFile::new(path, file),
        })
    }

    /// What to append to.
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.file.buffer()
    }

    /// Appends a text.
    fn text(&mut self, text: &str) {
        self.buffer().extend_from_slice(text.as_bytes());
    }

    /// Writes what was appended when it is much. An error keeps its path.
    fn relieve(&mut self) -> io::Result<()> {
        if self.file.pending() > 64 << 10 {
            self.file.flush().map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// The name of the dispatcher's own suite is no secret, whatever the secrets are.
fn suite_name<'a>(result: &'a CaseResult, masker: &Masker) -> Cow<'a, str> {
    match result.definition.as_str() {
        "lava" => Cow::Borrowed("lava"),
        name => masker.mask(name),
    }
}

fn mask_fault(fault: &Fault, masker: &Masker) -> Fault {
    let text = |text: &String| masker.mask(text).into_owned();
    let mut masked = fault.clone();
    masked.message = text(&fault.message);
    masked.hint = fault.hint.as_ref().map(text);
    masked.waited_for = fault.waited_for.as_ref().map(text);
    masked.command = fault.command.as_ref().map(text);
    masked.console = fault.console.iter().map(text).collect();
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_takes_what_its_cases_say_they_take() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut log = LavaLog::new();
        let mut results = Results::new(directory.path());
        for micros in [4_000, 6_000, 6_000, 1_234_567] {
            let entry = Entry {
                at_micros: 0,
                record: Record::Result(CaseResult {
                    definition: "lava".into(),
                    duration: Some(Duration::from_micros(micros)),
                    ..CaseResult::default()
                }),
            };
            log.push(&entry, &mut Vec::new());
            results.push(&entry, &log, 0);
        }
        let suite = &results.summary().suites[0];
        assert_eq!(suite.duration, Duration::from_millis(1_250));
    }
}
