//! A signal that did not end on its line: kernel output came in between.
//!
//! The console shows `‹beginning›‹kernel line›` and, lines later, `‹rest›`. Where the beginning
//! ends is known when the kernel's line starts with a time stamp; else it is any place up to which
//! the text can still become a signal. All readings are kept, and the rest completes those it can.
//! When that leaves one signal, it is the one; when it leaves several and nothing known of the
//! running tests tells them apart, the signal is lost, never guessed.

use crate::expect::console;

use super::{
    form::{self, Fit},
    grammar::{self, Kind, Signal},
    knowledge::{Knowledge, Verdict},
};
use memchr::memchr;
use std::ops::Range;

/// How many readings are kept.
const MAX_READINGS: usize = 2_048;

/// How many lines that may hold the rest are looked at.
const MAX_LINES: usize = 64;

/// How many lines of the kernel, told by their time stamps, may come in between.
const MAX_KERNEL_LINES: usize = 2_000;

/// How often a signal may be cut where nothing marks the places.
const MAX_UNMARKED_CUTS: u8 = 2;

/// How often a signal may be cut at time stamps.
const MAX_MARKED_CUTS: u8 = 8;

/// A possible beginning of the signal, without its marker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    text: Vec<u8>,
    cuts: u8,
}

/// What one line did to a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// The rest may still come.
    Waiting,
    /// The signal ends before this place of the line.
    Ended(usize),
    /// Too much came in between.
    GaveUp,
}

/// What came of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Signal(Signal),
    Lost {
        name: Option<&'static str>,
        case: Option<String>,
        reason: &'static str,
    },
    /// It was no signal in the first place.
    Nothing,
}

/// A signal whose end has not been seen.
#[derive(Debug)]
pub(super) struct Fragment {
    kind: Kind,
    /// Where its first line starts in the stream.
    pub(super) start: u64,
    /// Where the last line that belongs to it ends.
    pub(super) end: u64,
    readings: Vec<Reading>,
    /// The whole first line, when it could be a beginning: the console broke it before the kernel's.
    unbroken: Option<Vec<u8>>,
    /// Whether a time stamp told where the beginning ends.
    marked: bool,
    /// Signals that are whole but may not have ended where it seems.
    held: Vec<Signal>,
    /// What LAVA would read on the first line alone, when that is no good signal.
    pub(super) fallback: Option<Fallback>,
    /// Whether it was put together from pieces.
    pub(super) repaired: bool,
    /// Name and test case of the first line, when its end is marked.
    known: (Option<&'static str>, Option<String>),
    /// It stands in quotes, so it may be the echo of a command.
    quoted: bool,
    lines: usize,
    kernel_lines: usize,
}

/// What a line says when it is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// A signal with a value that is not allowed.
    Signal(Signal),
    /// No signal, for this reason.
    Malformed(String, &'static str),
}

impl Fragment {
    /// A fragment from the text after the marker, up to the end of the line. `range` is where the
    /// line stands in the stream.
    pub(super) fn new(kind: Kind, text: &[u8], range: &Range<u64>, quoted: bool) -> Self {
        let cut = console::kernel_line(text);
        let whole = &text[..cut.unwrap_or(text.len())];
        let viable = |text: &[u8]| form::fit(kind, text) != Fit::Dead;
        let mut readings = Vec::new();
        if cut.is_some() {
            if viable(whole) {
                readings.push(Reading {
                    text: whole.to_vec(),
                    cuts: 1,
                });
            }
        } else {
            let shortest = form::unmistakable(kind, whole);
            let ends = (0..whole.len())
                .take_while(|end| viable(&whole[..*end]))
                .skip(shortest);
            readings.extend(ends.map(|end| Reading {
                text: whole[..end].to_vec(),
                cuts: 1,
            }));
        }
        Self {
            kind,
            start: range.start,
            end: range.end,
            readings,
            unbroken: (cut.is_none() && viable(whole)).then(|| whole.to_vec()),
            marked: cut.is_some(),
            held: Vec::new(),
            fallback: None,
            repaired: true,
            known: match cut {
                Some(_) => (form::name_of(kind, whole), form::case_of(kind, whole)),
                None => (None, None),
            },
            quoted,
            lines: 0,
            kernel_lines: 0,
        }
    }

    /// Keeps a whole signal until it is clear that it ended there.
    pub(super) fn hold(&mut self, signal: Signal, repaired: bool) {
        self.held.push(signal);
        self.repaired = repaired;
    }

    /// Takes a line that surely is the kernel's.
    pub(super) fn feed_kernel_line(&mut self) -> Fed {
        if let Some(text) = self.unbroken.take() {
            self.readings.push(Reading { text, cuts: 1 });
        }
        self.kernel_lines += 1;
        if self.kernel_lines > MAX_KERNEL_LINES {
            Fed::GaveUp
        } else {
            Fed::Waiting
        }
    }

