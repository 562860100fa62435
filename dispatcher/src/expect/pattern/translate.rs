//! Python's `re` syntax to the syntax of the two engines.
//!
//! Every construct is parsed and written anew, so nothing that the engines read differently gets
//! through by accident: an unmatched `{`, `[` inside a class, `\Z`, `$`, comments and verbose mode.
//! The text is walked once, or three times when it needs the backtracking engine; nesting is kept
//! on a stack of its own, so depth costs no stack frames.

mod group;

use super::{Flavour, class::Class};
use group::OpenGroup;
use std::fmt::Write as _;

/// The largest bound of a repeat.
const MAX_REPEAT: u32 = 65_535;

/// A pattern in the engines' syntax.
#[derive(Debug)]
pub(super) struct Translated {
    /// For `regex-automata`, or for `fancy-regex` when there is a `superset`.
    pub(super) regex: String,
    /// When it needs look-around, back references, conditions, or atomic groups: an ordinary
    /// pattern for `regex-automata` that matches wherever this one does, and in more places. Where
    /// it finds nothing the backtracking engine need not look.
    pub(super) superset: Option<String>,
}

/// Matches everywhere, and takes nothing.
pub(super) const ANYWHERE: &str = "(?:)";

/// What a pattern is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// `regex-automata`.
    Linear,
    /// `fancy-regex`.
    Backtracking,
    /// `regex-automata`, with all left out that it does not know, so that more matches.
    Superset,
}

/// Why a pattern is refused, in Python's words, and the character where it went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) position: usize,
}

/// Translates a pattern.
pub(super) fn translate(pattern: &str, flavour: Flavour) -> Result<Translated, Refusal> {
    let characters: Vec<char> = pattern.chars().collect();
    let translate = |target| Translator::new(&characters, flavour, target).run();
    let (regex, backtracks) = translate(Target::Linear)?;
    if !backtracks {
        return Ok(Translated {
            regex,
            superset: None,
        });
    }
    Ok(Translated {
        regex: translate(Target::Backtracking)?.0,
        superset: Some(translate(Target::Superset)?.0),
    })
}

#[derive(Clone, Copy)]
struct Flags {
    multi_line: bool,
    dot_matches_newline: bool,
    verbose: bool,
}

pub(super) struct Translator<'a> {
    pub(super) characters: &'a [char],
    pub(super) at: usize,
    pub(super) target: Target,
    output: String,
    flavour: Flavour,
    flags: Flags,
    ignore_case: bool,
    open_groups: Vec<OpenGroup>,
    pub(super) backtracks: bool,
    names: Vec<String>,
    pub(super) groups: usize,
    /// Whether a repeat may follow what was written last.
    repeatable: Repeatable,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeatable {
    Nothing,
    Atom,
    Repeat,
}

impl<'a> Translator<'a> {
    fn new(characters: &'a [char], flavour: Flavour, target: Target) -> Self {
        Self {
            characters,
            at: 0,
            target,
            output: String::new(),
            flavour,
            flags: Flags {
                multi_line: flavour == Flavour::Line,
                dot_matches_newline: flavour == Flavour::Stream,
                verbose: false,
            },
            ignore_case: false,
            open_groups: Vec::new(),
            backtracks: false,
            names: Vec::new(),
            groups: 0,
            repeatable: Repeatable::Nothing,
        }
    }

    /// Gives the pattern, and whether it needs the backtracking engine.
    fn run(mut self) -> Result<(String, bool), Refusal> {
        self.global_flags()?;
        while let Some(character) = self.next() {
            self.one(character)?;
        }
        if let Some(group) = self.open_groups.last() {
            return Err(refusal("missing ), unterminated subpattern", group.start));
        }
        let regex = if self.ignore_case {
            format!("(?i:{})", self.output)
        } else {
            self.output
        };
        Ok((regex, self.backtracks))
    }

