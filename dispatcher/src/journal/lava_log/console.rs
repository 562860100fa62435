//! A console as the log shows it: lines, put together from chunks, with secrets hidden.

use super::{
    super::{
        mask::{Masker, StreamMasker},
        text::Escape,
    },
    sink::Sink,
};
use crate::expect::lines::{LineEnd, LineSplitter};
use job::Namespace;
use memchr::memchr;
use std::borrow::Cow;

/// Lines are put together up to this length; longer ones come in pieces from there on. With what a
/// record needs beside the text it stays below the limit unless many characters are escaped.
const LONG_LINE: usize = 98_000;

const ESC: u8 = 0x1b;

/// One connection.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) namespace: Namespace,
    pub(super) name: String,
    pub(super) is_feedback: bool,
    output: Lines,
    input: Lines,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            namespace: Namespace::new(""),
            name: String::new(),
            is_feedback: false,
            output: Lines::new(Escape::Drop),
            input: Lines::new(Escape::Keep),
        }
    }
}

impl Console {
    pub(super) fn output(
        &mut self,
        bytes: &[u8],
        masker: &Masker,
        sink: &mut Sink,
        out: &mut Vec<u8>,
    ) {
        let (level, namespace) = shown_as(self.is_feedback, &self.namespace);
        self.output.push(bytes, masker, &mut |line| {
            sink.text(out, level, line, Escape::Drop, namespace);
        });
    }

    pub(super) fn input(
        &mut self,
        bytes: &[u8],
        masker: &Masker,
        sink: &mut Sink,
        out: &mut Vec<u8>,
    ) {
        self.input.push(bytes, masker, &mut |line| {
            sink.text(out, "input", line, Escape::Keep, None);
        });
    }

    /// What was printed after the last line break becomes a line.
    pub(super) fn flush_output(&mut self, masker: &Masker, sink: &mut Sink, out: &mut Vec<u8>) {
        let (level, namespace) = shown_as(self.is_feedback, &self.namespace);
        self.output.flush(masker, &mut |line| {
            sink.text(out, level, line, Escape::Drop, namespace);
        });
    }

    /// What is left in both directions becomes lines.
    pub(super) fn flush(&mut self, masker: &Masker, sink: &mut Sink, out: &mut Vec<u8>) {
        self.flush_output(masker, sink, out);
        self.input.flush(masker, &mut |line| {
            sink.text(out, "input", line, Escape::Keep, None);
        });
    }
}

fn shown_as(is_feedback: bool, namespace: &Namespace) -> (&'static str, Option<&Namespace>) {
    if is_feedback {
        (
            "feedback",
            Some(namespace).filter(|name| !name.as_str().is_empty()),
        )
    } else {
        ("target", None)
    }
}

/// One direction of a console.
#[derive(Debug)]
struct Lines {
    splitter: LineSplitter,
    assembler: Assembler,
}

/// Hides secrets in lines, also where a long one comes in pieces.
#[derive(Debug)]
struct Assembler {
    escape: Escape,
    /// Whether the next piece continues a line.
    continues: bool,
    /// What of a long line is not decided yet.
    stream: StreamMasker,
    /// What of it is decided but not given out: at most the beginning of a character.
    masked: Vec<u8>,
}

impl Lines {
    fn new(escape: Escape) -> Self {
        Self {
            splitter: LineSplitter::with_limit(LONG_LINE),
            assembler: Assembler {
                escape,
                continues: false,
                stream: StreamMasker::default(),
                masked: Vec::new(),
            },
        }
    }

    fn push(&mut self, bytes: &[u8], masker: &Masker, emit: &mut impl FnMut(&[u8])) {
        let assembler = &mut self.assembler;
        self.splitter.push(bytes, &mut |piece, end| {
            assembler.piece(piece, end, masker, emit);
        });
    }

    fn flush(&mut self, masker: &Masker, emit: &mut impl FnMut(&[u8])) {
        let assembler = &mut self.assembler;
        self.splitter.flush(&mut |piece, end| {
            assembler.piece(piece, end, masker, emit);
        });
        if assembler.continues {
            assembler.piece(b"", LineEnd::Open, masker, emit);
        }
    }
}

impl Assembler {
    fn piece(&mut self, piece: &[u8], end: LineEnd, masker: &Masker, emit: &mut impl FnMut(&[u8])) {
        if !self.continues && end != LineEnd::Continued {
            if masker.is_empty() {
                emit(piece);
            } else {
                emit(&masker.mask_bytes(&self.visible(piece)));
            }
            return;
        }
        let visible = self.visible(piece).into_owned();
        self.stream.push(masker, &visible, &mut self.masked);
        self.continues = end == LineEnd::Continued;
        let ready = if self.continues {
            self.masked.len() - unfinished_character(&self.masked)
        } else {
            self.stream.finish(masker, &mut self.masked);
            self.masked.len()
        };
        if ready > 0 {
            emit(&self.masked[..ready]);
            self.masked.drain(..ready);
        }
    }

    /// A secret with an escape character in it would be readable once that is left out.
    fn visible<'a>(&self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        if self.escape == Escape::Drop && memchr(ESC, piece).is_some() {
            piece.iter().copied().filter(|byte| *byte != ESC).collect()
        } else {
            Cow::Borrowed(piece)
        }
    }
}

/// How many bytes at the end are the beginning of a UTF-8 character.
fn unfinished_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}