    /// Takes a line that may hold the rest, or a middle part, or kernel output.
    pub(super) fn feed(&mut self, line: &[u8], end: u64) -> Fed {
        if line.is_empty() && !self.held.is_empty() {
            // The line break that the signal itself wrote.
            return Fed::Ended(0);
        }
        if self.lines == 0 && self.kernel_lines == 0 {
            self.unbroken = None;
        }
        let cut = console::kernel_line(line);
        let close = memchr(b'>', line).filter(|close| cut.is_none_or(|cut| *close < cut));
        if let Some(close) = close
            && self.complete(&line[..close])
        {
            self.end = end;
            if ends_cleanly(&line[close + 1..]) {
                return Fed::Ended(close + 1);
            }
        }
        self.extend(line, cut);
        self.lines += 1;
        if self.lines > MAX_LINES || self.readings.len() > MAX_READINGS {
            Fed::GaveUp
        } else {
            Fed::Waiting
        }
    }

    /// Tries a text as the rest. Returns whether it completes a reading.
    fn complete(&mut self, rest: &[u8]) -> bool {
        let mut completed = false;
        for reading in &self.readings {
            let text = [&reading.text[..], rest].concat();
            if form::fit(self.kind, &text) != Fit::Complete {
                continue;
            }
            if let Ok(signal) = grammar::parse(self.kind, &text) {
                completed = true;
                if !self.held.contains(&signal) {
                    self.held.push(signal);
                    self.repaired = true;
                }
            }
        }
        completed
    }

    /// Tries a line as a middle part with kernel output after it.
    fn extend(&mut self, line: &[u8], cut: Option<usize>) {
        let kind = self.kind;
        let joined = |reading: &Reading, part: &[u8]| {
            let text = [&reading.text[..], part].concat();
            (form::fit(kind, &text) != Fit::Dead).then(|| Reading {
                text,
                cuts: reading.cuts + 1,
            })
        };
        if let Some(cut) = cut {
            let part = &line[..cut];
            let longer: Vec<Reading> = self
                .readings
                .iter()
                .filter(|reading| reading.cuts < MAX_MARKED_CUTS)
                .filter_map(|reading| joined(reading, part))
                .collect();
            if !longer.is_empty() {
                self.readings = longer;
            }
        } else if !self.marked {
            let mut longer = Vec::new();
            for reading in self
                .readings
                .iter()
                .filter(|reading| reading.cuts < MAX_UNMARKED_CUTS)
            {
                let parts = (1..line.len()).map_while(|end| joined(reading, &line[..end]));
                longer.extend(parts.take(MAX_READINGS));
                if longer.len() > MAX_READINGS {
                    break;
                }
            }
            longer.retain(|reading| !self.readings.contains(reading));
            self.readings.extend(longer);
        }
    }

    /// Decides what the signal was, from what was seen so far.
    pub(super) fn decide(self, knowledge: &Knowledge) -> Outcome {
        if self.held.is_empty() {
            return self.lose(&[], knowledge, "its end never came");
        }
        if !self.repaired && self.held.len() == 1 {
            // Nothing that came after it speaks against what its line says.
            return self
                .held
                .into_iter()
                .next()
                .map_or(Outcome::Nothing, Outcome::Signal);
        }
        let judged = |verdict: Verdict| {
            let held = self.held.iter();
            held.filter(move |signal| knowledge.judge(signal) == verdict)
                .collect::<Vec<_>>()
        };
        let mut best = judged(Verdict::Confirmed);
        if best.is_empty() {
            best = judged(Verdict::Possible);
        }
        match best[..] {
            [signal] => Outcome::Signal(signal.clone()),
            [] => self.lose(
                &self.held,
                knowledge,
                "it contradicts what is known of the running tests",
            ),
            _ => {
                let held: Vec<Signal> = best.into_iter().cloned().collect();
                self.lose(
                    &held,
                    knowledge,
                    "kernel output cut it and it can be read in several ways",
                )
            }
        }
    }

    /// Tells what is known of a signal that was lost: what all its readings have in common.
    fn lose(&self, read: &[Signal], knowledge: &Knowledge, reason: &'static str) -> Outcome {
        if self.quoted {
            return Outcome::Nothing;
        }
        let kind = self.kind;
        let texts = self.readings.iter().map(|reading| &reading.text[..]);
        let name = self
            .known
            .0
            .or_else(|| common(read.iter().map(Signal::known_name)))
            .or_else(|| common(texts.clone().map(|text| form::name_of(kind, text))));
        let mut case = self.known.1.clone();
        case = case.or_else(|| common(texts.map(|text| form::case_of(kind, text))));
        if !read.is_empty() {
            case = common(read.iter().map(|signal| match signal {
                Signal::Case(case) => Some(case.id.clone()),
                Signal::Reference { id, .. } => Some(id.clone()),
                _ => None,
            }));
        }
        if name == Some("TESTCASE") {
            match (knowledge.due_case(), &case) {
                (Some(due), Some(read)) if due != read => case = None,
                (Some(due), _) => case = Some(due.to_owned()),
                (None, _) => {}
            }
        }
        Outcome::Lost { name, case, reason }
    }
}

/// Whether what follows `>` shows that the signal ended there.
pub(super) fn ends_cleanly(tail: &[u8]) -> bool {
    let tail = tail.trim_ascii_start();
    tail.is_empty() || tail.starts_with(b"<LAVA_") || console::is_kernel_line(tail)
}

/// What all have in common, if they have it.
fn common<T: PartialEq>(mut all: impl Iterator<Item = Option<T>>) -> Option<T> {
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}
