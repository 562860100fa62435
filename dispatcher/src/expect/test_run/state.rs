//! What runs, what is open, what is missing.

use super::{Expected, NoteLevel, ParsePattern, RunDefinition, TestEvent};
use crate::expect::signal::{Case, Decoded, Run, Signal, SignalEvent};
use job::{CaseResult, Fault, TestResult};
use serde_json::Value;
use std::collections::HashSet;

/// How many results may wait for the end of a run to learn whose they are.
const MAX_WAITING: usize = 10_000;

/// How many reported ids of one run are remembered for its expected list.
const MAX_REPORTED: usize = 100_000;

/// The suite of what the dispatcher reports itself.
const LAVA: &str = "lava";

/// Which run is open.
#[derive(Debug)]
pub(super) enum Open {
    Nothing,
    Run(OpenRun),
    /// The signal that started a run was lost. The run's end will tell which it was.
    Uncertain(Vec<CaseResult>),
}

#[derive(Debug)]
pub(super) struct OpenRun {
    run: Run,
    /// Its place in the definitions, when it has one.
    definition: Option<usize>,
    reported: HashSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Set {
    Closed,
    Open(String),
    /// The signal that opened or closed it was lost.
    Uncertain,
}

#[derive(Debug)]
pub(super) struct State {
    definitions: Vec<RunDefinition>,
    started: Vec<bool>,
    pub(super) open: Open,
    pub(super) set: Set,
    pub(super) lost: usize,
}

impl State {
    pub(super) fn new(definitions: Vec<RunDefinition>) -> Self {
        Self {
            started: vec![false; definitions.len()],
            definitions,
            open: Open::Nothing,
            set: Set::Closed,
            lost: 0,
        }
    }

    pub(super) fn open_suite(&self) -> Option<&str> {
        match &self.open {
            Open::Run(open) => Some(&open.run.name),
            _ => None,
        }
    }

    pub(super) fn lost_results(&self) -> usize {
        self.lost
    }

    /// Takes a signal, or what is left of one.
    pub(super) fn signal(&mut self, event: SignalEvent, emit: &mut impl FnMut(TestEvent)) {
        match event {
            SignalEvent::Decoded(decoded) => self.decoded(decoded, emit),
            SignalEvent::Lost(lost) => self.lost(&lost, emit),
            SignalEvent::Malformed { text, reason, .. } => {
                note(
                    emit,
                    NoteLevel::Error,
                    format!("Ignoring signal <{text}>: {reason}"),
                );
            }
        }
    }

    fn decoded(&mut self, decoded: Decoded, emit: &mut impl FnMut(TestEvent)) {
        let signal = decoded.signal;
        if !matches!(signal, Signal::RunnerExit | Signal::InstallFail) {
            emit(TestEvent::Signal(wire::journal::Signal {
                name: signal.name().to_owned(),
                arguments: signal.arguments(),
                repaired: decoded.repaired,
            }));
        }
        match signal {
            Signal::StartRun(run) => self.start_run(run, emit),
            Signal::EndRun(run) => self.end_run(&run, emit),
            // The views take the lines of a case from the signals themselves.
            Signal::StartCase(_) | Signal::EndCase(_) => {}
            Signal::Case(case) => self.case(case, None, emit),
            Signal::Reference {
                id,
                result,
                reference,
            } => {
                let case = Case {
                    id,
                    result,
                    ..Case::default()
                };
                self.case(case, Some(reference), emit);
            }
            Signal::StartSet(name) => {
                note(emit, NoteLevel::Info, format!("Starting test_set {name}"));
                self.set = Set::Open(name);
            }
            Signal::StopSet => {
                if let Set::Open(name) = &self.set {
                    note(emit, NoteLevel::Info, format!("Closing test_set {name}"));
                }
                self.set = Set::Closed;
            }
            Signal::Raise(message) => emit(TestEvent::Raise(Fault::test(message))),
            Signal::Feedback(namespace) => emit(TestEvent::Feedback(namespace)),
            Signal::Event(message) => note(emit, NoteLevel::Event, message),
            Signal::MultiNode { request, arguments } => emit(TestEvent::MultiNode {
                request,
                arguments,
                suite: self.open_suite().map(str::to_owned),
            }),
            Signal::InstallFail => emit(TestEvent::InstallFailed),
            Signal::RunnerExit => emit(TestEvent::Finished),
            // The first is for whoever typed the command; the others are of no known meaning.
            Signal::ReturnCode(_) | Signal::Other { .. } => {}
        }
    }

