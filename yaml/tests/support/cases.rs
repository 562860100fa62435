//! The hand-made cases on file.

use yaml::{Limits, load, load_bytes};

use super::{answer, hex, unhex};

const CASES: &str = include_str!("../fixtures/cases.txt");

/// A document, as text or as bytes.
pub(crate) enum Input {
    Text(String),
    Bytes(Vec<u8>),
}

impl Input {
    fn parse(written: &str) -> Self {
        match written.strip_prefix("bytes ") {
            Some(digits) => Self::Bytes(unhex(digits)),
            None => Self::Text(unescape(written)),
        }
    }

    pub(crate) fn load(&self) -> String {
        let limits = Limits::default();
        answer(&match self {
            Self::Text(text) => load(text, &limits),
            Self::Bytes(bytes) => load_bytes(bytes, &limits),
        })
    }

    pub(crate) fn request(&self) -> String {
        match self {
            Self::Text(text) => format!("text {}", hex(text.as_bytes())),
            Self::Bytes(bytes) => format!("load {}", hex(bytes)),
        }
    }
}

/// The text of a JSON string.
fn unescape(json: &str) -> String {
    let inner = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let mut characters = inner.expect("a JSON string").chars();
    let mut units = Vec::new();
    while let Some(character) = characters.next() {
        let unit = match character {
            '\\' => match characters.next().expect("an escape") {
                'n' => u16::from(b'\n'),
                'r' => u16::from(b'\r'),
                't' => u16::from(b'\t'),
                'b' => 8,
                'f' => 12,
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    u16::from_str_radix(&digits, 16).expect("four digits")
                }
                other => other as u16,
            },
            other => other as u16,
        };
        units.push(unit);
    }
    String::from_utf16(&units).expect("whole characters")
}

/// Line number, input and expected answer of each case.
pub(crate) fn cases() -> Vec<(usize, Input, String)> {
    let lines = CASES.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parse = |(number, line): (usize, &str)| {
        let (input, expected) = line.rsplit_once(" => ").expect("an expectation");
        let expected = match expected {
            refused if refused.starts_with("error") || refused == "recursive" => refused.to_owned(),
            value => format!("ok {value}"),
        };
        (number + 1, Input::parse(input), expected)
    };
    lines.map(parse).collect()
}
