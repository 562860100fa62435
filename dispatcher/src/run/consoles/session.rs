//! One console and what is remembered of it. Used by the parent module only.

use crate::expect::{
    Matcher,
    kernel::{KernelEvent, KernelMessage, KernelMonitor},
};
use hal::console::{Console, Epoch, Fenced};
use std::time::Duration;
use wire::journal::{ConnectionId, UndoId};

/// What is kept of a console for the report of a fault: this many lines of at most this many
/// bytes each.
const TAIL_LINES: usize = 12;
const TAIL_LINE_BYTES: usize = 240;
/// The end of what a console printed, in which those lines are looked for.
const TAIL_BYTES: usize = 8 * 1024;
/// What is kept of the beginning of a boot, and at least of its end. A boot prints some 60 KiB.
const BOOT_BYTES: usize = 128 * 1024;
/// What is kept of the kernel messages of one boot.
const MOST_MESSAGES: usize = 1000;

/// One console.
pub(super) struct Session {
    pub(super) connection: ConnectionId,
    pub(super) console: Fenced<Box<dyn Console>>,
    /// How many times the power was switched while it was open.
    pub(super) switches: u32,
    pub(super) matcher: Matcher,
    pub(super) tail: Tail,
    pub(super) line_end: &'static str,
    pub(super) character_delay: Duration,
    pub(super) feedback: bool,
    /// Why it closed, once it has.
    pub(super) closed: Option<String>,
    pub(super) undo: Option<UndoId>,
    pub(super) kernel: Option<Kernel>,
    /// What a boot prints, while one is watched.
    pub(super) boot: Option<BootText>,
}

impl Session {
    /// The life of the board that bytes just read belong to, of which `now` is the newest.
    ///
    /// The first switch after a console was opened begins no other life for it: the command that
    /// connects may itself be what started the board, and the job knows of no life before.
    pub(super) fn life(&self, now: Epoch) -> Epoch {
        match self.switches {
            0 | 1 => now,
            _ => self.console.epoch(),
        }
    }

    /// Looks at bytes that were just read, each of them once.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
        if let Some(boot) = &mut self.boot {
            boot.push(bytes);
        }
        if let Some(kernel) = &mut self.kernel {
            kernel.push(bytes);
        }
    }

    /// Whether the kernel stopped and said all it had to say.
    pub(super) fn is_dead(&self) -> bool {
        self.kernel.as_ref().is_some_and(Kernel::is_dead)
    }
}

/// The kernel messages of one boot.
#[derive(Default)]
pub(super) struct Kernel {
    monitor: KernelMonitor,
    messages: Vec<KernelMessage>,
    pub(super) fatal: bool,
}

impl Kernel {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Self {
            monitor,
            messages,
            fatal,
        } = self;
        monitor.push(bytes, &mut |event| match event {
            KernelEvent::Started(kind) => *fatal |= kind.is_fatal(),
            KernelEvent::Message(message) if messages.len() < MOST_MESSAGES => {
                messages.push(message);
            }
            KernelEvent::Message(_) => {}
        });
    }

    pub(super) fn is_dead(&self) -> bool {
        self.fatal && !self.monitor.is_capturing()
    }

    pub(super) fn finish(mut self) -> Vec<KernelMessage> {
        let Self {
            monitor, messages, ..
        } = &mut self;
        monitor.finish(&mut |event| {
            if let KernelEvent::Message(message) = event {
                messages.push(message);
            }
        });
        self.messages
    }
}

/// What a board printed since its reset, bounded: its first words and its last.
#[derive(Default)]
pub(super) struct BootText {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl BootText {
    fn push(&mut self, bytes: &[u8]) {
        let room = BOOT_BYTES - self.first.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.first.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(BOOT_BYTES)..];
        if self.last.len() + rest.len() > 2 * BOOT_BYTES {
            self.last
                .drain(..self.last.len() - (BOOT_BYTES - rest.len()));
        }
        self.last.extend_from_slice(rest);
    }

    /// All that is kept.
    pub(super) fn text(&self) -> Vec<u8> {
        [self.first.as_slice(), &self.last].concat()
    }
}

/// The last lines of a console, bounded.
///
/// Every byte of a console passes here and hardly any is ever shown: bytes are kept as they came
/// and become lines when somebody asks.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        if self.bytes.len() + new.len() > 2 * TAIL_BYTES {
            let kept = TAIL_BYTES - new.len();
            self.bytes.drain(..self.bytes.len().saturating_sub(kept));
        }
        self.bytes.extend_from_slice(new);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let open = usize::from(!self.bytes.is_empty() && !self.bytes.ends_with(b"\n"));
        let mut lines: Vec<&[u8]> = self.bytes.split(|byte| *byte == b'\n').collect();
        // What follows the last line break is a line only when something follows.
        lines.truncate(lines.len() - 1 + open);
        let first = lines.len().saturating_sub(TAIL_LINES + open);
        lines[first..]
            .iter()
            .map(|line| {
                let shown = line[..line.len().min(TAIL_LINE_BYTES)].trim_ascii_end();
                String::from_utf8_lossy(shown).into_owned()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(chunks: &[&[u8]]) -> Vec<String> {
        let mut tail = Tail::default();
        for chunk in chunks {
            tail.push(chunk);
            assert!(tail.bytes.len() <= 2 * TAIL_BYTES);
        }
        tail.lines()
    }

    #[test]
    fn the_last_lines_and_the_open_one_are_kept() {
        assert!(tail(&[]).is_empty());
        assert_eq!(tail(&[b"a \r\n", b"\r\n$", b" "]), ["a", "", "$"]);
        let many: Vec<String> = (0..1000)
            .map(|number| format!("line {number}\r\n"))
            .collect();
        let chunks: Vec<&[u8]> = many.iter().map(|line| line.as_bytes()).collect();
        let last: Vec<String> = (988..1000).map(|number| format!("line {number}")).collect();
        assert_eq!(tail(&chunks), last);
        assert_eq!(tail(&[many.concat().as_bytes()]), last);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let lines = tail(&[&[b'x'; 100_000], b"\n", &[b'y'; 300]]);
        assert_eq!(
            lines.iter().map(String::len).collect::<Vec<_>>(),
            [240, 240]
        );
    }
}