    fn start_run(&mut self, run: Run, emit: &mut impl FnMut(TestEvent)) {
        self.close_open_run(emit);
        self.set = Set::Closed;
        let exact = self
            .definitions
            .iter()
            .position(|definition| definition.run == run);
        let definition = exact.or_else(|| {
            let named = |definition: &RunDefinition| definition.run.name == run.name;
            self.definitions.iter().position(named)
        });
        if exact.is_none() {
            let text = format!("Unknown test uuid {}", run.uuid);
            note(emit, NoteLevel::Warning, text);
        }
        let text = format!("Starting test lava.{} ({})", run.name, run.uuid);
        note(emit, NoteLevel::Info, text);
        let pattern = definition.and_then(|index| {
            self.started[index] = true;
            let definition = &self.definitions[index];
            definition
                .pattern
                .as_ref()
                .map(|pattern| (pattern, &definition.fixups))
        });
        match pattern {
            None => {
                let text = "Skipping test definition patterns.".to_owned();
                note(emit, NoteLevel::Info, text);
            }
            Some((pattern, fixups)) => {
                let text = format!("Enabling test definition pattern '{}'", pattern.source);
                note(emit, NoteLevel::Info, text);
                if !fixups.is_empty() {
                    let pairs: Vec<String> = fixups
                        .iter()
                        .map(|(from, to)| format!("'{from}': '{to}'"))
                        .collect();
                    let text = format!("Enabling test definition fixup {{{}}}", pairs.join(", "));
                    note(emit, NoteLevel::Info, text);
                }
            }
        }
        emit(TestEvent::RunStarted(run.clone()));
        self.open = Open::Run(OpenRun {
            run,
            definition,
            reported: HashSet::new(),
        });
    }

