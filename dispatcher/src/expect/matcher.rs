//! What a board printed and nobody waited for yet, and the search for what is waited for now.
//!
//! The runner pushes what a console prints and asks whether one of the patterns it waits for is
//! there. Each byte is searched once per wait, however small the chunks are, and only a window of
//! what was searched is kept, however much a board prints.

use super::pattern::{Hit, Kept, PatternError, PatternSet, Scan};
use memchr::memrchr;
use std::ops::Range;

/// How many searched bytes are kept for a match to begin in, unless the caller chooses otherwise.
///
/// LAVA 2026.07 searches the last 8,184 characters.
pub const DEFAULT_WINDOW: usize = 64 * 1024;

/// How many bytes that were not searched yet are kept, in windows: what a board prints between
/// two waits.
const BACKLOG_WINDOWS: usize = 16;

/// A stream of console bytes in which patterns are waited for, one set after the other.
#[derive(Debug)]
pub struct Matcher {
    bytes: Vec<u8>,
    /// Where the first of `bytes` stands in the stream.
    base: u64,
    /// Up to where the stream was consumed by matches.
    consumed: u64,
    window: usize,
    scan: Option<Scan>,
}

/// A match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The pattern of the set that matched.
    pub index: usize,
    /// Where in the stream it matched; bytes are counted from the start of the stream.
    pub span: Range<u64>,
    /// What it matched.
    pub text: Vec<u8>,
    /// Named groups that took part in the match, in the order of the pattern.
    pub groups: Vec<(String, Vec<u8>)>,
    /// What came before it since the last match, as far as it is kept.
    pub before: Vec<u8>,
    /// Whether the match ends where the stream ends for now: a pattern that ends with a repeat
    /// might have matched more a moment later.
    pub at_end: bool,
}

/// Looks for a set beside the waits of a [`Matcher`], without consuming anything: a kernel that
/// panics while a test runs.
#[derive(Debug)]
pub struct Watch {
    scan: Scan,
}

impl Matcher {
    /// A matcher that keeps [`DEFAULT_WINDOW`] bytes.
    pub fn new() -> Self {
        Self::with_window(DEFAULT_WINDOW)
    }

    /// A matcher that keeps between one and two times `window` searched bytes, and at most 16
    /// windows of bytes that nothing was waited for in. The longest match that is sure to be found
    /// has `window` bytes.
    pub fn with_window(window: usize) -> Self {
        Self {
            bytes: Vec::new(),
            base: 0,
            consumed: 0,
            window: window.max(1),
            scan: None,
        }
    }

    /// Takes what the console printed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.trim();
        self.bytes.extend_from_slice(bytes);
        let most = self.window.saturating_mul(BACKLOG_WINDOWS).max(bytes.len());
        if self.bytes.len() > 2 * most {
            self.forget(self.bytes.len() - most);
        }
    }

    /// Looks for the set in what was printed since the last match, and consumes it up to the end
    /// of the match.
    ///
    /// A match is reported at once, even when the next byte might lengthen it: a prompt is
    /// followed by nothing. `$` and `\Z` match at the end of what was printed so far.
    ///
    /// # Errors
    ///
    /// When a pattern with look-around or back references takes too many steps.
    pub fn find(&mut self, set: &PatternSet) -> Result<Option<Found>, PatternError> {
        self.find_until(set, self.end())
    }

    /// Like [`Matcher::find`], in complete lines only: a repeat at the end of a pattern has then
    /// taken all it can, as in `Bytes transferred = [0-9]+`.
    ///
    /// # Errors
    ///
    /// When a pattern with look-around or back references takes too many steps.
    pub fn find_in_lines(&mut self, set: &PatternSet) -> Result<Option<Found>, PatternError> {
        let complete = memrchr(b'\n', &self.bytes).map_or(0, |newline| newline + 1);
        self.find_until(set, self.base + complete as u64)
    }

    /// Starts looking for a set beside the waits, from here on.
    pub fn watch(&self, set: &PatternSet) -> Watch {
        Watch {
            scan: Scan::new(set, self.end()),
        }
    }

    /// Looks on for the set of a watch and consumes nothing. To be called after each push, until
    /// it returns `None`; bytes that were dropped meanwhile are not seen.
    ///
    /// # Errors
    ///
    /// When a pattern with look-around or back references takes too many steps.
    pub fn peek(&self, watch: &mut Watch) -> Result<Option<Found>, PatternError> {
        let end = self.end();
        let from = watch.scan.start();
        let Some(hit) = watch.scan.advance(self.kept(), end)? else {
            return Ok(None);
        };
        // An empty match must not be found again at the same place.
        let resume = hit.span.end.max(hit.span.start + 1).min(end);
        let found = self.found(hit, from);
        watch.scan.restart(resume);
        Ok(Some(found))
    }

    /// What was printed since the last match, as far as it is kept.
    pub fn pending(&self) -> &[u8] {
        self.slice(self.consumed..self.end())
    }

    /// The last bytes that were printed, at most `count` and as far as they are kept: what a
    /// failure shows.
    pub fn tail(&self, count: usize) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(count)..]
    }

    /// How many bytes were pushed since the beginning.
    pub fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Drops what was printed so far: the power was switched, and what comes from now on belongs
    /// to another boot. Returns how many unconsumed bytes were dropped.
    pub fn clear_epoch(&mut self) -> usize {
        let dropped = self.pending().len();
        self.forget(self.bytes.len());
        self.consumed = self.base;
        self.scan = None;
        dropped
    }

    fn find_until(&mut self, set: &PatternSet, end: u64) -> Result<Option<Found>, PatternError> {
        let mut scan = match self.scan.take() {
            Some(scan) if scan.is_for(set) => scan,
            _ => Scan::new(set, self.consumed),
        };
        let end = end.max(self.consumed);
        let hit = scan.advance(self.kept(), end)?;
        let found = hit.map(|hit| {
            let found = self.found(hit, self.consumed);
            self.consumed = found.span.end;
            scan.restart(self.consumed);
            found
        });
        self.scan = Some(scan);
        Ok(found)
    }

    fn found(&self, hit: Hit, before_from: u64) -> Found {
        let groups = hit.groups.into_iter();
        Found {
            index: hit.index,
            text: self.slice(hit.span.clone()).to_vec(),
            groups: groups
                .map(|(name, span)| (name, self.slice(span).to_vec()))
                .collect(),
            before: self.slice(before_from..hit.span.start).to_vec(),
            at_end: hit.span.end == self.end(),
            span: hit.span,
        }
    }

    fn kept(&self) -> Kept<'_> {
        Kept {
            bytes: &self.bytes,
            base: self.base,
        }
    }

    fn slice(&self, span: Range<u64>) -> &[u8] {
        let index = |place: u64| {
            usize::try_from(place.saturating_sub(self.base))
                .unwrap_or(usize::MAX)
                .min(self.bytes.len())
        };
        let start = index(span.start);
        &self.bytes[start..index(span.end).max(start)]
    }

    /// Drops what was searched or consumed and is not in the window, when that is worth the copy.
    fn trim(&mut self) {
        let searched = self
            .scan
            .as_ref()
            .map_or(0, Scan::searched)
            .max(self.consumed);
        let floor = searched.saturating_sub(self.window as u64);
        let droppable = usize::try_from(floor.saturating_sub(self.base)).unwrap_or(0);
        if droppable >= self.window {
            self.forget(droppable.min(self.bytes.len()));
        }
    }

    fn forget(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.base += count as u64;
        self.consumed = self.consumed.max(self.base);
    }
}

impl Default for Matcher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
