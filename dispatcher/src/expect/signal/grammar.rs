//! What a signal looks like: reading a whole one, and telling whether a text can become one.
//!
//! Whole signals are read as LAVA 2026.07 reads them. Signals put together from pieces must fit a
//! stricter form, the one that LAVA's helpers write: each known name, each argument once and in its
//! place, single spaces. That is what makes most cut signals readable in one way only.

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

/// How a text relates to what a signal may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// No signal starts so.
    Dead,
    /// The beginning of one.
    Prefix,
    /// A whole one, and perhaps the beginning of a longer one.
    Complete,
}

/// One argument in the strict form.
#[derive(Clone, Copy)]
enum Argument {
    Word,
    Result,
    Number,
    Start,
    Stop,
    /// All to the end, spaces too.
    Text,
}

use Argument::{Number, Result as ResultWord, Start, Stop, Text, Word};

/// The names of signals with the arguments they take; `TESTCASE` has rules of its own.
const FORMS: [(&str, &[Argument]); 13] = [
    ("STARTRUN", &[Word, Word]),
    ("ENDRUN", &[Word, Word]),
    ("STARTTC", &[Word]),
    ("ENDTC", &[Word]),
    (TESTCASE, &[]),
    ("TESTSET", &[Start, Word]),
    ("TESTSET", &[Stop]),
    ("TESTREFERENCE", &[Word, ResultWord, Word]),
    ("TESTRAISE", &[Text]),
    ("TESTFEEDBACK", &[Word]),
    ("TESTEVENT", &[Text]),
    ("RETRUNCODE", &[Number]),
    ("RETURNCODE", &[Number]),
];

const TESTCASE: &str = "TESTCASE";
const RESULTS: [&str; 8] = [
    "pass", "fail", "skip", "unknown", "PASS", "FAIL", "SKIP", "UNKNOWN",
];
const RUNNER: [&str; 3] = ["EXIT", "INSTALL_FAIL", "START"];
const MULTI_NODE: [&str; 4] = ["SEND", "SYNC", "WAIT", "WAIT_ALL"];

/// The longest signal that is put together from pieces, in bytes.
const LONGEST: usize = 1_024;

/// How the text between marker and `>` fits the strict form.
pub(super) fn fit(kind: Kind, body: &[u8]) -> Fit {
    let Ok(body) = std::str::from_utf8(body) else {
        // The end may be half a character.
        return if body.len() <= LONGEST {
            Fit::Prefix
        } else {
            Fit::Dead
        };
    };
    if body.len() > LONGEST || body.contains(['<', '>']) || body.contains(char::is_control) {
        return Fit::Dead;
    }
    match kind {
        Kind::Runner => fit_any(&RUNNER, body),
        Kind::MultiNode => match body.split_once(' ') {
            None => prefix_of_any(&MULTI_NODE, body),
            Some((request, arguments)) if MULTI_NODE.contains(&request) => {
                fit_argument(Text, arguments)
            }
            Some(_) => Fit::Dead,
        },
        Kind::Signal => match body.split_once(' ') {
            None => {
                let known = FORMS.iter().any(|(name, _)| name.starts_with(body));
                if known { Fit::Prefix } else { Fit::Dead }
            }
            Some((TESTCASE, arguments)) => fit_case(arguments),
            Some((name, arguments)) => FORMS
                .iter()
                .filter(|(form, _)| *form == name)
                .map(|(_, form)| fit_arguments(form, arguments))
                .fold(Fit::Dead, better),
        },
    }
}

fn better(one: Fit, other: Fit) -> Fit {
    match (one, other) {
        (Fit::Complete, _) | (_, Fit::Complete) => Fit::Complete,
        (Fit::Prefix, _) | (_, Fit::Prefix) => Fit::Prefix,
        _ => Fit::Dead,
    }
}

fn fit_arguments(form: &[Argument], text: &str) -> Fit {
    if let [Text] = form {
        return fit_argument(Text, text);
    }
    let words: Vec<&str> = text.split(' ').collect();
    if words.len() > form.len() {
        return Fit::Dead;
    }
    let fits = words
        .iter()
        .zip(form)
        .map(|(word, argument)| fit_argument(*argument, word));
    all_then_last(fits, words.len() == form.len())
}

