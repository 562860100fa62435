//! Character classes of Python's `re`: `[…]`.

use super::translate::{Refusal, Translator, literal_text, refusal};
use std::fmt::Write as _;

/// The most characters beyond ASCII that a class may hold for the backtracking engine.
const MAX_ENUMERATED: u32 = 256;

/// What stands between the brackets.
#[derive(Debug)]
pub(super) struct Class {
    negated: bool,
    /// Inclusive ranges.
    ranges: Vec<(char, char)>,
    /// `d`, `D`, `s`, `S`, `w`, `W`.
    sets: Vec<char>,
}

enum Member {
    Character(char),
    Set(char),
}

impl Class {
    /// Parses a class whose `[` was just read.
    pub(super) fn parse(input: &mut Translator<'_>) -> Result<Self, Refusal> {
        let start = input.at - 1;
        let mut class = Self {
            negated: false,
            ranges: Vec::new(),
            sets: Vec::new(),
        };
        if input.peek() == Some('^') {
            class.negated = true;
            input.at += 1;
        }
        let first = input.at;
        loop {
            let position = input.at;
            let low = match input.next() {
                None => return Err(refusal("unterminated character set", start)),
                Some(']') if position > first => return Ok(class),
                Some(character) => member(input, character, position)?,
            };
            let is_range = input.peek() == Some('-')
                && input
                    .characters
                    .get(input.at + 1)
                    .is_some_and(|next| *next != ']');
            if !is_range {
                class.add(&low);
                continue;
            }
            input.at += 1;
            let end = input.at;
            let high = match input.next() {
                None => return Err(refusal("unterminated character set", start)),
                Some(character) => member(input, character, end)?,
            };
            match (low, high) {
                (Member::Character(low), Member::Character(high)) if low <= high => {
                    class.ranges.push((low, high));
                }
                _ => return Err(refusal("bad character range", position)),
            }
        }
    }

    fn add(&mut self, member: &Member) {
        match *member {
            Member::Character(character) => self.ranges.push((character, character)),
            Member::Set(set) => self.sets.push(set),
        }
    }

    /// The class in the syntax of the engines, which match bytes.
    ///
    /// A class of ASCII characters matches single bytes, so that a negated one takes any byte that
    /// is not valid UTF-8. One with further characters matches whole characters.
    pub(super) fn write(&self, for_backtracking: bool) -> Result<String, &'static str> {
        if self.ranges.iter().all(|(_, high)| high.is_ascii()) {
            return Ok(self.write_bytes());
        }
        if for_backtracking {
            return self.write_alternatives();
        }
        let mut text = String::from(if self.negated { "(?u:[^" } else { "(?u:[" });
        for (low, high) in &self.ranges {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\\x{{{:X}}}-\\x{{{:X}}}",
                u32::from(*low),
                u32::from(*high)
            );
        }
        for set in &self.sets {
            text.push_str(match set {
                'd' => "0-9",
                'D' => "[^0-9]",
                's' => r"\t-\r\x20",
                'S' => r"[^\t-\r\x20]",
                'w' => "0-9A-Za-z_",
                _ => "[^0-9A-Za-z_]",
            });
        }
        text.push_str("])");
        Ok(text)
    }

    fn write_bytes(&self) -> String {
        let mut text = String::from(if self.negated { "[^" } else { "[" });
        for (low, high) in &self.ranges {
            let _ = write!(
                text,
                "\\x{:02X}-\\x{:02X}",
                u32::from(*low),
                u32::from(*high)
            );
        }
        for set in &self.sets {
            text.push('\\');
            text.push(*set);
        }
        text.push(']');
        text
    }

    fn write_alternatives(&self) -> Result<String, &'static str> {
        if self.negated {
            return Err("a negated set of characters beyond ASCII cannot go with look-around");
        }
        let mut ascii = Self {
            negated: false,
            ranges: Vec::new(),
            sets: self.sets.clone(),
        };
        let mut text = String::from("(?:");
        let mut written = 0;
        for (low, high) in &self.ranges {
            if low.is_ascii() {
                ascii.ranges.push((*low, (*high).min('\x7f')));
            }
            for character in (*low).max('\u{80}')..=*high {
                written += 1;
                if written > MAX_ENUMERATED {
                    return Err("a set of so many characters cannot go with look-around");
                }
                text.push_str(&literal_text(character));
                text.push('|');
            }
        }
        if ascii.ranges.is_empty() && ascii.sets.is_empty() {
            text.pop();
        } else {
            text.push_str(&ascii.write_bytes());
        }
        text.push(')');
        Ok(text)
    }
}

fn member(input: &mut Translator<'_>, character: char, position: usize) -> Result<Member, Refusal> {
    if character != '\\' {
        return Ok(Member::Character(character));
    }
    let Some(escaped) = input.next() else {
        return Err(refusal("unterminated character set", position));
    };
    Ok(match escaped {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => Member::Set(escaped),
        'b' => Member::Character('\x08'),
        _ => Member::Character(input.literal_escape(escaped, position)?),
    })
}
