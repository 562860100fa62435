//! Console bytes to lines, cut where LAVA cuts them.
//!
//! The views on the journal and the line-based parts of the console engine feed this. It keeps at
//! most one line (bounded) between calls, never looks inside a line and never drops a byte: every
//! byte pushed comes out as part of a line or of the break after it.

use memchr::memchr;

/// The longest line that is given out in one piece, in bytes, unless the caller chooses otherwise.
///
/// LAVA 2026.07 keeps lines of up to 99,999 characters and replaces longer ones by a remark.
pub const DEFAULT_LIMIT: usize = 99_999;

/// The longest run of carriage returns that counts as part of a line break.
const MAX_CARRIAGE_RETURNS: usize = 2;

/// What comes after the text that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// A line break: a newline after as many carriage returns (0, 1 or 2).
    Break {
        /// How many carriage returns stood before the newline.
        carriage_returns: u8,
    },
    /// More of the same line: it is longer than the limit.
    Continued,
    /// Nothing: the line was still open when [`LineSplitter::flush`] was called.
    Open,
}

/// Cuts a stream of bytes at `\r\r\n`, `\r\n` and `\n`, as LAVA 2026.07 does. A lone carriage
/// return stays in its line.
///
/// The result does not depend on how the stream was cut into chunks.
#[derive(Debug)]
pub struct LineSplitter {
    /// The open line: at most `limit` bytes and the carriage returns that may belong to its break.
    open: Vec<u8>,
    limit: usize,
}

impl LineSplitter {
    /// A splitter whose lines have at most [`DEFAULT_LIMIT`] bytes.
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// A splitter that gives out longer lines in pieces of `limit` bytes (at least one).
    pub fn with_limit(limit: usize) -> Self {
        Self {
            open: Vec::new(),
            limit: limit.max(1),
        }
    }

    /// Takes more bytes and gives out each line that they complete, without its break.
    pub fn push(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&[u8], LineEnd)) {
        while let Some(newline) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(newline);
            if self.open.is_empty() {
                emit_line(line, self.limit, emit);
            } else {
                self.extend(line, emit);
                emit_line(&self.open, self.limit, emit);
                self.open.clear();
            }
            bytes = &rest[1..];
        }
        self.extend(bytes, emit);
    }

    /// Gives out the open line, if there is one: the stream ended, or somebody wants to see a
    /// prompt. What comes next starts a line of its own.
    pub fn flush(&mut self, emit: &mut impl FnMut(&[u8], LineEnd)) {
        if !self.open.is_empty() {
            emit_pieces(&self.open, self.limit, LineEnd::Open, emit);
            self.open.clear();
        }
    }

    /// The line that is still open, as far as it was not given out yet.
    pub fn partial(&self) -> &[u8] {
        &self.open
    }

    fn extend(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&[u8], LineEnd)) {
        while self.open.len() + bytes.len() > self.limit + MAX_CARRIAGE_RETURNS {
            if self.open.len() >= self.limit {
                emit(&self.open[..self.limit], LineEnd::Continued);
                self.open.drain(..self.limit);
                continue;
            }
            let (head, tail) = bytes.split_at(self.limit - self.open.len());
            if self.open.is_empty() {
                emit(head, LineEnd::Continued);
            } else {
                self.open.extend_from_slice(head);
                emit(&self.open, LineEnd::Continued);
                self.open.clear();
            }
            bytes = tail;
        }
        self.open.extend_from_slice(bytes);
    }
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives out a complete line, `raw` being all before its newline.
fn emit_line(raw: &[u8], limit: usize, emit: &mut impl FnMut(&[u8], LineEnd)) {
    let carriage_returns = raw
        .iter()
        .rev()
        .take(MAX_CARRIAGE_RETURNS)
        .take_while(|byte| **byte == b'\r')
        .count();
    let text = &raw[..raw.len() - carriage_returns];
    let end = LineEnd::Break {
        carriage_returns: u8::try_from(carriage_returns).unwrap_or(0),
    };
    emit_pieces(text, limit, end, emit);
}

fn emit_pieces(mut text: &[u8], limit: usize, end: LineEnd, emit: &mut impl FnMut(&[u8], LineEnd)) {
    while text.len() > limit {
        let (piece, rest) = text.split_at(limit);
        emit(piece, LineEnd::Continued);
        text = rest;
    }
    emit(text, end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Lines = Vec<(Vec<u8>, LineEnd)>;

    fn split(chunks: &[&[u8]], limit: usize) -> Lines {
        let mut lines = Lines::new();
        let mut emit = |line: &[u8], end| lines.push((line.to_vec(), end));
        let mut splitter = LineSplitter::with_limit(limit);
        for chunk in chunks {
            splitter.push(chunk, &mut emit);
            assert!(splitter.partial().len() <= limit + MAX_CARRIAGE_RETURNS);
        }
        splitter.flush(&mut emit);
        lines
    }

    fn line(text: &str, carriage_returns: u8) -> (Vec<u8>, LineEnd) {
        (
            text.as_bytes().to_vec(),
            LineEnd::Break { carriage_returns },
        )
    }

    fn joined(lines: &Lines) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (text, end) in lines {
            bytes.extend_from_slice(text);
            if let LineEnd::Break { carriage_returns } = end {
                bytes.extend(std::iter::repeat_n(b'\r', usize::from(*carriage_returns)));
                bytes.push(b'\n');
            }
        }
        bytes
    }

    #[test]
    fn lines_end_at_the_three_breaks_of_lava() {
        let lines = split(&[b"a\nb\r\nc\r\r\nd\r\r\r\n\n\re\rf"], 100);
        assert_eq!(
            lines,
            [
                line("a", 0),
                line("b", 1),
                line("c", 2),
                line("d\r", 2),
                line("", 0),
                (b"\re\rf".to_vec(), LineEnd::Open),
            ]
        );
    }

    #[test]
    fn a_break_may_be_cut_anywhere() {
        assert_eq!(split(&[b"a\r", b"\r", b"\n", b"b"], 100)[0], line("a", 2));
    }

    #[test]
    fn a_line_as_long_as_the_limit_stays_whole() {
        assert_eq!(split(&[b"abcd\r\r\n"], 4), [line("abcd", 2)]);
        assert_eq!(split(&[b"abcd", b"\r", b"\r", b"\n"], 4), [line("abcd", 2)]);
    }

    #[test]
    fn a_longer_line_comes_in_pieces() {
        assert_eq!(
            split(&[b"abcdefghi\n"], 4),
            [
                (b"abcd".to_vec(), LineEnd::Continued),
                (b"efgh".to_vec(), LineEnd::Continued),
                line("i", 0),
            ]
        );
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter_and_no_byte_is_lost(
            bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200),
            cuts in prop::collection::vec(0_usize..200, 0..8),
            limit in 1_usize..12,
        ) {
            let whole = split(&[&bytes], limit);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&whole, &split(&chunks, limit));
            prop_assert_eq!(joined(&whole), bytes);
        }
    }
}
