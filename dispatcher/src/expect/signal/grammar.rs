//! What signals say, and reading a whole one as LAVA 2026.07 does.

use super::form::{MULTI_NODE, TESTCASE};
use job::TestResult;

/// A line that a test wrote for the dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `STARTRUN <index>_<name> <uuid>`: a test definition starts.
    StartRun(Run),
    /// `ENDRUN <index>_<name> <uuid>`: it ends.
    EndRun(Run),
    /// `STARTTC <id>`: what follows is the output of a test case.
    StartCase(String),
    /// `ENDTC <id>`: its output ends.
    EndCase(String),
    /// `TESTCASE TEST_CASE_ID=… RESULT=… [UNITS=…] [MEASUREMENT=…]`.
    Case(Case),
    /// `TESTSET START <name>`.
    StartSet(String),
    /// `TESTSET STOP`.
    StopSet,
    /// `TESTREFERENCE <id> <result> <url>`.
    Reference {
        /// The test case.
        id: String,
        /// The result as the test wrote it.
        result: String,
        /// The URL.
        reference: String,
    },
    /// `TESTRAISE <message>`: the test wants the job to fail.
    Raise(String),
    /// `TESTFEEDBACK <namespace>`: read what that namespace's console printed.
    Feedback(String),
    /// `TESTEVENT <message>`.
    Event(String),
    /// `RETRUNCODE <number>`: how a typed command ended. LAVA spells it so.
    ReturnCode(u32),
    /// `<LAVA_TEST_RUNNER EXIT>`: all tests ran.
    RunnerExit,
    /// `<LAVA_TEST_RUNNER INSTALL_FAIL>`: a test definition could not be installed.
    InstallFail,
    /// `<LAVA_MULTI_NODE> <LAVA_… …>`: `SEND`, `SYNC`, `WAIT` or `WAIT_ALL`.
    MultiNode {
        /// What the test asks for, in upper case.
        request: String,
        /// The words after it.
        arguments: Vec<String>,
    },
    /// Any other `<LAVA_SIGNAL_… …>`.
    Other {
        /// Its name.
        name: String,
        /// All after it.
        arguments: String,
    },
}

/// One run of a test definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The suite, `<index>_<name>`.
    pub name: String,
    /// `<job>_<level>`.
    pub uuid: String,
}

/// What a `TESTCASE` signal says, as the test wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// The test case.
    pub id: String,
    /// The result, not checked.
    pub result: String,
    /// A measured number, not checked.
    pub measurement: Option<String>,
    /// Its unit.
    pub units: Option<String>,
}

/// The three forms of signals, by how they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Signal,
    Runner,
    MultiNode,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Signal, Self::Runner, Self::MultiNode];

    /// What every signal of this kind starts with.
    pub(super) fn marker(self) -> &'static [u8] {
        match self {
            Self::Signal => b"<LAVA_SIGNAL_",
            Self::Runner => b"<LAVA_TEST_RUNNER ",
            Self::MultiNode => b"<LAVA_MULTI_NODE> <LAVA_",
        }
    }
}

/// Reads the text between marker and `>` as LAVA does. The error says what is wrong with it.
pub(super) fn parse(kind: Kind, body: &[u8]) -> Result<Signal, &'static str> {
    let body = String::from_utf8_lossy(body);
    match kind {
        Kind::Runner => match &*body {
            "EXIT" => Ok(Signal::RunnerExit),
            "INSTALL_FAIL" => Ok(Signal::InstallFail),
            other => Ok(Signal::Other {
                name: "TEST_RUNNER".to_owned(),
                arguments: other.to_owned(),
            }),
        },
        Kind::MultiNode => {
            let mut words = body.split_whitespace().map(str::to_owned);
            let request = words.next().ok_or("it asks for nothing")?;
            if !MULTI_NODE.contains(&request.as_str()) {
                return Err("it asks for something that is not known");
            }
            let arguments: Vec<String> = words.collect();
            if arguments.is_empty() {
                return Err("it has no message id");
            }
            Ok(Signal::MultiNode { request, arguments })
        }
        Kind::Signal => {
            let (name, arguments) = body.split_once(' ').unwrap_or((&body, ""));
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            {
                return Err("its name is not known");
            }
            parse_signal(name, arguments.trim())
        }
    }
}

