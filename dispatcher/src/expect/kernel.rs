//! Messages of the kernel that tell of trouble: oopses, warnings, panics, a board that restarted.
//!
//! The runner feeds a monitor beside its waits, while a board boots and while tests run. A message
//! is kept from the line it starts on to the line it ends on, with the trace in between. The table
//! is that of LAVA 2026.07, where a message ends at the next carriage return; here that is the end
//! of the line.

use super::{console, lines::LineSplitter};
use memchr::{memchr, memmem, memrchr};
use regex_automata::{meta, util::syntax};

/// The longest line of a message, in bytes.
const LINE_LIMIT: usize = 4_096;

/// How many lines of a message are kept when its end does not come.
const MAX_LINES: usize = 256;

/// How many bytes of a message are kept when its end does not come.
const MAX_BYTES: usize = 32 * 1024;

/// What kind of trouble a message tells of. The names are LAVA's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelMessageKind {
    /// `BUG:` or `kernel BUG at`.
    Bug,
    /// `Unhandled fault`.
    Fault,
    /// `invalid opcode:`.
    InvalidOpcode,
    /// `BUG: KASAN:`.
    Kasan,
    /// `BUG: KCSAN:`.
    Kcsan,
    /// `BUG: KFENCE:`.
    Kfence,
    /// `Oops`.
    Oops,
    /// `Kernel panic - not syncing`: the kernel has stopped.
    Panic,
    /// `U-Boot SPL` after the kernel: the board has restarted.
    Reset,
    /// A trace that tells nothing else.
    Unknown,
    /// `WARNING:`.
    Warning,
}

impl KernelMessageKind {
    /// LAVA's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bug => "bug",
            Self::Fault => "fault",
            Self::InvalidOpcode => "invalid opcode",
            Self::Kasan => "kasan",
            Self::Kcsan => "kcsan",
            Self::Kfence => "kfence",
            Self::Oops => "oops",
            Self::Panic => "panic",
            Self::Reset => "DUT_has_reset",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
        }
    }

    /// Whether nothing can be expected of the board after it.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Panic | Self::Reset)
    }
}

/// A message of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelMessage {
    /// What it tells of.
    pub kind: KernelMessageKind,
    /// Its lines, joined by newlines, without escape sequences.
    pub text: String,
    /// Whether its last line came.
    pub complete: bool,
}

/// What a monitor saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelEvent {
    /// A message starts. When it is fatal the runner need not wait for anything else, but should
    /// read on for a moment: the reason and the trace follow.
    Started(KernelMessageKind),
    /// A message ended, or as much of one as is kept.
    Message(KernelMessage),
}

/// How a message starts and how it ends.
struct Row {
    start: &'static str,
    /// `None` for messages of one line.
    end: Option<fn(&[u8]) -> bool>,
    /// `None` when the text of the whole message tells.
    kind: Option<KernelMessageKind>,
}

const TABLE: [Row; 11] = {
    use KernelMessageKind as Kind;
    const fn row(
        start: &'static str,
        end: Option<fn(&[u8]) -> bool>,
        kind: Option<KernelMessageKind>,
    ) -> Row {
        Row { start, end, kind }
    }
    [
        row(r"-\[ cut here \]", Some(ends_trace), None),
        row("Unhandled fault", None, Some(Kind::Fault)),
        row("BUG: KCSAN:", Some(ends_report), Some(Kind::Kcsan)),
        row("BUG: KASAN:", Some(ends_report), Some(Kind::Kasan)),
        row("BUG: KFENCE:", Some(ends_report), Some(Kind::Kfence)),
        row("Oops(?: -|:)", None, Some(Kind::Oops)),
        row("WARNING:", Some(ends_warning), Some(Kind::Warning)),
        row("(?:kernel BUG at|BUG:)", None, Some(Kind::Bug)),
        row("invalid opcode:", None, Some(Kind::InvalidOpcode)),
        row(
            "Kernel panic - not syncing",
            Some(ends_panic),
            Some(Kind::Panic),
        ),
        row("U-Boot SPL 20[0-9][0-9]", None, Some(Kind::Reset)),
    ]
};

/// `-+\[ end trace \w* \]-+`
fn ends_trace(line: &[u8]) -> bool {
    contains(line, b"-[ end trace ")
}

fn ends_warning(line: &[u8]) -> bool {
    contains(line, b"end trace")
}

/// `=+\r`
fn ends_report(line: &[u8]) -> bool {
    line.ends_with(b"=")
}

fn ends_panic(line: &[u8]) -> bool {
    contains(line, b"end Kernel panic")
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    memmem::find(line, text).is_some()
}

/// The start patterns of the table, in Python's syntax, in LAVA's order: for a wait that should
/// end when one of them comes.
pub fn start_patterns() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.start)
}

