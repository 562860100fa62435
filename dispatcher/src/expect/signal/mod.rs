//! Signals of LAVA's test shell in a stream of console bytes.
//!
//! Tests write `<LAVA_SIGNAL_… …>` lines to the console, and the kernel writes its messages to the
//! same console at any moment: into the middle of a signal, too. The decoder reads whole signals,
//! puts cut ones together again when that is possible in one way only, and reports the others as
//! lost with what is sure about them. It never guesses: a result that might belong to another test
//! is lost. The echo of typed commands and what `set -x` prints are not signals.
//!
//! It decides at line ends, so its decisions do not depend on how the stream was cut.

mod form;
mod fragment;
mod grammar;
mod knowledge;

pub use grammar::{Case, Run, Signal};

use super::{
    console,
    lines::{LineEnd, LineSplitter},
};
use fragment::{Fallback, Fed, Fragment, Outcome};
use grammar::Kind;
use knowledge::{Knowledge, Verdict};
use memchr::{memchr, memchr_iter, memchr2, memrchr};
use std::ops::Range;

/// The longest line that is looked at in one piece, in bytes.
pub(super) const LINE_LIMIT: usize = 16 * 1024;

/// How much of a longer line's piece is looked at again with the next: more than a signal is long.
const OVERLAP: usize = 1_024;

/// For how many lines a marker that was cut is waited for.
const PATIENCE: u64 = 256;

/// The length of the longest marker.
const LONGEST_MARKER: usize = 24;

/// What the decoder read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalEvent {
    /// A signal.
    Decoded(Decoded),
    /// A signal was there but cannot be told from others.
    Lost(Lost),
    /// A line looks like a signal and is none.
    Malformed {
        /// All between `<LAVA_…` and `>`.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
        /// The lines it stands on, in bytes of the stream.
        range: Range<u64>,
    },
}

/// A signal and how it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The signal.
    pub signal: Signal,
    /// Whether it was put together from pieces.
    pub repaired: bool,
    /// The lines it stands on, in bytes of the stream.
    pub range: Range<u64>,
}

/// What is sure about a signal that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its name, such as `TESTCASE`.
    pub name: Option<&'static str>,
    /// The test case whose result it was.
    pub case: Option<String>,
    /// Why it cannot be read.
    pub reason: &'static str,
    /// The lines it stands on, in bytes of the stream.
    pub range: Range<u64>,
}

/// Reads signals from console bytes.
#[derive(Debug)]
pub struct SignalDecoder {
    splitter: LineSplitter,
    /// The end of a piece of an overlong line.
    carried: Vec<u8>,
    /// Where the next line starts in the stream.
    offset: u64,
    knowledge: Knowledge,
    fragment: Option<Fragment>,
    cut_markers: CutMarkers,
}

/// Markers of which a line held only the beginning, such as `<` or `<LAVA_SI`: until which line
/// the rest from that place on is waited for.
#[derive(Debug, Default)]
struct CutMarkers {
    line: u64,
    until: [[u64; LONGEST_MARKER]; 3],
    latest: u64,
}

impl SignalDecoder {
    /// A decoder for a job whose tests run as `runs`; none when that is not known.
    pub fn new(runs: Vec<Run>) -> Self {
        Self {
            splitter: LineSplitter::with_limit(LINE_LIMIT),
            carried: Vec::new(),
            offset: 0,
            knowledge: Knowledge::new(runs),
            fragment: None,
            cut_markers: CutMarkers::default(),
        }
    }

    /// Words that stand for results beside LAVA's own: the keys of a `fixupdict`. A signal with any
    /// other word is taken for a cut one until the next signal comes.
    pub fn set_further_results(&mut self, words: Vec<String>) {
        self.knowledge.further_results = words;
    }