    fn end_run(&mut self, run: &Run, emit: &mut impl FnMut(TestEvent)) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Run(open) if open.run == *run => self.close(open, TestResult::Pass, None, emit),
            Open::Run(open) => {
                let text = format!(
                    "Test {} ended while {} was running",
                    run.name, open.run.name
                );
                note(emit, NoteLevel::Error, text);
                self.open = Open::Run(open);
            }
            Open::Uncertain(results) => {
                // Nothing started in between, so all these results are of this run.
                self.open = Open::Nothing;
                self.start_run(run.clone(), emit);
                for mut result in results {
                    run.name.clone_into(&mut result.definition);
                    self.record(result, emit);
                }
                if let Open::Run(open) = std::mem::replace(&mut self.open, Open::Nothing) {
                    self.close(open, TestResult::Pass, None, emit);
                }
            }
            Open::Nothing => {
                let text = format!("Test {} ended but did not start", run.name);
                note(emit, NoteLevel::Error, text);
            }
        }
        self.set = Set::Closed;
    }

    /// Ends the open run because something else makes clear that it is over.
    pub(super) fn close_open_run(&mut self, emit: &mut impl FnMut(TestEvent)) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Run(open) => {
                note(
                    emit,
                    NoteLevel::Error,
                    "Marking unfinished test run as failed".to_owned(),
                );
                let reason = "it did not report its end".to_owned();
                self.close(open, TestResult::Fail, Some(reason), emit);
            }
            Open::Uncertain(results) => {
                self.lost += results.len();
                for result in results {
                    let text = format!(
                        "The result of test case {} is lost: nobody can tell which test it is of",
                        result.case
                    );
                    note(emit, NoteLevel::Error, text);
                }
            }
            Open::Nothing => {}
        }
    }

    pub(super) fn close(
        &mut self,
        open: OpenRun,
        result: TestResult,
        reason: Option<String>,
        emit: &mut impl FnMut(TestEvent),
    ) {
        let definition = open.definition.map(|index| &self.definitions[index]);
        if let Some(expected) = definition.and_then(|definition| definition.expected.as_ref()) {
            report_missing(expected, &open.run.name, &open.reported, emit);
        }
        note(
            emit,
            NoteLevel::Info,
            "Ending use of test pattern.".to_owned(),
        );
        let uuid = ("uuid".to_owned(), Value::String(open.run.uuid.clone()));
        let fields = definition
            .into_iter()
            .flat_map(|definition| definition.fields.clone());
        let result = CaseResult {
            definition: LAVA.to_owned(),
            case: open.run.name.clone(),
            result,
            reason,
            fields: std::iter::once(uuid).chain(fields).collect(),
            ..CaseResult::default()
        };
        emit(TestEvent::RunEnded {
            run: open.run,
            result,
        });
    }

    /// A result from a signal or from the parse pattern.
    fn case(&mut self, case: Case, reference: Option<String>, emit: &mut impl FnMut(TestEvent)) {
        if matches!(self.open, Open::Nothing) {
            let text = format!("Test case {} was reported before any test started", case.id);
            emit(TestEvent::Raise(Fault::test(text).with_hint(
                "a test reports results only between the start and the end of its definition",
            )));
            return;
        }
        let word = self.fixed(&case.result).to_owned();
        let Some(result) = TestResult::parse(&word) else {
            let text = format!("Bad test result '{word}' of test case {}", case.id);
            note(emit, NoteLevel::Error, text);
            return;
        };
        let measurement = match case.measurement.as_deref().map(str::parse::<f64>) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => {
                let number = case.measurement.unwrap_or_default();
                let text = format!("Invalid measurement '{number}' of test case {}", case.id);
                emit(TestEvent::Raise(Fault::test(text)));
                return;
            }
        };
        let has_lines = reference.is_none();
        let result = CaseResult {
            case: case.id,
            result,
            set: self.open_set(),
            measurement,
            units: case.units,
            reference,
            has_lines,
            ..CaseResult::default()
        };
        self.record(result, emit);
    }

    /// Records a result of the open run, or keeps it until it is clear which run that is.
    pub(super) fn record(&mut self, mut result: CaseResult, emit: &mut impl FnMut(TestEvent)) {
        match &mut self.open {
            Open::Run(open) => {
                open.run.name.clone_into(&mut result.definition);
                if open.reported.len() < MAX_REPORTED {
                    open.reported.insert(result.case.clone());
                }
                let expected = open
                    .definition
                    .and_then(|index| self.definitions[index].expected.as_ref());
                if let Some(expected) = expected
                    && !expected.cases.contains(&result.case)
                {
                    let text = format!(
                        "Test case {} is not in the expected list; its result is set to fail",
                        result.case
                    );
                    note(emit, NoteLevel::Warning, text);
                    result.result = TestResult::Fail;
                    result.reason = Some("it is not in the expected list".to_owned());
                }
                emit(TestEvent::Result(result));
            }
            Open::Uncertain(results) if results.len() < MAX_WAITING => results.push(result),
            Open::Uncertain(_) | Open::Nothing => self.lost += 1,
        }
    }

    pub(super) fn open_set(&self) -> Option<String> {
        match &self.set {
            Set::Open(name) => Some(name.clone()),
            Set::Closed | Set::Uncertain => None,
        }
    }

    /// The result a word stands for in the open run.
    fn fixed<'w>(&'w self, word: &'w str) -> &'w str {
        let Open::Run(OpenRun {
            definition: Some(index),
            ..
        }) = &self.open
        else {
            return word;
        };
        let fixups = &self.definitions[*index].fixups;
        fixups
            .iter()
            .find(|(from, _)| from == word)
            .map_or(word, |(_, to)| to)
    }

    /// Whether lines that are no signals matter now: results are looked for in them.
    pub(super) fn reads_lines(&self) -> bool {
        self.pattern().is_some()
    }

    fn pattern(&self) -> Option<&ParsePattern> {
        let Open::Run(OpenRun {
            definition: Some(index),
            ..
        }) = &self.open
        else {
            return None;
        };
        self.definitions[*index].pattern.as_ref()
    }

    /// Takes a line that is no signal.
    pub(super) fn line(&mut self, line: &[u8], emit: &mut impl FnMut(TestEvent)) {
        let Some(pattern) = self.pattern().cloned() else {
            return;
        };
        let mut cases = Vec::new();
        let searched = pattern.find_in(line, |groups| cases.push(groups));
        for groups in cases {
            self.parsed(groups, emit);
        }
        if let Err(error) = searched {
            emit(TestEvent::Raise(error.fault()));
        }
    }

    fn parsed(&mut self, groups: Vec<(String, String)>, emit: &mut impl FnMut(TestEvent)) {
        let mut case = Case::default();
        for (name, text) in groups {
            match name.as_str() {
                "test_case_id" => case.id = text.trim().to_owned(),
                "result" => case.result = text.trim().to_owned(),
                "measurement" => case.measurement = Some(text),
                "units" => case.units = Some(text),
                _ => {}
            }
        }
        if case.id.is_empty() || case.result.is_empty() {
            return;
        }
        if case.id.contains(char::is_whitespace) {
            let text = format!("Skipping test case id with spaces '{}'", case.id);
            note(emit, NoteLevel::Warning, text);
            return;
        }
        self.case(case, None, emit);
    }

    pub(super) fn finish(&mut self, emit: &mut impl FnMut(TestEvent)) {
        self.close_open_run(emit);
        for (definition, started) in self.definitions.iter().zip(&self.started) {
            if let Some(expected) = &definition.expected
                && expected.by_job
                && !started
            {
                report_missing(expected, &definition.run.name, &HashSet::new(), emit);
            }
        }
        self.started.fill(true);
    }
}

/// Reports expected test cases that were not reported as failed.
fn report_missing(
    expected: &Expected,
    suite: &str,
    reported: &HashSet<String>,
    emit: &mut impl FnMut(TestEvent),
) {
    const REASON: &str = "missing expected test case";
    for case in expected
        .cases
        .iter()
        .filter(|case| !reported.contains(*case))
    {
        let mut extra = serde_json::Map::new();
        extra.insert("reason".to_owned(), Value::String(REASON.to_owned()));
        emit(TestEvent::Result(CaseResult {
            definition: suite.to_owned(),
            case: case.clone(),
            result: TestResult::Fail,
            extra,
            reason: Some(REASON.to_owned()),
            ..CaseResult::default()
        }));
    }
}

pub(super) fn note(emit: &mut impl FnMut(TestEvent), level: NoteLevel, text: String) {
    emit(TestEvent::Note(level, text));
}