/// Every part but the last must be whole; the last decides, and is whole only if nothing misses.
fn all_then_last(fits: impl Iterator<Item = Fit>, none_missing: bool) -> Fit {
    let mut last = Fit::Complete;
    for fit in fits {
        if last != Fit::Complete {
            return Fit::Dead;
        }
        last = fit;
    }
    match last {
        Fit::Complete if !none_missing => Fit::Prefix,
        fit => fit,
    }
}

fn fit_argument(argument: Argument, text: &str) -> Fit {
    match argument {
        _ if text.is_empty() => Fit::Prefix,
        Word | Text => Fit::Complete,
        ResultWord => fit_any(&RESULTS, text),
        Number if text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Fit::Complete
        }
        Number => Fit::Dead,
        Start => fit_any(&["START"], text),
        Stop => fit_any(&["STOP"], text),
    }
}

fn fit_any(words: &[&str], text: &str) -> Fit {
    if words.contains(&text) {
        return Fit::Complete;
    }
    prefix_of_any(words, text)
}

fn prefix_of_any(words: &[&str], text: &str) -> Fit {
    if words.iter().any(|word| word.starts_with(text)) {
        Fit::Prefix
    } else {
        Fit::Dead
    }
}

/// `TEST_CASE_ID` and `RESULT`, then `UNITS` and `MEASUREMENT` in any order.
fn fit_case(arguments: &str) -> Fit {
    let words: Vec<&str> = arguments.split(' ').collect();
    let mut further = vec!["UNITS=", "MEASUREMENT="];
    let mut fits = Vec::with_capacity(words.len());
    for (place, word) in words.iter().enumerate() {
        let keys: &[&str] = match place {
            0 => &["TEST_CASE_ID="],
            1 => &["RESULT="],
            _ => &further,
        };
        let Some(key) = keys.iter().copied().find(|key| word.starts_with(key)) else {
            fits.push(prefix_of_any(keys, word));
            continue;
        };
        let value = &word[key.len()..];
        fits.push(match key {
            "RESULT=" => fit_argument(ResultWord, value),
            "MEASUREMENT=" => fit_measurement(value),
            _ => fit_argument(Word, value),
        });
        further.retain(|other| *other != key);
    }
    all_then_last(fits.into_iter(), words.len() >= 2)
}

fn fit_measurement(text: &str) -> Fit {
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(is_number) {
        Fit::Dead
    } else if text.parse::<f64>().is_ok() {
        Fit::Complete
    } else {
        Fit::Prefix
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

/// The name of the signal that starts so, when the whole name is there.
pub(super) fn name_of(kind: Kind, body: &[u8]) -> Option<&'static str> {
    match kind {
        Kind::Runner => Some("TEST_RUNNER"),
        Kind::MultiNode => Some("MULTI_NODE"),
        Kind::Signal => {
            let end = body.iter().position(|byte| *byte == b' ')?;
            let known = FORMS.iter().map(|(name, _)| *name);
            known
                .into_iter()
                .find(|name| name.as_bytes() == &body[..end])
        }
    }
}

/// The test case a result starts to tell of, when its whole id is there.
pub(super) fn case_of(kind: Kind, body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let mut words = body.split(' ');
    let id = match (kind, words.next()?) {
        (Kind::Signal, TESTCASE) => words.next()?.strip_prefix("TEST_CASE_ID=")?,
        (Kind::Signal, "TESTREFERENCE") => words.next()?,
        _ => return None,
    };
    // A word is whole when another one follows.
    words.next()?;
    Some(id.to_owned())
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

/// How long the beginning of a text is that the kernel would never write: a whole name, and the
/// key of the test case.
pub(super) fn unmistakable(kind: Kind, body: &[u8]) -> usize {
    if kind != Kind::Signal {
        return 0;
    }
    let names = FORMS.iter().map(|(name, _)| name.len());
    let name = FORMS
        .iter()
        .zip(names)
        .find(|((name, _), length)| {
            body.starts_with(name.as_bytes()) && body.get(*length) == Some(&b' ')
        })
        .map_or(0, |(_, length)| length + 1);
    let key = b"TEST_CASE_ID=";
    if body[name..].starts_with(key) {
        name + key.len()
    } else {
        name
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
