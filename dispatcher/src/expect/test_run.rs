//! The tests of one test shell: from signals and lines to results.
//!
//! The runner feeds what the console prints and carries out what comes back: it writes the log,
//! records results, adds durations, answers MultiNode requests. This knows which test definition
//! runs, which set is open and what is expected, as LAVA 2026.07 does; where a signal was lost it
//! reports `unknown` with the reason if it is certain what was lost, and otherwise says so in the
//! log and credits nothing.

mod lost;
mod state;

use super::{
    lines::LineSplitter,
    pattern::{Pattern, PatternError, PatternSet},
    signal::{LINE_LIMIT, Run, SignalDecoder},
};
use job::{CaseResult, Fault};
use memchr::memchr;
use serde_json::Value;
use state::State;
use std::cell::Cell;

/// One test definition of the shell.
#[derive(Clone, Debug)]
pub struct RunDefinition {
    /// Its suite and uuid, as its signals carry them.
    pub run: Run,
    /// How to find results in its output.
    pub pattern: Option<ParsePattern>,
    /// Words that its signals use for results, and the results they stand for.
    pub fixups: Vec<(String, String)>,
    /// The test cases that must be reported, when the job or the definition lists them.
    pub expected: Option<Expected>,
    /// The fields of its final record (`repository`, `path`, `revision`, …), in their order.
    pub fields: Vec<(String, Value)>,
}

/// The test cases that must be reported.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Their ids.
    pub cases: Vec<String>,
    /// Whether the job lists them: missing ones are then reported even if the run never started.
    pub by_job: bool,
}

/// `parse.pattern` of a test definition, matched line by line.
#[derive(Clone, Debug)]
pub struct ParsePattern {
    source: String,
    set: PatternSet,
}

impl ParsePattern {
    /// Compiles a pattern with the named groups `test_case_id`, `result`, `measurement`, `units`.
    ///
    /// # Errors
    ///
    /// When Python would refuse the pattern, or when it is too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self {
            source: pattern.to_owned(),
            set: PatternSet::new(vec![Pattern::for_lines(pattern)?])?,
        })
    }

    /// Gives the named groups of each match in a line.
    fn find_in(
        &self,
        line: &[u8],
        mut found: impl FnMut(Vec<(String, String)>),
    ) -> Result<(), PatternError> {
        let mut text = line.to_vec();
        text.push(b'\n');
        let mut from = 0;
        while let Some(hit) = self.set.captures(&text, from)? {
            let groups = hit
                .groups
                .into_iter()
                .map(|(name, span)| (name, String::from_utf8_lossy(&text[span]).into_owned()));
            found(groups.collect());
            from = hit.span.end.max(hit.span.start + 1);
            if from >= text.len() {
                break;
            }
        }
        Ok(())
    }
}

/// The level of a line for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteLevel {
    /// For developers of jobs.
    Debug,
    /// Progress.
    Info,
    /// Something is off.
    Warning,
    /// Something is wrong.
    Error,
    /// A `TESTEVENT`.
    Event,
}

/// What the runner has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TestEvent {
    /// Write this to the log.
    Note(NoteLevel, String),
    /// Record that this signal was read. Comes before what follows from it.
    Signal(wire::journal::Signal),
    /// Record the result of a test case.
    Result(CaseResult),
    /// A test definition starts: its clock too.
    RunStarted(Run),
    /// A test definition ended. Add duration and namespace, then record the result.
    RunEnded {
        /// The definition.
        run: Run,
        /// Its result in suite `lava`.
        result: CaseResult,
    },
    /// Read what the console of this namespace printed.
    Feedback(String),
    /// Answer a MultiNode request.
    MultiNode {
        /// `SEND`, `SYNC`, `WAIT` or `WAIT_ALL`.
        request: String,
        /// Its words.
        arguments: Vec<String>,
        /// The suite to record its result in, when one is open.
        suite: Option<String>,
    },
    /// A test definition could not be installed: the action fails when all tests ran.
    InstallFailed,
    /// All tests ran.
    Finished,
    /// Stop: this is why.
    Raise(Fault),
}

/// The tests of one test shell.
#[derive(Debug)]
pub struct TestRun {
    splitter: LineSplitter,
    decoder: SignalDecoder,
    state: State,
}

impl TestRun {
    /// A test shell with these definitions, in the order they run.
    pub fn new(definitions: Vec<RunDefinition>) -> Self {
        let runs = definitions.iter().map(|definition| definition.run.clone());
        let mut decoder = SignalDecoder::new(runs.collect());
        let words = definitions.iter().flat_map(|definition| &definition.fixups);
        decoder.set_further_results(words.map(|(word, _)| word.clone()).collect());
        Self {
            splitter: LineSplitter::with_limit(LINE_LIMIT),
            decoder,
            state: State::new(definitions),
        }
    }

    /// Takes what the console printed.
    pub fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(TestEvent)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.push_until_event(rest, emit);
            rest = &rest[taken..];
        }
    }

    /// Takes lines up to the first one from which something follows, that one included, and says
    /// how many bytes that were. What is left is to be pushed next.
    pub fn push_until_event(&mut self, bytes: &[u8], emit: &mut impl FnMut(TestEvent)) -> usize {
        let Self {
            splitter,
            decoder,
            state,
        } = self;
        let is_quiet = Cell::new(true);
        let mut emit = |event| {
            is_quiet.set(false);
            emit(event);
        };
        let mut taken = 0;
        while taken < bytes.len() {
            if splitter.partial().is_empty() && !state.reads_lines() {
                taken += decoder.quiet_lines(&bytes[taken..]);
            }
            let rest = &bytes[taken..];
            let line = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            splitter.push(&rest[..line], &mut |line, end| {
                let is_signal =
                    decoder.line(line, end, &mut |event| state.signal(event, &mut emit));
                if !is_signal {
                    state.line(line, &mut emit);
                }
            });
            taken += line;
            if !is_quiet.get() {
                break;
            }
        }
        taken
    }

    /// The test shell is over, whether all tests ran or not: a run that is still open has failed,
    /// and expected test cases that were not reported are.
    pub fn finish(&mut self, emit: &mut impl FnMut(TestEvent)) {
        let Self {
            splitter,
            decoder,
            state,
        } = self;
        splitter.flush(&mut |line, end| {
            decoder.line(line, end, &mut |event| state.signal(event, emit));
        });
        decoder.flush(&mut |event| state.signal(event, emit));
        state.finish(emit);
    }

    /// The suite whose tests run now, when that is certain.
    pub fn open_suite(&self) -> Option<&str> {
        self.state.open_suite()
    }

    /// How many results were lost so far because it is not certain whose they were.
    pub fn lost_results(&self) -> usize {
        self.state.lost_results()
    }
}

#[cfg(test)]
mod tests;
