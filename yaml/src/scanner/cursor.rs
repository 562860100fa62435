//! A place in the text that moves forward and keeps count of lines and columns.

use crate::Mark;

/// Reads checked text; beyond its end every byte is NUL.
pub(super) struct Cursor<'a> {
    text: &'a str,
    mark: Mark,
}

/// Whether a blank, a line break or the end comes first.
pub(super) fn is_blank_or_end(bytes: &[u8]) -> bool {
    matches!(bytes, [] | [b' ' | b'\t', ..]) || break_length(bytes) > 0
}

/// How many bytes the line break at the beginning takes; 0 when there is none.
pub(super) fn break_length(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] | [0xC2, 0x85, ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        [0xE2, 0x80, 0xA8 | 0xA9, ..] => 3,
        _ => 0,
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, mark: Mark) -> Self {
        Self { text, mark }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    pub(super) fn column(&self) -> i64 {
        i64::from(self.mark.column)
    }

    /// The bytes from `ahead` bytes further on.
    pub(super) fn rest(&self, ahead: usize) -> &'a [u8] {
        let offset = self.mark.offset as usize + ahead;
        self.text.as_bytes().get(offset..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> u8 {
        let offset = self.mark.offset as usize + ahead;
        self.text.as_bytes().get(offset).copied().unwrap_or(0)
    }

    pub(super) fn at_end(&self) -> bool {
        self.mark.offset as usize >= self.text.len()
    }

    pub(super) fn at_blank(&self) -> bool {
        matches!(self.peek(), b' ' | b'\t')
    }

    pub(super) fn at_break(&self) -> bool {
        break_length(self.rest(0)) > 0
    }

    /// Whether `---` or `...` stands here on its own at the beginning of a line.
    pub(super) fn at_document_indicator(&self) -> bool {
        self.mark.column == 0
            && matches!(
                self.rest(0),
                [b'-', b'-', b'-', ..] | [b'.', b'.', b'.', ..]
            )
            && is_blank_or_end(self.rest(3))
    }

    /// The text since `start`.
    pub(super) fn since(&self, start: Mark) -> &'a str {
        self.slice(start, self.mark)
    }

    /// The text between two places this cursor was at.
    pub(super) fn slice(&self, start: Mark, end: Mark) -> &'a str {
        let range = start.offset as usize..end.offset as usize;
        self.text.get(range).unwrap_or_default()
    }

    /// Steps over ASCII characters that are no line breaks.
    pub(super) fn skip_ascii(&mut self, count: u32) {
        self.mark.offset += count;
        self.mark.column += count;
    }

    /// Steps over `length` bytes without a line break, counting their characters.
    pub(super) fn skip_bytes(&mut self, length: usize) {
        let bytes = self.rest(0);
        let skipped = bytes.get(..length).unwrap_or(bytes);
        let continued = skipped.iter().filter(|byte| **byte & 0xC0 == 0x80).count();
        self.mark.offset += skipped.len() as u32;
        self.mark.column += (skipped.len() - continued) as u32;
    }

    /// Steps over blanks.
    pub(super) fn skip_blanks(&mut self) {
        while self.at_blank() {
            self.skip_ascii(1);
        }
    }

    /// Steps over everything up to the line break or the end, and returns it.
    pub(super) fn skip_line_content(&mut self) -> &'a str {
        let start = self.mark;
        let bytes = self.rest(0);
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            match byte {
                b'\n' | b'\r' => break,
                0xC2 | 0xE2 if break_length(&bytes[length..]) > 0 => break,
                _ => length += 1,
            }
        }
        self.skip_bytes(length);
        self.since(start)
    }

    /// Steps over a line break and returns what it stands for: `\n`, or itself when it is one of
    /// the two Unicode separators.
    pub(super) fn skip_break(&mut self) -> Option<&'static str> {
        let bytes = self.rest(0);
        let length = break_length(bytes);
        if length == 0 {
            return None;
        }
        self.mark.offset += length as u32;
        self.mark.line += 1;
        self.mark.column = 0;
        Some(match bytes {
            [0xE2, _, 0xA8, ..] => "\u{2028}",
            [0xE2, _, 0xA9, ..] => "\u{2029}",
            _ => "\n",
        })
    }

    /// Steps over a byte order mark at the beginning of a line, which libyaml ignores.
    pub(super) fn skip_byte_order_mark(&mut self) {
        if self.mark.column == 0 && self.rest(0).starts_with("\u{FEFF}".as_bytes()) {
            self.skip_bytes("\u{FEFF}".len());
        }
    }
}
