//! What an answer means: whether it agrees, and what state it shows.

use super::template::{self, Escape, Values};
use crate::power::PowerState;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

/// The largest compiled expression: rows are data of the lab, and memory is still bounded.
const LARGEST_REGEX: usize = 1 << 20;
/// How much of an answer is shown in an error.
const SHOWN: usize = 80;

/// Where in an answer the words are that count.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Find {
    /// JSON pointers (RFC 6901), of which the first that leads somewhere counts. `[key=value]` as
    /// a part of one goes to the element of a list that has it.
    #[serde(default)]
    pointer: OneOrMore,
    /// A regular expression; its first group counts, else all of it.
    regex: Option<String>,
    /// Which match of it: `outlet`, `outlet+10`; the first is 1.
    nth: Option<String>,
    /// Which character of what was found: `outlet`; the first is 1.
    character: Option<String>,
    /// What was found is hexadecimal, and this bit of it counts: `outlet-1`; the lowest is 0.
    bit: Option<String>,
}

/// How an answer shows the state of an outlet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Show {
    #[serde(flatten)]
    find: Find,
    /// The words that mean "on"; `*` is every word that does not mean "off".
    #[serde(default = "default_on")]
    on: OneOrMore,
    /// The words that mean "off".
    #[serde(default = "default_off")]
    off: OneOrMore,
    /// The words that mean: ask again.
    #[serde(default)]
    pending: OneOrMore,
}

/// When an answer agrees.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Expect {
    #[serde(flatten)]
    find: Find,
    /// The words that agree; without them it is enough that something is found.
    #[serde(default)]
    equals: OneOrMore,
}

/// A text or a list of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Texts")]
pub(super) struct OneOrMore(pub(super) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    More(Vec<String>),
}

impl From<Texts> for OneOrMore {
    fn from(texts: Texts) -> Self {
        match texts {
            Texts::One(text) => Self(vec![text]),
            Texts::More(texts) => Self(texts),
        }
    }
}

fn default_on() -> OneOrMore {
    OneOrMore(["1", "on", "ON", "On", "true"].map(str::to_owned).to_vec())
}

fn default_off() -> OneOrMore {
    OneOrMore(
        ["0", "off", "OFF", "Off", "false"]
            .map(str::to_owned)
            .to_vec(),
    )
}

impl OneOrMore {
    fn has(&self, text: &str) -> bool {
        self.0.iter().any(|one| one == text)
    }
}

/// What an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    State(PowerState),
    /// The outlet is about to move.
    Pending,
}

impl Find {
    /// Whether it says nothing at all: then the whole answer counts.
    fn is_empty(&self) -> bool {
        self.pointer.0.is_empty() && self.regex.is_none()
    }

