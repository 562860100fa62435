//! Cuts a board's bytes into text and the sequences of a terminal (ECMA-48, as xterm reads them).

/// A sequence that never ends is given up after this many bytes: what follows is text again.
const LONGEST_SEQUENCE: usize = 256;
/// Further parameters of a sequence are ignored.
const PARAMETERS: usize = 16;

/// What a board sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// Characters to show.
    Text(&'a str),
    /// A byte that is no UTF-8.
    Invalid,
    /// A control character below U+0020, or DEL.
    Control(u8),
    /// A control sequence without private markers: its parameters and its final byte.
    Sequence(&'a [u16], u8),
    /// An escape with one final byte.
    Escape(u8),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte: the selection of a character set and the like.
    Intermediate,
    /// After ESC [.
    Sequence,
    /// Inside of a title, a device control string and the like.
    Text,
    /// After ESC inside of one.
    TextEscape,
}

/// Keeps what a chunk cut: at most one sequence's parameters and one character.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    length: usize,
    parameters: [u16; PARAMETERS],
    count: usize,
    /// Private markers, intermediate bytes or sub-parameters: not a sequence we know.
    is_foreign: bool,
    /// The beginning of a character.
    cut: [u8; 3],
    cut_length: usize,
}

impl Decoder {
    /// Whether the next byte begins something.
    pub(super) fn is_at_ground(&self) -> bool {
        self.state == State::Ground && self.cut_length == 0
    }