    /// Takes what the console printed and gives out what it says.
    pub fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(SignalEvent)) {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.push(bytes, &mut |line, end| {
            self.line(line, end, emit);
        });
        self.splitter = splitter;
    }

    /// The console ended: gives out what the open line says, and what was still waited for.
    pub fn flush(&mut self, emit: &mut impl FnMut(SignalEvent)) {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.flush(&mut |line, end| {
            self.line(line, end, emit);
        });
        self.splitter = splitter;
        self.close(emit);
    }

    /// Takes one line, as [`LineSplitter`] gives it out. Returns whether it is, or may be, part of
    /// a signal.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        end: LineEnd,
        emit: &mut impl FnMut(SignalEvent),
    ) -> bool {
        let start = self.offset;
        self.offset += line.len() as u64;
        if let LineEnd::Break { carriage_returns } = end {
            self.offset += u64::from(carriage_returns) + 1;
        }
        let range = start..start + line.len() as u64;
        if self.carried.is_empty() && end != LineEnd::Continued {
            return self.whole_line(line, range, emit);
        }
        let mut text = std::mem::take(&mut self.carried);
        text.extend_from_slice(line);
        if end == LineEnd::Continued {
            self.carried = text.split_off(text.len().saturating_sub(OVERLAP));
        }
        self.whole_line(&text, range, emit)
    }

    /// Takes whole lines at the start of `bytes` that hold nothing of interest, several at once, and
    /// says how many bytes that were. A line that [`LineSplitter`] would cut is left to it.
    pub(super) fn quiet_lines(&mut self, bytes: &[u8]) -> usize {
        if self.fragment.is_some() || self.cut_markers.waiting() || !self.carried.is_empty() {
            return 0;
        }
        let mut quiet = 0;
        loop {
            let window = &bytes[quiet..bytes.len().min(quiet + LINE_LIMIT)];
            let interesting = memchr2(b'<', b'+', window);
            let window = &window[..interesting.unwrap_or(window.len())];
            let lines = memrchr(b'\n', window).map_or(0, |newline| newline + 1);
            self.offset += lines as u64;
            self.cut_markers.line += memchr_iter(b'\n', &window[..lines]).count() as u64;
            quiet += lines;
            if lines == 0 || interesting.is_some() {
                return quiet;
            }
        }
    }

    fn whole_line(
        &mut self,
        line: &[u8],
        range: Range<u64>,
        emit: &mut impl FnMut(SignalEvent),
    ) -> bool {
        self.cut_markers.line += 1;
        let is_quiet = self.fragment.is_none() && !self.cut_markers.waiting();
        if is_quiet && memchr2(b'<', b'+', line).is_none() {
            return false;
        }
        let text = console::plain(line);
        if console::is_kernel_line(&text) {
            return self.kernel_line(&text, range, emit);
        }
        if console::is_trace(&text) {
            self.close(emit);
            self.knowledge.learn_command(&text);
            return false;
        }
        let mut rest = &text[..];
        let mut used = false;
        if let Some(fragment) = &mut self.fragment {
            used = true;
            match fragment.feed(rest, range.end) {
                Fed::Ended(at) => {
                    rest = &rest[at..];
                    self.close(emit);
                }
                Fed::GaveUp => self.close(emit),
                Fed::Waiting => {}
            }
        }
        if let Some((kind, marker_rest)) = self.cut_markers.resume(rest) {
            let signal = &rest[marker_rest..];
            self.close(emit);
            if let Some(after) = self.attempt(kind, signal, true, false, &range, emit) {
                self.scan(after, &range, emit);
            }
            return true;
        }
        self.scan(rest, &range, emit) || used
    }

    /// A line of the kernel holds no part of a cut signal, but it may hold whole ones: tests write
    /// them to `/dev/kmsg` to keep them in one piece.
    fn kernel_line(
        &mut self,
        text: &[u8],
        range: Range<u64>,
        emit: &mut impl FnMut(SignalEvent),
    ) -> bool {
        let mut found = false;
        let mut rest = text;
        while let Some((kind, at)) = next_marker(rest) {
            let body = &rest[at + kind.marker().len()..];
            let Some(close) = memchr(b'>', body) else {
                break;
            };
            found = true;
            match grammar::parse(kind, &body[..close]) {
                Ok(signal) => self.decoded(signal, false, range.clone(), emit),
                Err(reason) => emit(SignalEvent::Malformed {
                    text: String::from_utf8_lossy(&body[..close]).into_owned(),
                    reason,
                    range: range.clone(),
                }),
            }
            rest = &body[close + 1..];
        }
        if let Some(fragment) = &mut self.fragment
            && fragment.feed_kernel_line() == Fed::GaveUp
        {
            self.close(emit);
        }
        found
    }

    /// Looks for signals that start on this line. Returns whether there are some.
    fn scan(
        &mut self,
        text: &[u8],
        range: &Range<u64>,
        emit: &mut impl FnMut(SignalEvent),
    ) -> bool {
        let mut rest = text;
        let mut found = false;
        while let Some((kind, at)) = next_marker(rest) {
            found = true;
            self.close(emit);
            let quoted = console::is_quoted(rest, at);
            let body = &rest[at + kind.marker().len()..];
            match self.attempt(kind, body, false, quoted, range, emit) {
                Some(after) => rest = after,
                None => return true,
            }
        }
        self.cut_markers.note(rest);
        found
    }

    /// Reads a signal whose marker ends where `body` starts. Returns what follows it on the line,
    /// or nothing when it may go on on later lines.
    fn attempt<'t>(
        &mut self,
        kind: Kind,
        body: &'t [u8],
        repaired: bool,
        quoted: bool,
        range: &Range<u64>,
        emit: &mut impl FnMut(SignalEvent),
    ) -> Option<&'t [u8]> {
        let cut = console::kernel_line(body);
        let close = memchr(b'>', body).filter(|close| cut.is_none_or(|cut| *close < cut));
        let Some(close) = close else {
            if !quoted {
                self.fragment = Some(Fragment::new(kind, body, range, quoted));
            }
            return quoted.then_some(body);
        };
        let (inside, tail) = (&body[..close], &body[close + 1..]);
        if quoted && console::ends_quotes(tail) {
            return Some(tail);
        }
        let clean = fragment::ends_cleanly(tail);
        let fragment = || Fragment::new(kind, body, range, quoted);
        let fallback = match grammar::parse(kind, inside) {
            Ok(signal) if signal.has_good_values(&self.knowledge.further_results) => {
                let may_go_on = if matches!(signal, Signal::MultiNode { .. }) && clean {
                    // The board waits for an answer, so there may be no next line.
                    false
                } else if clean {
                    inside.ends_with(b"-")
                        || inside.ends_with(b"=")
                        || memchr(b'<', inside).is_some()
                } else {
                    next_marker(tail).is_none()
                };
                let is_odd = self.knowledge.judge(&signal) == Verdict::Contradicted;
                let is_sure = !(is_odd || may_go_on && signal.ends_freely());
                if is_sure {
                    self.decoded(signal, repaired, range.clone(), emit);
                    return Some(tail);
                }
                let mut fragment = fragment();
                fragment.hold(signal, repaired);
                self.fragment = Some(fragment);
                return None;
            }
            Ok(signal) => Fallback::Signal(signal),
            Err(reason) => {
                let text = String::from_utf8_lossy(inside).into_owned();
                Fallback::Malformed(text, reason)
            }
        };
        if quoted && clean {
            return Some(tail);
        }
        let mut fragment = fragment();
        fragment.fallback = clean.then_some(fallback);
        self.fragment = Some(fragment);
        None
    }

    /// Ends the wait for the rest of a signal.
    fn close(&mut self, emit: &mut impl FnMut(SignalEvent)) {
        let Some(mut fragment) = self.fragment.take() else {
            return;
        };
        let fallback = fragment.fallback.take();
        let (repaired, range) = (fragment.repaired, fragment.start..fragment.end);
        match (fragment.decide(&self.knowledge), fallback) {
            (Outcome::Signal(signal), _) => self.decoded(signal, repaired, range, emit),
            (Outcome::Lost { .. }, Some(Fallback::Signal(signal))) => {
                self.decoded(signal, false, range, emit);
            }
            (Outcome::Lost { .. }, Some(Fallback::Malformed(text, reason))) => {
                emit(SignalEvent::Malformed {
                    text,
                    reason,
                    range,
                });
            }
            (Outcome::Lost { name, case, reason }, None) => {
                self.knowledge.learn_lost(name);
                emit(SignalEvent::Lost(Lost {
                    name,
                    case,
                    reason,
                    range,
                }));
            }
            (Outcome::Nothing, _) => {}
        }
    }

    fn decoded(
        &mut self,
        signal: Signal,
        repaired: bool,
        range: Range<u64>,
        emit: &mut impl FnMut(SignalEvent),
    ) {
        self.knowledge.learn(&signal);
        emit(SignalEvent::Decoded(Decoded {
            signal,
            repaired,
            range,
        }));
    }
}

