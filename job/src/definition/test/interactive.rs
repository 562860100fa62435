//! Tests at the console: interactive scripts and monitors.

use crate::{FaultClass, Problem, document::Cursor};
use std::time::Duration;

/// One entry of `interactive`.
#[derive(Clone, Debug, PartialEq)]
pub struct InteractiveScript {
    /// Its name: the suite is `<stage>_<name>`.
    pub name: String,
    /// Prompts that end a command.
    pub prompts: Vec<String>,
    /// `echo: discard`: the echo of a command is dropped.
    pub discard_echo: bool,
    /// Test cases the job expects.
    pub expected: Option<Vec<String>>,
    /// The commands in order.
    pub commands: Vec<InteractiveCommand>,
}

/// One command of an interactive script.
#[derive(Clone, Debug, PartialEq)]
pub struct InteractiveCommand {
    /// The test case it is the result of.
    pub name: Option<String>,
    /// What is typed; nothing only waits.
    pub command: Option<String>,
    /// Messages that mean success.
    pub successes: Vec<String>,
    /// Messages that mean failure.
    pub failures: Vec<InteractiveFailure>,
    /// Whether to wait for a prompt at all.
    pub wait_for_prompt: bool,
    /// Pause before it.
    pub delay: Duration,
    /// The MultiNode request it makes instead of typing, `lava-send` and the like.
    pub multinode: Option<String>,
}

/// A message that means failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractiveFailure {
    /// What to look for.
    pub message: String,
    /// The class of the fault that ends the job.
    pub exception: Option<FaultClass>,
    /// The text of that fault.
    pub error: Option<String>,
}

/// One entry of `monitors`.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The suite.
    pub name: String,
    /// Where to begin.
    pub start: String,
    /// Where to end.
    pub end: String,
    /// Finds results.
    pub pattern: String,
    /// Maps words of the output to results.
    pub fixup: Vec<(String, String)>,
    /// Test cases the job expects.
    pub expected: Option<Vec<String>>,
}

impl InteractiveScript {
    pub(super) fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let commands = entry.require("script", problems)?.items(problems);
        Some(Self {
            name: entry.require("name", problems)?.text(problems)?,
            prompts: entry.require("prompts", problems)?.texts(problems),
            discard_echo: entry
                .get("echo")
                .is_some_and(|echo| echo.node().as_str() == Some("discard")),
            expected: entry
                .set("expected")
                .map(|expected| expected.texts(problems)),
            commands: commands
                .iter()
                .map(|command| InteractiveCommand::read(command, problems))
                .collect(),
        })
    }
}

impl InteractiveCommand {
    fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Self {
        let multinode = ["lava-send", "lava-sync", "lava-wait", "lava-wait-all"]
            .into_iter()
            .find(|request| entry.has(request))
            .map(str::to_owned);
        let messages = |key: &str, problems: &mut Vec<Problem>| {
            entry
                .set(key)
                .map_or_else(Vec::new, |list| list.items(problems))
        };
        let successes = messages("successes", problems);
        let failures = messages("failures", problems);
        Self {
            name: entry.text_at("name", problems),
            command: entry.text_at("command", problems),
            successes: successes
                .iter()
                .filter_map(|success| success.require("message", problems)?.text(problems))
                .collect(),
            failures: failures
                .iter()
                .filter_map(|failure| InteractiveFailure::read(failure, problems))
                .collect(),
            wait_for_prompt: entry.flag("wait_for_prompt", true),
            delay: delay(entry, problems),
            multinode,
        }
    }
}

impl InteractiveFailure {
    fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let exception = entry.set("exception").and_then(|exception| {
            let class = match exception.node().as_str() {
                Some("InfrastructureError") => Some(FaultClass::Infrastructure),
                Some("JobError") => Some(FaultClass::Job),
                Some("TestError") => Some(FaultClass::Test),
                _ => None,
            };
            if class.is_none() {
                problems.push(
                    exception
                        .problem("there is no such exception")
                        .with_hint("it is `InfrastructureError`, `JobError` or `TestError`"),
                );
            }
            class
        });
        Some(Self {
            message: entry.require("message", problems)?.text(problems)?,
            exception,
            error: entry.text_at("error", problems),
        })
    }
}

impl Monitor {
    pub(super) fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut required = |key: &str| entry.require(key, problems)?.text(problems);
        let (name, start, end, pattern) = (
            required("name"),
            required("start"),
            required("end"),
            required("pattern"),
        );
        Some(Self {
            name: name?,
            start: start?,
            end: end?,
            pattern: pattern?,
            fixup: entry
                .get("fixupdict")
                .map_or_else(Vec::new, |fixup| fixup.text_entries(problems)),
            expected: entry
                .set("expected")
                .map(|expected| expected.texts(problems)),
        })
    }
}

/// The pause before a command, an hour at most.
fn delay(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Duration {
    let Some(delay) = entry.set("delay") else {
        return Duration::ZERO;
    };
    match delay.node().as_f64() {
        Some(seconds) if (0.0..=3600.0).contains(&seconds) => Duration::from_secs_f64(seconds),
        _ => {
            problems.push(delay.problem("a delay is a number of seconds from 0 to 3600"));
            Duration::ZERO
        }
    }
}
