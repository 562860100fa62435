//! What a device says while a command runs and at its end, within bounds.

/// How many INFO and TEXT messages one command may bring: `getvar all` of a phone has hundreds.
pub(super) const MAX_LINES: usize = 10_000;

/// How many bytes all of them may have.
const MAX_LINES_BYTES: usize = 1 << 20;

/// What happens while a command runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The device said something: a line, or a piece of one.
    Info(&'a str),
    /// A download of a flash begins: `number` (from 1) of `of`.
    Part {
        /// Which.
        number: usize,
        /// Of how many.
        of: usize,
    },
    /// So much of a download was handed to the transport.
    Sent {
        /// Bytes so far.
        bytes: u64,
        /// Of how many.
        total: u64,
    },
}

/// What a device answered to a command that it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text after OKAY: a variable's value.
    pub value: String,
    /// What it said before, one INFO message each; pieces of TEXT are joined to lines.
    pub lines: Vec<String>,
}

/// What a device said while a command ran, within bounds.
#[derive(Default)]
pub(super) struct Replies {
    pub(super) value: String,
    lines: Vec<String>,
    /// TEXT without an end so far.
    open: String,
    bytes: usize,
    messages: usize,
}

impl Replies {
    /// False when it is too much.
    pub(super) fn add(&mut self, text: &str, ends_line: bool) -> bool {
        self.bytes += text.len();
        self.messages += 1;
        if self.bytes > MAX_LINES_BYTES || self.messages > MAX_LINES {
            return false;
        }
        if ends_line {
            self.close();
            self.lines.push(text.to_owned());
            return true;
        }
        self.open.push_str(text);
        while let Some((line, rest)) = self.open.split_once('\n') {
            self.lines.push(line.to_owned());
            self.open = rest.to_owned();
        }
        true
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.lines.push(std::mem::take(&mut self.open));
        }
    }

    pub(super) fn into_reply(mut self) -> Reply {
        self.close();
        Reply {
            value: self.value,
            lines: self.lines,
        }
    }
}

/// "name: value" or "name:value", where the name may have colons of its own ("partition-size:boot: 0x1").
pub(super) fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ").or_else(|| line.rsplit_once(':'))?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}