impl CutMarkers {
    fn waiting(&self) -> bool {
        self.latest >= self.line
    }

    /// Notes the beginnings of markers in what is left of a line: the kernel may have written the
    /// rest of the line.
    fn note(&mut self, text: &[u8]) {
        for at in memchr::memchr_iter(b'<', text) {
            for kind in Kind::ALL {
                self.allow(kind, 1, shared(kind.marker(), &text[at..]));
            }
        }
    }

    /// Waits for the rest of a marker from each place in `from..=to` on.
    fn allow(&mut self, kind: Kind, from: usize, to: usize) {
        for place in from..=to.min(kind.marker().len() - 1) {
            self.latest = self.line + PATIENCE;
            self.until[kind as usize][place] = self.latest;
        }
    }

    /// Whether a line starts with the rest of a marker that is waited for; where that rest ends.
    fn resume(&mut self, text: &[u8]) -> Option<(Kind, usize)> {
        if !self.waiting() {
            return None;
        }
        let mut longer = Vec::new();
        for kind in Kind::ALL {
            let marker = kind.marker();
            for place in 1..marker.len() {
                if self.until[kind as usize][place] < self.line {
                    continue;
                }
                let rest = &marker[place..];
                let length = shared(rest, text);
                if length == rest.len() {
                    self.latest = 0;
                    return Some((kind, length));
                }
                if length > 0 {
                    longer.push((kind, place + 1, place + length));
                }
            }
        }
        for (kind, from, to) in longer {
            self.allow(kind, from, to);
        }
        None
    }
}

/// How many bytes two texts have in common at their start.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

/// The first whole marker in a text.
fn next_marker(text: &[u8]) -> Option<(Kind, usize)> {
    memchr::memchr_iter(b'<', text).find_map(|at| {
        let rest = &text[at..];
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| rest.starts_with(kind.marker()))?;
        Some((kind, at))
    })
}

#[cfg(test)]
mod tests;