    /// Checks what can be checked without an answer.
    pub(super) fn check(&self, values: Values<'_>) -> Result<(), String> {
        for pointer in &self.pointer.0 {
            let pointer = template::fill(pointer, values, Escape::None)?;
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(format!("the pointer '{pointer}' has to begin with '/'"));
            }
        }
        if let Some(regex) = &self.regex {
            compile(regex, values)?;
        }
        for expression in [&self.nth, &self.character, &self.bit]
            .into_iter()
            .flatten()
        {
            template::number(expression, values.outlet)?;
        }
        Ok(())
    }

    /// The words that count.
    fn words(&self, body: &str, values: Values<'_>) -> Result<String, String> {
        let found = if !self.pointer.0.is_empty() {
            self.in_json(body, values)?
        } else if let Some(regex) = &self.regex {
            self.by_regex(regex, body, values)?
        } else {
            body.trim().to_owned()
        };
        let index = |expression| template::number(expression, values.outlet);
        if let Some(expression) = &self.character {
            let at = usize::try_from(index(expression)?).unwrap_or(usize::MAX);
            let character = at.checked_sub(1).and_then(|at| found.chars().nth(at));
            let missing = || format!("'{}' has no character {at}", excerpt(&found));
            return character.map(String::from).ok_or_else(missing);
        }
        if let Some(expression) = &self.bit {
            let bit = u32::try_from(index(expression)?).unwrap_or(u32::MAX);
            let bits = u64::from_str_radix(&found, 16)
                .map_err(|_| format!("'{}' is not hexadecimal", excerpt(&found)))?;
            let bit = bits.checked_shr(bit).unwrap_or(0) & 1;
            return Ok(bit.to_string());
        }
        Ok(found)
    }

    fn in_json(&self, body: &str, values: Values<'_>) -> Result<String, String> {
        let json: Value = serde_json::from_str(body)
            .map_err(|error| format!("it is no JSON ({error}): {}", excerpt(body)))?;
        for pointer in &self.pointer.0 {
            let pointer = template::fill(pointer, values, Escape::None)?;
            match follow(&json, &pointer) {
                Some(Value::String(text)) => return Ok(text.clone()),
                Some(Value::Null) | None => {}
                Some(other) => return Ok(other.to_string()),
            }
        }
        Err(format!(
            "it has no '{}': {}",
            self.pointer.0.join("' or '"),
            excerpt(body)
        ))
    }

    fn by_regex(&self, regex: &str, body: &str, values: Values<'_>) -> Result<String, String> {
        let compiled = compile(regex, values)?;
        let nth = match &self.nth {
            Some(expression) => template::number(expression, values.outlet)?,
            None => 1,
        };
        let nth = usize::try_from(nth).unwrap_or(usize::MAX);
        let captures = nth
            .checked_sub(1)
            .and_then(|nth| compiled.captures_iter(body).nth(nth));
        let captures =
            captures.ok_or_else(|| format!("it lacks what it should have: {}", excerpt(body)))?;
        let group = captures.get(1).or_else(|| captures.get(0));
        Ok(group.map_or("", |group| group.as_str()).to_owned())
    }
}

impl Expect {
    /// Checks what can be checked without an answer.
    pub(super) fn check(&self, values: Values<'_>) -> Result<(), String> {
        self.find.check(values)
    }

    /// Whether the answer agrees, or what it says instead.
    pub(super) fn judge(&self, body: &str, values: Values<'_>) -> Result<(), String> {
        if self.find.is_empty() && self.equals.0.is_empty() {
            return Ok(());
        }
        let words = self.find.words(body, values)?;
        if self.equals.0.is_empty() || self.equals.has(&words) {
            Ok(())
        } else {
            Err(format!(
                "it says '{}', not '{}'",
                excerpt(&words),
                self.equals.0.join("' or '")
            ))
        }
    }
}

impl Show {
    /// Checks what can be checked without an answer.
    pub(super) fn check(&self, values: Values<'_>) -> Result<(), String> {
        self.find.check(values)
    }

    /// What the answer shows, or why it shows nothing.
    pub(super) fn state(&self, body: &str, values: Values<'_>) -> Result<Shown, String> {
        let words = self.find.words(body, values)?;
        if self.pending.has(&words) {
            Ok(Shown::Pending)
        } else if self.off.has(&words) {
            Ok(Shown::State(PowerState::Off))
        } else if self.on.has(&words) || self.on.has("*") {
            Ok(Shown::State(PowerState::On))
        } else {
            Err(format!("'{}' means neither on nor off", excerpt(&words)))
        }
    }
}

/// Compiles an expression in which placeholders stand for their text.
fn compile(regex: &str, values: Values<'_>) -> Result<Regex, String> {
    let filled = template::fill(regex, values, Escape::Regex)?;
    let built = RegexBuilder::new(&filled).size_limit(LARGEST_REGEX).build();
    built.map_err(|error| format!("'{filled}' is no regular expression: {error}"))
}