fn parse_signal(name: &str, arguments: &str) -> Result<Signal, &'static str> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let owned = |text: &str| text.to_owned();
    let run = || match words[..] {
        [name, uuid] => Ok(Run {
            name: owned(name),
            uuid: owned(uuid),
        }),
        _ => Err("it must have a name and a uuid"),
    };
    let word = || match words[..] {
        [word] => Ok(owned(word)),
        _ => Err("it must have one argument"),
    };
    let text = || {
        if arguments.is_empty() {
            Err("it must have one argument")
        } else {
            Ok(owned(arguments))
        }
    };
    Ok(match name {
        "STARTRUN" => Signal::StartRun(run()?),
        "ENDRUN" => Signal::EndRun(run()?),
        "STARTTC" => Signal::StartCase(word()?),
        "ENDTC" => Signal::EndCase(word()?),
        TESTCASE => Signal::Case(parse_case(&words)?),
        "TESTSET" => match words[..] {
            ["START", name] => Signal::StartSet(owned(name)),
            ["STOP", ..] => Signal::StopSet,
            _ => return Err("it must have START and a name, or STOP"),
        },
        "TESTREFERENCE" => match words[..] {
            [id, result, reference] => Signal::Reference {
                id: owned(id),
                result: owned(result),
                reference: owned(reference),
            },
            _ => return Err("it must have a test case, a result and a reference"),
        },
        "TESTRAISE" => Signal::Raise(text()?),
        "TESTFEEDBACK" => Signal::Feedback(word()?),
        "TESTEVENT" => Signal::Event(text()?),
        "RETRUNCODE" | "RETURNCODE" => {
            let code = arguments.parse().map_err(|_| "it must have a number")?;
            Signal::ReturnCode(code)
        }
        _ => Signal::Other {
            name: owned(name),
            arguments: owned(arguments),
        },
    })
}

fn parse_case(words: &[&str]) -> Result<Case, &'static str> {
    let mut case = Case::default();
    for word in words {
        let (key, value) = word.split_once('=').ok_or("an argument has no value")?;
        let value = value.to_owned();
        match key.to_ascii_lowercase().as_str() {
            "test_case_id" => case.id = value,
            "result" => case.result = value,
            "measurement" => case.measurement = Some(value),
            "units" => case.units = Some(value),
            // LAVA keeps other keys and uses none of them.
            _ => {}
        }
    }
    if case.id.is_empty() {
        return Err("it has no test case id");
    }
    if case.result.is_empty() {
        return Err("it has no result");
    }
    Ok(case)
}

impl Signal {
    /// Whether all its values are such that a test may report them.
    pub(super) fn has_good_values(&self, further_results: &[String]) -> bool {
        let good = |result: &String| {
            TestResult::parse(result).is_some() || further_results.contains(result)
        };
        match self {
            Self::Case(case) => {
                let measurement = case.measurement.as_deref();
                good(&case.result) && measurement.is_none_or(|number| number.parse::<f64>().is_ok())
            }
            Self::Reference { result, .. } => good(result),
            Self::Other { .. } => false,
            _ => true,
        }
    }

    /// Whether any text may stand at its end, so that kernel output with a `>` in it could have
    /// passed for its last argument.
    pub(super) fn ends_freely(&self) -> bool {
        match self {
            Self::Case(case) => case.units.is_some(),
            Self::RunnerExit | Self::InstallFail | Self::StopSet | Self::ReturnCode(_) => false,
            _ => true,
        }
    }

    /// The test case it is about.
    pub fn case_id(&self) -> Option<&str> {
        match self {
            Self::StartCase(id) | Self::EndCase(id) | Self::Reference { id, .. } => Some(id),
            Self::Case(case) => Some(&case.id),
            _ => None,
        }
    }
}

impl Signal {
    /// Its name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Other { name, .. } => name,
            known => known.known_name().unwrap_or_default(),
        }
    }

    /// Its name on the wire, unless it is one that LAVA does not know.
    pub(super) fn known_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::StartRun(_) => "STARTRUN",
            Self::EndRun(_) => "ENDRUN",
            Self::StartCase(_) => "STARTTC",
            Self::EndCase(_) => "ENDTC",
            Self::Case(_) => TESTCASE,
            Self::StartSet(_) | Self::StopSet => "TESTSET",
            Self::Reference { .. } => "TESTREFERENCE",
            Self::Raise(_) => "TESTRAISE",
            Self::Feedback(_) => "TESTFEEDBACK",
            Self::Event(_) => "TESTEVENT",
            Self::ReturnCode(_) => "RETRUNCODE",
            Self::RunnerExit | Self::InstallFail => "TEST_RUNNER",
            Self::MultiNode { .. } => "MULTI_NODE",
            Self::Other { .. } => return None,
        })
    }
}

impl Signal {
    /// Its arguments as they stand on the wire, with single spaces.
    pub fn arguments(&self) -> String {
        match self {
            Self::StartRun(run) | Self::EndRun(run) => format!("{} {}", run.name, run.uuid),
            Self::StartCase(text)
            | Self::EndCase(text)
            | Self::Raise(text)
            | Self::Feedback(text)
            | Self::Event(text)
            | Self::Other {
                arguments: text, ..
            } => text.clone(),
            Self::Case(case) => {
                let mut text = format!("TEST_CASE_ID={} RESULT={}", case.id, case.result);
                for (key, value) in [("UNITS", &case.units), ("MEASUREMENT", &case.measurement)] {
                    if let Some(value) = value {
                        text.push_str(&format!(" {key}={value}"));
                    }
                }
                text
            }
            Self::StartSet(name) => format!("START {name}"),
            Self::StopSet => "STOP".to_owned(),
            Self::Reference {
                id,
                result,
                reference,
            } => format!("{id} {result} {reference}"),
            Self::ReturnCode(code) => code.to_string(),
            Self::RunnerExit => "EXIT".to_owned(),
            Self::InstallFail => "INSTALL_FAIL".to_owned(),
            Self::MultiNode { request, arguments } => format!("{request} {}", arguments.join(" ")),
        }
    }
}