    fn one(&mut self, character: char) -> Result<(), Refusal> {
        if self.flags.verbose && (character.is_ascii_whitespace() || character == '#') {
            if character == '#' {
                while self.next().is_some_and(|character| character != '\n') {}
            }
            return Ok(());
        }
        match character {
            '\\' => self.escape(),
            '.' if self.flags.dot_matches_newline => self.atom("(?s:.)"),
            '.' => self.atom(r"[^\n]"),
            '^' if self.flags.multi_line => match self.target {
                Target::Linear => self.anchor("(?mR:^)"),
                Target::Backtracking => self.anchor(r"(?:\A|(?<=\n))"),
                Target::Superset => self.anchor(ANYWHERE),
            },
            '^' => self.anchor(r"\A"),
            '$' => match (self.target, self.flags.multi_line) {
                (Target::Linear, true) => self.anchor("(?mR:$)"),
                (Target::Linear, false) => self.anchor(r"(?:\n?\z)"),
                (Target::Backtracking, true) => self.anchor(r"(?=\r?\n|\z)"),
                (Target::Backtracking, false) => self.anchor(r"(?=\n?\z)"),
                (Target::Superset, _) => self.anchor(ANYWHERE),
            },
            '|' => self.anchor("|"),
            '[' => self.class(),
            '(' => self.open_group(),
            ')' => self.close_group(),
            '*' | '+' | '?' => self.repeat(&character.to_string()),
            '{' => self.brace(),
            other => self.literal(other),
        }
    }

    fn class(&mut self) -> Result<(), Refusal> {
        let class = Class::parse(self)?;
        let text = class
            .write(self.target != Target::Linear)
            .map_err(|reason| Refusal {
                reason: reason.to_owned(),
                position: self.at,
            })?;
        self.atom(&text)
    }

    /// Writes a reference to what a group matched.
    pub(super) fn reference(&mut self, text: &str) -> Result<(), Refusal> {
        self.backtracks = true;
        match self.target {
            Target::Superset => self.atom("(?:(?s:.)*)"),
            Target::Linear | Target::Backtracking => self.atom(text),
        }
    }

    /// A `{` that starts no repeat is a literal.
    fn brace(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let low = self.digits();
        let high = if self.peek() == Some(',') {
            self.at += 1;
            self.digits()
        } else {
            low.clone()
        };
        let is_empty = self.at == start;
        if is_empty || self.peek() != Some('}') {
            self.at = start;
            return self.literal('{');
        }
        self.at += 1;
        let low = bound(&low, start)?.unwrap_or(0);
        let text = match bound(&high, start)? {
            Some(high) if high < low => {
                return Err(refusal("min repeat greater than max repeat", start));
            }
            Some(high) => format!("{{{low},{high}}}"),
            None => format!("{{{low},}}"),
        };
        self.repeat(&text)
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.at += 1;
        }
        digits
    }

    fn repeat(&mut self, text: &str) -> Result<(), Refusal> {
        match self.repeatable {
            Repeatable::Nothing => return Err(refusal("nothing to repeat", self.at - 1)),
            Repeatable::Repeat => return Err(refusal("multiple repeat", self.at - 1)),
            Repeatable::Atom => {}
        }
        self.output.push_str(text);
        match self.peek() {
            Some('?') => {
                self.output.push('?');
                self.at += 1;
            }
            Some('+') => {
                if self.target != Target::Superset {
                    self.output.push('+');
                }
                self.backtracks = true;
                self.at += 1;
            }
            _ => {}
        }
        self.repeatable = Repeatable::Repeat;
        Ok(())
    }

    pub(super) fn literal(&mut self, character: char) -> Result<(), Refusal> {
        if character == '\r' && self.flavour == Flavour::Line {
            // Lines are matched without the carriage return of their break.
            return self.atom(r"(?:\r?)");
        }
        let text = literal_text(character);
        self.atom(&text)
    }

    pub(super) fn atom(&mut self, text: &str) -> Result<(), Refusal> {
        self.output.push_str(text);
        self.repeatable = Repeatable::Atom;
        Ok(())
    }

    pub(super) fn anchor(&mut self, text: &str) -> Result<(), Refusal> {
        self.output.push_str(text);
        self.repeatable = Repeatable::Nothing;
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }
}

fn bound(digits: &str, position: usize) -> Result<Option<u32>, Refusal> {
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse::<u32>() {
        Ok(number) if number <= MAX_REPEAT => Ok(Some(number)),
        _ => Err(refusal("the repetition number is too large", position)),
    }
}

/// One character for engines that match bytes: ASCII as it is, others as their UTF-8.
pub(super) fn literal_text(character: char) -> String {
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).as_bytes();
    let mut text = String::new();
    if bytes.len() > 1 {
        text.push_str("(?:");
    }
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    if bytes.len() > 1 {
        text.push(')');
    }
    text
}

pub(super) fn refusal(reason: impl Into<String>, position: usize) -> Refusal {
    Refusal {
        reason: reason.into(),
        position,
    }
}
