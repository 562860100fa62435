//! Rows of the command table: argument vectors with places to fill.

use crate::{error::ErrorKind, power::PowerState};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Places that every row has.
const COMMON: [&str; 6] = ["outlet", "address", "host", "port", "username", "password"];

/// Memory of a compiled pattern at most.
const PATTERN_LIMIT: usize = 1 << 20;

/// One model.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Run before each switch: to set up a tool.
    pub(super) before: Option<Line>,
    pub(super) on: Option<Line>,
    pub(super) off: Option<Line>,
    pub(super) reset: Option<Line>,
    pub(super) state: Option<Line>,
    state_on: Option<String>,
    state_off: Option<String>,
    /// Output that says that the login was refused.
    denied: Option<String>,
    /// Output that says that the device did not answer.
    unreachable: Option<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) options: BTreeMap<String, String>,
    pub(super) needs: Vec<String>,
    pub(super) outlets: Option<u32>,
    pub(super) port: Option<u16>,
}

/// An argument vector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Line(Vec<Part>);

/// One argument; or several that are only there if every place in them has a value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an argument is text, or a list of texts")]
enum Part {
    Argument(String),
    IfSet(Vec<String>),
}

/// What fills the places.
pub(super) type Values = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RowText {
    before: Option<Line>,
    on: Option<Line>,
    off: Option<Line>,
    reset: Option<Line>,
    state: Option<Line>,
    state_on: Option<String>,
    state_off: Option<String>,
    denied: Option<String>,
    unreachable: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    needs: Vec<String>,
    outlets: Option<u32>,
    port: Option<u16>,
}

impl RowText {
    pub(super) fn compile(self) -> Result<Row, String> {
        let row = Row {
            before: self.before,
            on: self.on,
            off: self.off,
            reset: self.reset,
            state: self.state,
            state_on: self.state_on,
            state_off: self.state_off,
            denied: self.denied,
            unreachable: self.unreachable,
            environment: self.environment,
            options: self.options,
            needs: self.needs,
            outlets: self.outlets,
            port: self.port,
        };
        row.check()?;
        Ok(row)
    }
}

impl Row {
    fn check(&self) -> Result<(), String> {
        let known: BTreeSet<_> = COMMON
            .into_iter()
            .chain(self.options.keys().map(String::as_str))
            .collect();
        for (what, line) in self.lines() {
            for place in line.arguments().flat_map(places) {
                let place = place?;
                if place == "password" {
                    return Err(format!(
                        "'{what}' has the password in an argument, where every user of this \
                         host can read it: use 'environment'"
                    ));
                }
                if !known.contains(place) {
                    return Err(format!("'{what}' has the unknown place '{{{place}}}'"));
                }
            }
            if line.0.is_empty() || matches!(&line.0[0], Part::IfSet(_)) {
                return Err(format!("'{what}' has to begin with a program"));
            }
        }
        for place in self.environment.values().flat_map(|value| places(value)) {
            let place = place?;
            if !known.contains(place) {
                return Err(format!("'environment' has the unknown place '{{{place}}}'"));
            }
        }
        let patterns = [
            &self.state_on,
            &self.state_off,
            &self.denied,
            &self.unreachable,
        ];
        for pattern in patterns.into_iter().flatten() {
            compile(pattern, &Values::new())?;
        }
        if self.state.is_some() != (self.state_on.is_some() && self.state_off.is_some()) {
            return Err("'state' goes with 'state-on' and 'state-off'".to_owned());
        }
        Ok(())
    }

    fn lines(&self) -> impl Iterator<Item = (&'static str, &Line)> {
        [
            ("before", &self.before),
            ("on", &self.on),
            ("off", &self.off),
            ("reset", &self.reset),
            ("state", &self.state),
        ]
        .into_iter()
        .filter_map(|(what, line)| Some((what, line.as_ref()?)))
    }

    /// What the output of `state` says; `None` when it says neither or both.
    pub(super) fn state(&self, output: &str, values: &Values) -> Option<PowerState> {
        let says = |pattern: &Option<String>| {
            let pattern = compile(pattern.as_deref()?, values).ok()?;
            Some(pattern.is_match(output))
        };
        match (says(&self.state_on)?, says(&self.state_off)?) {
            (true, false) => Some(PowerState::On),
            (false, true) => Some(PowerState::Off),
            _ => None,
        }
    }

    /// What kind of failure the output tells.
    pub(super) fn failure(&self, output: &str) -> Option<ErrorKind> {
        let says = |pattern: &Option<String>| {
            let pattern = pattern
                .as_deref()
                .and_then(|text| compile(text, &Values::new()).ok());
            pattern.is_some_and(|pattern| pattern.is_match(output))
        };
        if says(&self.denied) {
            Some(ErrorKind::PermissionDenied)
        } else if says(&self.unreachable) {
            Some(ErrorKind::Closed)
        } else {
            None
        }
    }
}

impl Line {
    fn arguments(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|part| match part {
                Part::Argument(argument) => std::slice::from_ref(argument),
                Part::IfSet(arguments) => arguments.as_slice(),
            })
            .map(String::as_str)
    }

    /// The words, with every place filled: each value stays inside its argument, whatever is in
    /// it.
    ///
    /// # Errors
    /// When a place has no value, or a value would make an argument an option.
    pub(super) fn words(&self, values: &Values) -> Result<Vec<String>, String> {
        let mut words = Vec::new();
        for part in &self.0 {
            match part {
                Part::Argument(argument) => words.push(fill(argument, values)?),
                Part::IfSet(arguments) => {
                    let is_set = |place: Result<&str, String>| {
                        place.is_ok_and(|place| values.get(place).is_some_and(|v| !v.is_empty()))
                    };
                    if arguments
                        .iter()
                        .flat_map(|argument| places(argument))
                        .all(is_set)
                    {
                        for argument in arguments {
                            words.push(fill(argument, values)?);
                        }
                    }
                }
            }
        }
        Ok(words)
    }
}

/// Fills the places of `text`.
pub(super) fn fill(text: &str, values: &Values) -> Result<String, String> {
    let mut filled = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Place(place) => match values.get(place) {
                Some(value) if filled.is_empty() && value.starts_with('-') => {
                    return Err(format!("'{place}' cannot begin with a hyphen: '{value}'"));
                }
                Some(value) if !value.is_empty() => filled.push_str(value),
                _ => return Err(format!("it needs '{place}'")),
            },
            Piece::Open => return Err(format!("'{text}': a brace does not end")),
        }
    }
    Ok(filled)
}

enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
    Open,
}

/// The parts of a text with places like `{host}`.
fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some((before, rest)) = text.split_once('{') {
        pieces.push(Piece::Text(before));
        match rest.split_once('}') {
            Some((place, rest)) => {
                pieces.push(Piece::Place(place));
                text = rest;
            }
            None => {
                pieces.push(Piece::Open);
                return pieces;
            }
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

fn places(text: &str) -> Vec<Result<&str, String>> {
    let pieces = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Place(place) => Some(Ok(place)),
        Piece::Open => Some(Err(format!("'{text}': a brace does not end"))),
    });
    pieces.collect()
}

/// A pattern whose `{outlet}` is the outlet's name, taken literally. Other braces are the
/// pattern's own.
fn compile(pattern: &str, values: &Values) -> Result<Regex, String> {
    let outlet = values.get("outlet").map_or("", String::as_str);
    let text = pattern.replace("{outlet}", &regex::escape(outlet));
    RegexBuilder::new(&text)
        .case_insensitive(true)
        .multi_line(true)
        .size_limit(PATTERN_LIMIT)
        .build()
        .map_err(|error| error.to_string())
}