/// Looks for messages of the kernel in what a console prints.
#[derive(Debug)]
pub struct KernelMonitor {
    splitter: LineSplitter,
    starts: meta::Regex,
    capture: Option<Capture>,
}

/// A message whose end has not come.
#[derive(Debug)]
struct Capture {
    row: usize,
    text: Vec<u8>,
    lines: usize,
}

impl KernelMonitor {
    /// A monitor that has seen nothing.
    #[expect(
        clippy::expect_used,
        reason = "the patterns are constants that a test compiles"
    )]
    pub fn new() -> Self {
        let starts: Vec<&str> = start_patterns().collect();
        Self {
            splitter: LineSplitter::with_limit(LINE_LIMIT),
            starts: meta::Builder::new()
                .syntax(syntax::Config::new().unicode(false).utf8(false))
                .build_many(&starts)
                .expect("the table of kernel messages compiles"),
            capture: None,
        }
    }

    /// Takes what the console printed and gives out what it tells.
    pub fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(KernelEvent)) {
        let Self {
            splitter,
            starts,
            capture,
        } = self;
        let mut rest = bytes;
        while !rest.is_empty() {
            if capture.is_none() && splitter.partial().is_empty() {
                rest = &rest[quiet_lines(starts, rest)..];
            }
            let line = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            splitter.push(&rest[..line], &mut |line, _| {
                take_line(starts, capture, line, emit);
            });
            rest = &rest[line..];
        }
    }

    /// Whether a message started whose end has not come.
    pub fn is_capturing(&self) -> bool {
        self.capture.is_some()
    }

    /// Gives out a message whose end has not come, as far as it came: the wait is over.
    pub fn finish(&mut self, emit: &mut impl FnMut(KernelEvent)) {
        let Self {
            splitter,
            starts,
            capture,
        } = self;
        splitter.flush(&mut |line, _| take_line(starts, capture, line, emit));
        if let Some(capture) = capture.take() {
            emit(KernelEvent::Message(capture.message(false)));
        }
    }
}

impl Default for KernelMonitor {
    fn default() -> Self {
        Self::new()
    }
}

/// How many bytes at the start are whole lines in which no message starts: nearly all are, and one
/// search of many lines costs less than many searches. A line that [`LineSplitter`] would cut is
/// left to it, so that the result does not depend on how the stream was cut.
fn quiet_lines(starts: &meta::Regex, bytes: &[u8]) -> usize {
    let mut quiet = 0;
    loop {
        let window = &bytes[quiet..bytes.len().min(quiet + LINE_LIMIT)];
        let Some(newline) = memrchr(b'\n', window) else {
            return quiet;
        };
        let lines = &window[..=newline];
        if let Some(found) = starts.find(lines) {
            let before = memrchr(b'\n', &lines[..found.start()]);
            return quiet + before.map_or(0, |newline| newline + 1);
        }
        quiet += lines.len();
    }
}

fn take_line(
    starts: &meta::Regex,
    capture: &mut Option<Capture>,
    line: &[u8],
    emit: &mut impl FnMut(KernelEvent),
) {
    let found = starts.find(line).map(|found| found.pattern().as_usize());
    if let Some(open) = capture {
        // A fatal message is never part of another one.
        let fatal = found.filter(|row| *row != open.row && is_fatal(*row) && !is_fatal(open.row));
        if fatal.is_none() {
            let ended = open.add(line);
            if (ended || open.is_full())
                && let Some(open) = capture.take()
            {
                emit(KernelEvent::Message(open.message(ended)));
            }
            return;
        }
        if let Some(open) = capture.take() {
            emit(KernelEvent::Message(open.message(false)));
        }
    }
    let Some(row) = found else { return };
    let mut open = Capture {
        row,
        text: Vec::new(),
        lines: 0,
    };
    let ended = open.add(line);
    emit(KernelEvent::Started(open.kind()));
    if TABLE[row].end.is_none() || ended {
        emit(KernelEvent::Message(open.message(true)));
    } else {
        *capture = Some(open);
    }
}

fn is_fatal(row: usize) -> bool {
    TABLE[row].kind.is_some_and(KernelMessageKind::is_fatal)
}

impl Capture {
    /// Adds a line. Returns whether it is the last.
    fn add(&mut self, line: &[u8]) -> bool {
        if self.lines > 0 {
            self.text.push(b'\n');
        }
        self.lines += 1;
        let line = console::plain(line);
        self.text.extend_from_slice(&line);
        TABLE[self.row].end.is_some_and(|is_end| is_end(&line))
    }

    fn is_full(&self) -> bool {
        self.lines >= MAX_LINES || self.text.len() >= MAX_BYTES
    }

    fn kind(&self) -> KernelMessageKind {
        let has = |text: &[u8]| contains(&self.text, text);
        TABLE[self.row].kind.unwrap_or_else(|| {
            if has(b"Oops") {
                KernelMessageKind::Oops
            } else if has(b"BUG") {
                KernelMessageKind::Bug
            } else if has(b"WARNING") {
                KernelMessageKind::Warning
            } else {
                KernelMessageKind::Unknown
            }
        })
    }

