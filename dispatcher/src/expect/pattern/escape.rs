//! Backslash escapes of Python's `re`, in and outside of character classes.

use super::translate::{ANYWHERE, Refusal, Target, Translator, refusal};

impl Translator<'_> {
    pub(super) fn escape(&mut self) -> Result<(), Refusal> {
        let start = self.at - 1;
        let Some(character) = self.next() else {
            return Err(refusal("bad escape (end of pattern)", start));
        };
        match character {
            'A' => self.anchor(r"\A"),
            'Z' | 'b' | 'B' if self.target == Target::Superset => self.anchor(ANYWHERE),
            'Z' => self.anchor(r"\z"),
            'b' => self.anchor(r"\b"),
            'B' => self.anchor(r"\B"),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.atom(&format!("\\{character}")),
            '1'..='9' if !self.is_octal(start) => self.back_reference(character, start),
            _ => {
                let literal = self.literal_escape(character, start)?;
                self.literal(literal)
            }
        }
    }

    /// Whether three octal digits follow the backslash at `start`: a character, not a group.
    fn is_octal(&self, start: usize) -> bool {
        let digit = |offset: usize, last: char| {
            self.characters
                .get(start + offset)
                .is_some_and(|digit| ('0'..=last).contains(digit))
        };
        digit(1, '3') && digit(2, '7') && digit(3, '7')
    }

    fn back_reference(&mut self, first: char, start: usize) -> Result<(), Refusal> {
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        if let Some(digit) = self.peek().and_then(|character| character.to_digit(10)) {
            number = number * 10 + digit as usize;
            self.at += 1;
        }
        if number > self.groups {
            return Err(refusal(
                format!("invalid group reference {number}"),
                start + 1,
            ));
        }
        self.reference(&format!("(?:\\{number})"))
    }

    /// The character that an escape stands for, in or outside a class.
    pub(super) fn literal_escape(
        &mut self,
        character: char,
        start: usize,
    ) -> Result<char, Refusal> {
        Ok(match character {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\x0c',
            'v' => '\x0b',
            'a' => '\x07',
            'x' => self.hexadecimal(2, start)?,
            'u' => self.hexadecimal(4, start)?,
            'U' => self.hexadecimal(8, start)?,
            '0'..='7' => self.octal(character),
            other if other.is_ascii_alphanumeric() => {
                return Err(refusal(format!("bad escape \\{other}"), start));
            }
            other => other,
        })
    }

    fn hexadecimal(&mut self, digits: usize, start: usize) -> Result<char, Refusal> {
        let mut value = 0_u32;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|character| character.to_digit(16)) else {
                return Err(refusal("incomplete escape", start));
            };
            value = value.wrapping_shl(4) | digit;
            self.at += 1;
        }
        char::from_u32(value).ok_or_else(|| refusal("bad escape, no such character", start))
    }

    fn octal(&mut self, first: char) -> char {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|character| character.to_digit(8)) else {
                break;
            };
            value = value * 8 + digit;
            self.at += 1;
        }
        char::from_u32(value & 0o377).unwrap_or('\0')
    }
}
