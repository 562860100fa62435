//! What is known of the running tests from elsewhere, to tell a well repaired signal from a wrong
//! one: the runs of the job, the open test case, and the commands that `set -x` prints.

use crate::expect::console;

use super::grammar::{Case, Run, Signal};

/// How deep test cases nest before older ones are forgotten.
const MAX_OPEN_CASES: usize = 16;

/// What a signal is in the light of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Contradicted,
    Possible,
    Confirmed,
}

/// What is known of the running tests.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// The runs of the job; empty when nobody told.
    runs: Vec<Run>,
    /// Words that stand for results beside LAVA's own.
    pub(super) further_results: Vec<String>,
    open_run: Option<Run>,
    /// Test cases that started and did not end; `None` for one whose id was lost.
    open_cases: Vec<Option<String>>,
    /// The test case that just ended: the next result is its own.
    ended_case: Option<String>,
    /// What the command that the shell just printed will report.
    announced: Option<Announced>,
}

#[derive(Debug)]
enum Announced {
    /// `lava-test-case ID --result …`: just this result.
    Result(Case),
    /// `lava-test-case ID --shell …`: anything may come between start and end.
    Shell(String),
    /// A signal of another helper.
    Signal(Signal),
}

impl Knowledge {
    /// Knowledge of the runs of a job; none when nobody told.
    pub(super) fn new(runs: Vec<Run>) -> Self {
        Self {
            runs,
            ..Self::default()
        }
    }

    /// The test case whose result comes next, by the order the helpers keep.
    pub(super) fn due_case(&self) -> Option<&str> {
        match (&self.ended_case, &self.announced) {
            (Some(id), _) => Some(id),
            (None, Some(Announced::Result(case))) if self.open_cases.is_empty() => Some(&case.id),
            _ => None,
        }
    }

    /// Judges a signal that was put together from pieces.
    pub(super) fn judge(&self, signal: &Signal) -> Verdict {
        match signal {
            Signal::StartRun(run) => self.judge_run(run),
            Signal::EndRun(run) => match &self.open_run {
                Some(open) => verdict(open == run),
                None => self.judge_run(run),
            },
            Signal::EndCase(id) => match self.open_cases.last() {
                Some(Some(open)) => verdict(open == id),
                _ => Verdict::Possible,
            },
            Signal::StartCase(id) => match &self.announced {
                Some(Announced::Shell(announced)) if self.open_cases.is_empty() => {
                    verdict(announced == id)
                }
                Some(Announced::Result(case)) if self.open_cases.is_empty() => {
                    verdict(case.id == *id)
                }
                _ => Verdict::Possible,
            },
            Signal::Case(case) => match (&self.ended_case, &self.announced) {
                (Some(ended), _) if *ended != case.id => Verdict::Contradicted,
                (_, Some(Announced::Result(announced))) if self.open_cases.is_empty() => {
                    verdict(announced == case)
                }
                (Some(_), _) => Verdict::Confirmed,
                _ => Verdict::Possible,
            },
            other => match &self.announced {
                Some(Announced::Signal(announced)) if same_kind(announced, other) => {
                    verdict(announced == other)
                }
                _ => Verdict::Possible,
            },
        }
    }

    fn judge_run(&self, run: &Run) -> Verdict {
        if self.runs.is_empty() {
            Verdict::Possible
        } else {
            verdict(self.runs.contains(run))
        }
    }

    /// Learns from a signal that was read.
    pub(super) fn learn(&mut self, signal: &Signal) {
        match signal {
            Signal::StartRun(run) => {
                self.forget_cases();
                self.open_run = Some(run.clone());
            }
            Signal::EndRun(_) | Signal::RunnerExit => {
                self.forget_cases();
                self.open_run = None;
            }
            Signal::StartCase(id) => self.open_case(Some(id.clone())),
            Signal::EndCase(id) => {
                match self.open_cases.pop() {
                    Some(Some(open)) if open != *id => self.open_cases.clear(),
                    _ => {}
                }
                self.ended_case = Some(id.clone());
            }
            Signal::Case(_) => {
                self.ended_case = None;
                if !matches!(self.announced, Some(Announced::Shell(_))) {
                    self.announced = None;
                }
            }
            _ => {}
        }
    }

    /// Learns that a signal was lost, of which at most the name is known.
    pub(super) fn learn_lost(&mut self, name: Option<&str>) {
        match name {
            Some("STARTTC") => self.open_case(None),
            Some("ENDTC") => {
                self.open_cases.pop();
                self.ended_case = None;
            }
            Some("TESTCASE") => {
                self.ended_case = None;
                self.announced = None;
            }
            Some("STARTRUN" | "ENDRUN") => {
                self.forget_cases();
                self.open_run = None;
            }
            Some(_) => {}
            None => {
                self.forget_cases();
                self.open_run = None;
            }
        }
    }

    /// Learns from a command that the shell printed before it runs it.
    pub(super) fn learn_command(&mut self, line: &[u8]) {
        self.announced = announced(line);
        self.ended_case = None;
    }

    fn open_case(&mut self, id: Option<String>) {
        if self.open_cases.len() >= MAX_OPEN_CASES {
            self.open_cases.remove(0);
        }
        self.open_cases.push(id);
        self.ended_case = None;
    }

    fn forget_cases(&mut self) {
        self.open_cases.clear();
        self.ended_case = None;
        self.announced = None;
    }
}

fn verdict(agrees: bool) -> Verdict {
    if agrees {
        Verdict::Confirmed
    } else {
        Verdict::Contradicted
    }
}

fn same_kind(one: &Signal, other: &Signal) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Reads `+ lava-test-case ID --result pass …` and its like. Only a command that is whole tells
/// anything: kernel output may have cut this line too.
fn announced(line: &[u8]) -> Option<Announced> {
    if console::kernel_line(line).is_some() {
        return None;
    }
    let line = std::str::from_utf8(line).ok()?;
    let words = words(line.trim_start_matches('+').trim_start())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (command, arguments) = words.split_first()?;
    let owned = |text: &str| text.to_owned();
    match (command.rsplit('/').next()?, arguments) {
        ("lava-test-case", [id, "--shell", ..]) => Some(Announced::Shell(owned(id))),
        ("lava-test-case", [id, "--result", result, options @ ..]) => {
            let mut case = Case {
                id: owned(id),
                result: owned(result),
                ..Case::default()
            };
            for option in options.chunks(2) {
                match *option {
                    ["--measurement", number] => case.measurement = Some(owned(number)),
                    ["--units", units] => case.units = Some(owned(units)),
                    _ => return None,
                }
            }
            Some(Announced::Result(case))
        }
        ("lava-test-reference", [id, "--result", result, "--reference", reference]) => {
            Some(Announced::Signal(Signal::Reference {
                id: owned(id),
                result: owned(result),
                reference: owned(reference),
            }))
        }
        ("lava-test-set", ["start", name]) => {
            Some(Announced::Signal(Signal::StartSet(owned(name))))
        }
        _ => None,
    }
}

/// The words of a command as a shell prints them: plain or in single quotes.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for word in line.split(' ') {
        let quoted = word
            .strip_prefix('\'')
            .and_then(|word| word.strip_suffix('\''));
        let word = quoted.unwrap_or(word);
        // The rest of a `--shell` command may be quoted in other ways; its words do not matter.
        words.push(word.replace('\'', "\u{fffd}"));
    }
    (!words.is_empty()).then_some(words)
}