    fn message(&self, complete: bool) -> KernelMessage {
        KernelMessage {
            kind: self.kind(),
            text: String::from_utf8_lossy(&self.text).into_owned(),
            complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KernelMessageKind as Kind;

    fn messages(console: &str, chunk: usize) -> Vec<KernelMessage> {
        let mut messages = Vec::new();
        let mut emit = |event| {
            if let KernelEvent::Message(message) = event {
                messages.push(message);
            }
        };
        let mut monitor = KernelMonitor::new();
        for bytes in console.as_bytes().chunks(chunk) {
            monitor.push(bytes, &mut emit);
        }
        monitor.finish(&mut emit);
        messages
    }

    /// Kind, number of lines and completeness, for every way to cut the console's output.
    fn told(console: &str) -> Vec<(Kind, usize, bool)> {
        let whole = messages(console, console.len());
        for chunk in 1..12 {
            assert_eq!(messages(console, chunk), whole);
        }
        let told =
            |message: KernelMessage| (message.kind, message.text.lines().count(), message.complete);
        whole.into_iter().map(told).collect()
    }

    #[test]
    fn each_row_of_the_table_is_seen() {
        for (console, kind, lines) in [
            (
                "x\r\n[    1.000000] Unhandled fault: alignment\r\ny\r\n",
                Kind::Fault,
                1,
            ),
            (
                "BUG: KCSAN: data-race\r\na\r\n==========\r\n",
                Kind::Kcsan,
                3,
            ),
            (
                "BUG: KASAN: use-after-free\r\na\r\n==========\r\n",
                Kind::Kasan,
                3,
            ),
            (
                "BUG: KFENCE: use-after-free\r\na\r\n==========\r\n",
                Kind::Kfence,
                3,
            ),
            ("Internal error: Oops - BUG: 0 [#1]\r\n", Kind::Oops, 1),
            ("Oops: 0002 [#1]\r\n", Kind::Oops, 1),
            (
                "WARNING: CPU: 0 PID: 1\r\nregs\r\n---[ end trace 0 ]---\r\n",
                Kind::Warning,
                3,
            ),
            ("kernel BUG at fs/x.c:12!\r\n", Kind::Bug, 1),
            ("BUG: scheduling while atomic\r\n", Kind::Bug, 1),
            ("invalid opcode: 0000 [#1]\r\n", Kind::InvalidOpcode, 1),
            (
                "Kernel panic - not syncing: x\r\nCPU\r\n---[ end Kernel panic - x ]---\r\n",
                Kind::Panic,
                3,
            ),
            ("\r\nU-Boot SPL 2026.01\r\n", Kind::Reset, 1),
            (
                "-----[ cut here ]-----\r\nWARNING: x\r\n---[ end trace 00 ]---\r\n",
                Kind::Warning,
                3,
            ),
            (
                "-----[ cut here ]-----\r\nkernel BUG at x\r\n---[ end trace 00 ]---\r\n",
                Kind::Bug,
                3,
            ),
            (
                "-----[ cut here ]-----\r\nOops - BUG\r\n---[ end trace 00 ]---\r\n",
                Kind::Oops,
                3,
            ),
            (
                "-----[ cut here ]-----\r\nx\r\n---[ end trace 00 ]---\r\n",
                Kind::Unknown,
                3,
            ),
        ] {
            assert_eq!(told(console), [(kind, lines, true)], "{console:?}");
        }
    }

    #[test]
    fn a_panic_keeps_its_trace_even_when_its_end_does_not_come() {
        let console = "[    1.0] Kernel panic - not syncing: VFS\r\n[    1.1] CPU: 0\r\n[    1.2] Call Trace:";
        assert_eq!(told(console), [(Kind::Panic, 3, false)]);
    }

    #[test]
    fn a_panic_in_the_middle_of_a_trace_is_not_missed() {
        let console = "-----[ cut here ]-----\r\nWARNING: x\r\nKernel panic - not syncing: y\r\n\
            ---[ end Kernel panic - y ]---\r\n";
        assert_eq!(
            told(console),
            [(Kind::Warning, 2, false), (Kind::Panic, 2, true)]
        );
    }

    #[test]
    fn a_warning_without_end_is_bounded() {
        let console = format!("WARNING: apt\r\n{}", "noise\r\n".repeat(1_000));
        let told = messages(&console, 4_096);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].text.lines().count(), MAX_LINES);
    }

    #[test]
    fn an_ordinary_boot_tells_nothing() {
        let console = "[    0.000000] Linux version 6.1\r\n[    1.0] Run /init as init process\r\n";
        assert_eq!(told(console), []);
    }
}