    /// Takes the next bytes of the input: at least one, at most all. Gives what is left.
    pub(super) fn step<'i>(
        &mut self,
        input: &'i [u8],
        take: &mut impl FnMut(Item<'_>),
    ) -> &'i [u8] {
        let Some((byte, rest)) = input.split_first() else {
            return input;
        };
        if self.state == State::Ground {
            if !is_control(*byte) {
                return self.text(input, take);
            }
            self.end_cut(take);
            self.control(*byte, take);
            return rest;
        }
        self.length += 1;
        if self.length > LONGEST_SEQUENCE {
            self.state = State::Ground;
            return input;
        }
        self.sequence(*byte, take);
        rest
    }

    fn control(&mut self, byte: u8, take: &mut impl FnMut(Item<'_>)) {
        if byte == 0x1b {
            self.begin(State::Escape);
        } else {
            take(Item::Control(byte));
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.length = 0;
        self.count = 0;
        self.parameters = [0; PARAMETERS];
        self.is_foreign = false;
    }

    fn sequence(&mut self, byte: u8, take: &mut impl FnMut(Item<'_>)) {
        match (self.state, byte) {
            // ESC begins anew; a line break ends what somebody forgot to end.
            (State::Text, 0x1b) => self.state = State::TextEscape,
            (_, 0x1b) => self.begin(State::Escape),
            (_, 0x18 | 0x1a) => self.state = State::Ground,
            (_, b'\n' | b'\r') => {
                self.state = State::Ground;
                take(Item::Control(byte));
            }
            (State::Text, 0x07) => self.state = State::Ground,
            (State::Text, _) => {}
            (State::TextEscape, b'\\') => self.state = State::Ground,
            (State::TextEscape, _) => {
                self.begin(State::Escape);
                self.escape(byte, take);
            }
            (_, 0..=0x1f | 0x7f) => take(Item::Control(byte)),
            (State::Escape, _) => self.escape(byte, take),
            (State::Intermediate, 0x20..=0x2f) => {}
            (State::Intermediate, _) => self.state = State::Ground,
            (State::Sequence, _) => self.control_sequence(byte, take),
            (State::Ground, _) => {}
        }
    }

    fn escape(&mut self, byte: u8, take: &mut impl FnMut(Item<'_>)) {
        match byte {
            b'[' => self.begin(State::Sequence),
            b']' | b'P' | b'X' | b'^' | b'_' => self.begin(State::Text),
            0x20..=0x2f => self.state = State::Intermediate,
            _ => {
                self.state = State::Ground;
                take(Item::Escape(byte));
            }
        }
    }

    fn control_sequence(&mut self, byte: u8, take: &mut impl FnMut(Item<'_>)) {
        match byte {
            b'0'..=b'9' => {
                self.count = self.count.max(1);
                if let Some(last) = self.parameters.get_mut(self.count - 1) {
                    *last = last
                        .saturating_mul(10)
                        .saturating_add(u16::from(byte - b'0'));
                }
            }
            b';' => self.count = (self.count.max(1) + 1).min(PARAMETERS + 1),
            b':' | b'<'..=b'?' | 0x20..=0x2f => self.is_foreign = true,
            0x40..=0x7e => {
                self.state = State::Ground;
                if !self.is_foreign {
                    let count = self.count.clamp(1, PARAMETERS);
                    take(Item::Sequence(&self.parameters[..count], byte));
                }
            }
            _ => self.state = State::Ground,
        }
    }

    /// Text up to the next control character.
    fn text<'i>(&mut self, input: &'i [u8], take: &mut impl FnMut(Item<'_>)) -> &'i [u8] {
        let end = input.iter().position(|byte| is_control(*byte));
        let (mut run, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.cut_length > 0 {
            run = self.complete(run, take);
        }
        let mut chunks = run.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_empty() {
                take(Item::Text(chunk.valid()));
            }
            let invalid = chunk.invalid();
            let is_last = chunks.peek().is_none() && rest.is_empty();
            if is_last && is_beginning(invalid) {
                self.cut[..invalid.len()].copy_from_slice(invalid);
                self.cut_length = invalid.len();
            } else if !invalid.is_empty() {
                take(Item::Invalid);
            }
        }
        rest
    }

    /// Completes the character that the last chunk cut, if these bytes do.
    fn complete<'i>(&mut self, run: &'i [u8], take: &mut impl FnMut(Item<'_>)) -> &'i [u8] {
        let mut character = [0; 4];
        let mut length = self.cut_length;
        character[..length].copy_from_slice(&self.cut[..length]);
        for (taken, byte) in run.iter().enumerate() {
            character[length] = *byte;
            length += 1;
            match std::str::from_utf8(&character[..length]) {
                Ok(text) => {
                    self.cut_length = 0;
                    take(Item::Text(text));
                    return &run[taken + 1..];
                }
                Err(error) if error.error_len().is_none() => {}
                // What was cut is no character; this byte may begin another one.
                Err(_) => {
                    self.end_cut(take);
                    return &run[taken..];
                }
            }
        }
        self.cut[..length].copy_from_slice(&character[..length]);
        self.cut_length = length;
        &[]
    }

    /// A character that was begun will not be completed.
    fn end_cut(&mut self, take: &mut impl FnMut(Item<'_>)) {
        if self.cut_length > 0 {
            self.cut_length = 0;
            take(Item::Invalid);
        }
    }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Whether these bytes can be the beginning of a character.
fn is_beginning(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len() <= 3
        && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes out, one word an item.
    fn items(chunks: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut items: Vec<String> = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while !rest.is_empty() {
                rest = decoder.step(rest, &mut |item| match item {
                    Item::Text(text) => match items.last_mut() {
                        Some(last) if last.starts_with('"') => last.push_str(text),
                        _ => items.push(format!("\"{text}")),
                    },
                    Item::Sequence(parameters, end) => {
                        items.push(format!("{parameters:?}{}", char::from(end)));
                    }
                    other => items.push(format!("{other:?}")),
                });
            }
        }
        items
    }

    #[test]
    fn sequences_are_told_from_text() {
        assert_eq!(items(&[b"a\x1b[1;31mb"]), ["\"a", "[1, 31]m", "\"b"]);
        assert_eq!(items(&[b"\x1b[m\x1b[;5H"]), ["[0]m", "[0, 5]H"]);
        assert_eq!(
            items(&[b"\x1b]0;title\x07a\x1bP1q\x1b\\b\x1bcd"]),
            ["\"ab", "Escape(99)", "\"d"]
        );
        assert_eq!(items(&[b"\x1b[?25la\x1b(0b\x1b[38:5:1mc"]), ["\"abc"]);
        assert_eq!(items(&[b"\x1b[3\x1b[4mx"]), ["[4]m", "\"x"]);
    }

    #[test]
    fn a_sequence_without_end_does_not_swallow_the_console() {
        assert_eq!(
            items(&[b"\x1b]0;never ended\nline"]),
            ["Control(10)", "\"line"]
        );
        let endless = [b"\x1b]".as_slice(), &[b'x'; 1000]].concat();
        assert!(items(&[&endless])[0].len() > 700);
        let parameters = [b"\x1b[".as_slice(), &[b';'; 100], b"1m".as_slice()].concat();
        assert_eq!(items(&[&parameters]).len(), 1);
    }

    #[test]
    fn characters_may_be_cut_and_may_be_broken() {
        assert_eq!(
            items(&[b"gr\xc3", b"\xbcn \xe4\xb8", b"\xad"]),
            ["\"grün 中"]
        );
        assert_eq!(
            items(&[b"a\xff\xe4", b"b"]),
            ["\"a", "Invalid", "Invalid", "\"b"]
        );
        assert_eq!(items(&[b"\xe4", b"\n"]), ["Invalid", "Control(10)"]);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            bytes in prop::collection::vec(
                prop_oneof![
                    any::<u8>(),
                    prop::sample::select(b"\x1b[;]m0\\\x07\nA\xc3\xbc\xe4\xb8\xad".to_vec()),
                ],
                0..80,
            ),
            at in 0_usize..80,
        ) {
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(items(&[head, tail]), items(&[&bytes]));
        }
    }
}
