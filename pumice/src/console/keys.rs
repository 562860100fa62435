//! Finds the escape key, and what is asked for by the key after it.

/// What a piece of typed text asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Goes to the board.
    Bytes(Vec<u8>),
    /// The escape key came: say which keys may follow.
    Command(Command),
}

/// What the user asks of the console itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Leave,
    Break,
    /// The menu was opened; the next key chooses.
    PowerMenu,
    On,
    Off,
    Cycle,
    Status,
    Help,
    /// A key that means nothing here.
    Unknown(u8),
}

/// Where in a command the user is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Typing,
    Escaped,
    Power,
}

/// Reads what is typed.
#[derive(Debug)]
pub(crate) struct Keys {
    escape: Option<u8>,
    state: State,
}

impl Keys {
    /// With this escape key, or none: then everything goes to the board.
    pub(crate) fn new(escape: Option<u8>) -> Self {
        Self {
            escape,
            state: State::Typing,
        }
    }

    /// Takes what was typed, cut wherever the terminal cut it.
    pub(crate) fn take(&mut self, typed: &[u8]) -> Vec<Typed> {
        let mut found = Vec::new();
        let mut bytes = Vec::new();
        for &byte in typed {
            let command = match self.state {
                State::Typing if Some(byte) == self.escape => {
                    self.state = State::Escaped;
                    continue;
                }
                State::Escaped if Some(byte) != self.escape => self.command(byte),
                State::Power => {
                    self.state = State::Typing;
                    power(byte)
                }
                State::Typing | State::Escaped => {
                    self.state = State::Typing;
                    bytes.push(byte);
                    continue;
                }
            };
            if !bytes.is_empty() {
                found.push(Typed::Bytes(std::mem::take(&mut bytes)));
            }
            found.push(Typed::Command(command));
        }
        if !bytes.is_empty() {
            found.push(Typed::Bytes(bytes));
        }
        found
    }

    fn command(&mut self, byte: u8) -> Command {
        self.state = State::Typing;
        match byte {
            b'.' | b'q' => Command::Leave,
            b'b' => Command::Break,
            b'p' => {
                self.state = State::Power;
                Command::PowerMenu
            }
            b'?' | b'h' => Command::Help,
            other => Command::Unknown(other),
        }
    }
}

fn power(byte: u8) -> Command {
    match byte {
        b'1' => Command::On,
        b'0' => Command::Off,
        b'c' => Command::Cycle,
        b's' => Command::Status,
        other => Command::Unknown(other),
    }
}

/// Understands `^]`, `^a`, and `none`.
pub(crate) fn parse_escape(text: &str) -> Option<Option<u8>> {
    if text.eq_ignore_ascii_case("none") {
        return Some(None);
    }
    match text.as_bytes() {
        [b'^', key] => match key.to_ascii_uppercase() {
            // The terminal's own use of these is off while the console runs.
            upper @ b'A'..=b'_' => Some(Some(upper - b'@')),
            _ => None,
        },
        _ => None,
    }
}

/// `Ctrl-]`, for people.
pub(crate) fn name(escape: u8) -> String {
    format!("Ctrl-{}", char::from(escape + b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new(Some(0x1d))
    }

    #[test]
    fn commands_are_taken_out_and_the_rest_goes_to_the_board() {
        assert_eq!(
            keys().take(b"ls\r\x1dbuname\x1dp1\x1d\x1dx\x1dz\x1d."),
            [
                Typed::Bytes(b"ls\r".to_vec()),
                Typed::Command(Command::Break),
                Typed::Bytes(b"uname".to_vec()),
                Typed::Command(Command::PowerMenu),
                Typed::Command(Command::On),
                Typed::Bytes(b"\x1dx".to_vec()),
                Typed::Command(Command::Unknown(b'z')),
                Typed::Command(Command::Leave),
            ]
        );
    }

    #[test]
    fn keys_have_names() {
        assert_eq!(parse_escape("^]"), Some(Some(0x1d)));
        assert_eq!(parse_escape("^a"), Some(Some(1)));
        assert_eq!(parse_escape("none"), Some(None));
        for bad in ["", "]", "^", "^1", "^^^", "^é"] {
            assert_eq!(parse_escape(bad), None, "{bad}");
        }
        assert_eq!(name(0x1d), "Ctrl-]");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_terminal_cuts(
            typed in prop::collection::vec(prop::sample::select(&b"\x1dp10cb.ax"[..]), 0..40),
            cut in 0usize..40,
        ) {
            let cut = cut.min(typed.len());
            let flat = |found: Vec<Typed>| {
                let mut flat: Vec<Typed> = Vec::new();
                for typed in found {
                    match (flat.last_mut(), typed) {
                        (Some(Typed::Bytes(last)), Typed::Bytes(more)) => last.extend(more),
                        (_, typed) => flat.push(typed),
                    }
                }
                flat
            };
            let whole = flat(keys().take(&typed));
            let mut keys = keys();
            let mut pieces = keys.take(&typed[..cut]);
            pieces.extend(keys.take(&typed[cut..]));
            prop_assert_eq!(flat(pieces), whole);
        }
    }
}
