//! The strict form of signals, as LAVA's helpers write them: each known name, each argument once
//! and in its place, single spaces.
//!
//! Only what has this form is put together from pieces. That is what makes most cut signals
//! readable in one way only.

use super::grammar::Kind;

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

pub(super) const TESTCASE: &str = "TESTCASE";
const RESULTS: [&str; 8] = [
    "pass", "fail", "skip", "unknown", "PASS", "FAIL", "SKIP", "UNKNOWN",
];
const RUNNER: [&str; 3] = ["EXIT", "INSTALL_FAIL", "START"];
pub(super) const MULTI_NODE: [&str; 4] = ["SEND", "SYNC", "WAIT", "WAIT_ALL"];

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