/// Goes where a pointer leads, with `[key=value]` for elements of lists.
fn follow<'a>(json: &'a Value, pointer: &str) -> Option<&'a Value> {
    let mut at = json;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let condition = part
            .strip_prefix('[')
            .and_then(|part| part.strip_suffix(']'));
        at = match (
            at,
            condition.and_then(|condition| condition.split_once('=')),
        ) {
            (Value::Array(list), Some((key, wanted))) => {
                list.iter().find(|element| match element.get(key) {
                    Some(Value::String(text)) => text == wanted,
                    Some(other) => other.to_string() == wanted,
                    None => false,
                })?
            }
            (Value::Array(list), None) => list.get(part.parse::<usize>().ok()?)?,
            (Value::Object(members), None) => members.get(&part)?,
            _ => return None,
        };
    }
    Some(at)
}

/// The beginning of an answer, fit for one line.
pub(super) fn excerpt(text: &str) -> String {
    let line: String = text
        .chars()
        .take(SHOWN)
        .collect::<String>()
        .escape_debug()
        .to_string();
    if text.chars().nth(SHOWN).is_some() {
        format!("{line}…")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Secret;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static NONE: LazyLock<Secret> = LazyLock::new(|| Secret::new(""));

    fn values(outlet: &str) -> Values<'_> {
        Values {
            outlet,
            value: "",
            username: "",
            password: &NONE,
        }
    }

    fn show(text: &str) -> Show {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn states() {
        use PowerState::{Off, On};
        let cases = [
            ("", "1\n", "1", On),
            ("pointer = '/ison'", r#"{"ison": false}"#, "0", Off),
            (
                "pointer = ['/result/output', '/output']",
                r#"{"output": true}"#,
                "0",
                On,
            ),
            (
                "pointer = '/outputs/{outlet-1}/state'",
                r#"{"outputs":[{"state":0},{"state":1}]}"#,
                "2",
                On,
            ),
            (
                "pointer = '/Outputs/[ID={outlet}]/State'",
                r#"{"Outputs":[{"ID":4,"State":0}]}"#,
                "4",
                Off,
            ),
            (
                "regex = '<out{outlet}>([01])<'",
                "<out1>0</out1><out11>1</out11>",
                "11",
                On,
            ),
            ("regex = '[^,]*'\nnth = 'outlet+2'", "a,b,1,0", "2", Off),
            (
                "regex = '[ ]([01]+)'\ncharacter = 'outlet'",
                "Status: 00100000",
                "3",
                On,
            ),
            (
                "regex = 'state\">([0-9a-f]+)<'\nbit = 'outlet-1'",
                "state\">fd<",
                "2",
                Off,
            ),
            ("off = 'Disabled'\non = '*'", "Searching", "2", On),
        ];
        for (row, body, outlet, expected) in cases {
            let shown = show(row).state(body, values(outlet));
            assert_eq!(shown, Ok(Shown::State(expected)), "{row}");
        }
    }

    #[test]
    fn answers_that_show_nothing() {
        for (row, body) in [
            ("", "<html>Please log in</html>"),
            ("pointer = '/ison'", "not json"),
            ("pointer = '/ison'", r#"{"isoff": true}"#),
            ("pointer = '/ison'", r#"{"ison": null}"#),
            ("regex = 'x([01])'", "y1"),
            ("regex = '[01]+'\ncharacter = 'outlet'", "10"),
            ("regex = '.+'\nbit = 'outlet'", "zz"),
        ] {
            assert!(show(row).state(body, values("9")).is_err(), "{row}");
        }
        let pending = show("pending = 'PENDING'").state("PENDING", values("1"));
        assert_eq!(pending, Ok(Shown::Pending));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Show>("pointr = '/a'").is_err());
        assert!(toml::from_str::<Expect>("equal = 'a'").is_err());
        let broken = show("regex = '('").check(values("1"));
        assert!(broken.unwrap_err().contains("no regular expression"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body: String, outlet in "[0-9a-z]{1,8}") {
            for row in ["", "pointer = '/a/[b={outlet}]/0'", "regex = '(.)'\nnth = 'outlet'",
                "character = 'outlet'", "bit = 'outlet'"] {
                let _ = show(row).state(&body, values(&outlet));
            }
        }
    }
}
