//! One console and what is remembered of it. Used by the parent module only.

use crate::expect::{
    Matcher,
    kernel::{KernelEvent, KernelMessage, KernelMonitor},
};
use hal::console::Console;
use std::{collections::VecDeque, time::Duration};
use wire::journal::{ConnectionId, UndoId};

/// What is kept of a console for the report of a fault: this many lines of at most this many
/// bytes each.
const TAIL_LINES: usize = 12;
const TAIL_LINE_BYTES: usize = 240;
/// What is kept of the kernel messages of one boot.
const MOST_MESSAGES: usize = 1000;

/// One console.
pub(super) struct Session {
    pub(super) connection: ConnectionId,
    pub(super) console: Box<dyn Console>,
    pub(super) matcher: Matcher,
    pub(super) tail: Tail,
    pub(super) line_end: &'static str,
    pub(super) character_delay: Duration,
    pub(super) feedback: bool,
    /// Why it closed, once it has.
    pub(super) closed: Option<String>,
    pub(super) undo: Option<UndoId>,
    pub(super) kernel: Option<Kernel>,
}

impl Session {
    /// Looks at bytes that were just read, each of them once.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
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

/// The last lines of a console, bounded.
#[derive(Default)]
pub(super) struct Tail {
    lines: VecDeque<Vec<u8>>,
    current: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Only the end of a large chunk can still be among the last lines.
        let start = bytes.len().saturating_sub(TAIL_LINES * TAIL_LINE_BYTES);
        for part in bytes[start..].split_inclusive(|byte| *byte == b'\n') {
            let room = TAIL_LINE_BYTES.saturating_sub(self.current.len());
            let text = part.trim_ascii_end();
            self.current
                .extend_from_slice(&text[..text.len().min(room)]);
            if part.ends_with(b"\n") {
                if self.lines.len() == TAIL_LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(std::mem::take(&mut self.current));
            }
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines
            .iter()
            .chain((!self.current.is_empty()).then_some(&self.current))
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }
}
