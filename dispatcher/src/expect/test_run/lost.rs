//! What a lost signal means for the results: only what is certain.

use super::{
    NoteLevel, TestEvent,
    state::{Open, Set, State, note},
};
use crate::expect::signal::Lost;
use job::{CaseResult, Fault, TestResult};

impl State {
    /// Something was reported and cannot be read.
    pub(super) fn lost(&mut self, lost: &Lost, emit: &mut impl FnMut(TestEvent)) {
        let what = lost
            .name
            .map_or("A signal".to_owned(), |name| format!("A {name} signal"));
        let whose = lost
            .case
            .as_deref()
            .map(|case| format!(" of test case {case}"));
        let whose = whose.unwrap_or_default();
        note(
            emit,
            NoteLevel::Error,
            format!("{what}{whose} is lost: {}", lost.reason),
        );
        match (lost.name, &lost.case) {
            (Some("TESTCASE" | "TESTREFERENCE"), Some(case)) => {
                let result = CaseResult {
                    case: case.clone(),
                    result: TestResult::Unknown,
                    set: self.open_set(),
                    has_lines: lost.name == Some("TESTCASE"),
                    reason: Some(format!("its result is lost: {}", lost.reason)),
                    ..CaseResult::default()
                };
                self.record(result, emit);
            }
            (Some("TESTCASE" | "TESTREFERENCE"), None) => self.lost += 1,
            (Some("STARTRUN"), _) => {
                self.close_open_run(emit);
                self.open = Open::Uncertain(Vec::new());
                self.set = Set::Closed;
            }
            (Some("ENDRUN"), _) => {
                // Only the open run can end.
                if let Open::Run(open) = std::mem::replace(&mut self.open, Open::Nothing) {
                    self.close(open, TestResult::Pass, None, emit);
                } else {
                    self.open = Open::Uncertain(Vec::new());
                }
                self.set = Set::Closed;
            }
            (Some("TESTRAISE"), _) => {
                let text = "The test raised an error whose message is lost";
                emit(TestEvent::Raise(Fault::test(text)));
            }
            (Some("TESTSET"), _) => self.set = Set::Uncertain,
            (Some(_), _) => {}
            (None, _) => {
                if matches!(self.open, Open::Nothing) {
                    self.open = Open::Uncertain(Vec::new());
                }
                if matches!(self.set, Set::Open(_)) {
                    self.set = Set::Uncertain;
                }
            }
        }
    }
}
