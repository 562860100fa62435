//! Looking for a set in a stream that arrives in pieces, each byte once.

use super::{
    PatternError, PatternSet,
    set::{Captured, Linear, earlier},
};
use regex_automata::{
    Input, Span,
    hybrid::{LazyStateID, dfa::Cache},
};
use std::ops::Range;

/// How many bytes that were searched before a backtracking pattern sees again with new ones. A
/// longer match may be missed when it arrives in pieces. Such a search can take quadratic time in
/// this number.
const BACKTRACKING_OVERLAP: u64 = 2_048;

/// How many new bytes one backtracking search is given.
const BACKTRACKING_STEP: u64 = 4_096;

/// The part of a stream that is kept: its bytes and where the first of them stands in the stream.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) base: u64,
}

/// A match in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) index: usize,
    /// Places in the stream.
    pub(crate) span: Range<u64>,
    pub(crate) groups: Vec<(String, Range<u64>)>,
}

/// A search for a set that goes on as bytes arrive.
///
/// The automaton's state is carried from one piece to the next, so no byte is looked at twice and
/// no match is lost at the seam.
#[derive(Debug)]
pub(crate) struct Scan {
    set: PatternSet,
    cache: Option<Cache>,
    state: Option<LazyStateID>,
    /// Where the search began: for the patterns, the start of the text.
    start: u64,
    /// The next byte for the automaton.
    next: u64,
    /// The next byte for the backtracking patterns.
    next_backtracking: u64,
}

impl Scan {
    /// A search that begins at a place of the stream.
    pub(crate) fn new(set: &PatternSet, start: u64) -> Self {
        Self {
            set: set.clone(),
            cache: set.linear().map(|linear| linear.automaton.create_cache()),
            state: None,
            start,
            next: start,
            next_backtracking: start,
        }
    }

    /// Whether this is a search for that set.
    pub(crate) fn is_for(&self, set: &PatternSet) -> bool {
        self.set.identity() == set.identity()
    }

    /// Begins anew at a place of the stream.
    pub(crate) fn restart(&mut self, start: u64) {
        self.state = None;
        self.start = start;
        self.next = start;
        self.next_backtracking = start;
    }

    /// Where the search began.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Up to where the stream was searched.
    pub(crate) fn searched(&self) -> u64 {
        self.next
    }

    /// Searches on up to `end`, the end of what may be matched so far.
    pub(crate) fn advance(
        &mut self,
        kept: Kept<'_>,
        end: u64,
    ) -> Result<Option<Hit>, PatternError> {
        if self.next < kept.base {
            // Bytes were dropped before this search saw them.
            self.forget_progress(kept);
        }
        let linear = self.advance_linear(kept, end);
        let backtracking = self.advance_backtracking(kept, end)?;
        let first = kept.base.max(self.start);
        Ok(earlier(linear, backtracking).map(|found| Hit {
            index: found.index,
            span: shifted(&found.span, first),
            groups: found
                .groups
                .into_iter()
                .map(|(name, span)| (name, shifted(&span, first)))
                .collect(),
        }))
    }

    fn advance_linear(&mut self, kept: Kept<'_>, end: u64) -> Option<Captured> {
        let set = self.set.clone();
        if let Some(linear) = set.linear() {
            let first = kept.base.max(self.start);
            let haystack = slice(kept, first, end);
            let floor = offset(self.floor(kept), first);
            if self.walk(linear, haystack, offset(self.next, first)) {
                let found = linear.captures(haystack, floor);
                if found.is_some() {
                    return found;
                }
                // The match began in bytes that are gone. What is left is searched anew, once: the
                // automaton has then forgotten them too.
                self.forget_progress(kept);
                if self.walk(linear, haystack, floor) {
                    return linear.captures(haystack, floor);
                }
            }
        }
        self.next = self.next.max(end);
        None
    }

    fn forget_progress(&mut self, kept: Kept<'_>) {
        self.state = None;
        self.next = self.floor(kept);
    }

    /// The first place where a match may begin. When the start of the text is gone, one byte of
    /// context is left before it, lest `^` match in the middle of the stream.
    fn floor(&self, kept: Kept<'_>) -> u64 {
        if kept.base > self.start {
            kept.base + 1
        } else {
            self.start
        }
    }

    /// Feeds the automaton. Returns whether something matches.
    fn walk(&mut self, linear: &Linear, haystack: &[u8], from: usize) -> bool {
        let Some(cache) = self.cache.as_mut() else {
            return false;
        };
        let automaton = &linear.automaton;
        let start_at = |cache: &mut Cache, at: usize| {
            automaton
                .start_state_forward(cache, &Input::new(haystack).range(at..))
                .ok()
        };
        let Some(mut state) = self.state.or_else(|| start_at(cache, from)) else {
            return false;
        };
        let mut at = from;
        while at < haystack.len() {
            if state.is_dead() {
                // Only patterns that must match at the very start; they did not.
                at = haystack.len();
                continue;
            }
            if !state.is_tagged() {
                // The common case, kept tight: known transitions between ordinary states.
                let (next, reached) = run(linear, cache, state, haystack, at);
                (state, at) = (next, reached);
                if at >= haystack.len() {
                    break;
                }
            } else if state.is_start()
                && let Some(prefilter) = &linear.prefilter
            {
                let candidate = match prefilter.find(haystack, Span::from(at..haystack.len())) {
                    Some(span) => span.start,
                    // The end may hold the beginning of a literal.
                    None => haystack
                        .len()
                        .saturating_sub(prefilter.max_needle_len())
                        .max(at),
                };
                if candidate > at {
                    let Some(start) = start_at(cache, candidate) else {
                        return false;
                    };
                    (state, at) = (start, candidate);
                }
            }
            match automaton.next_state(cache, state, haystack[at]) {
                Ok(next) => state = next,
                Err(_) => return false,
            }
            at += 1;
            if state.is_match() {
                return true;
            }
        }
        let cleared = cache.clear_count();
        let last = automaton.next_eoi_state(cache, state);
        if cache.clear_count() == cleared {
            self.state = Some(state);
        } else {
            // The state went with the cache; the next search walks what is kept again.
            self.state = None;
            self.next = self.start;
        }
        last.is_ok_and(|last| last.is_match())
    }

    fn advance_backtracking(
        &mut self,
        kept: Kept<'_>,
        end: u64,
    ) -> Result<Option<Captured>, PatternError> {
        if !self.set.has_backtracking() {
            self.next_backtracking = end;
            return Ok(None);
        }
        let first = kept.base.max(self.start);
        let floor = self.floor(kept);
        let overlap = |next: u64| next.saturating_sub(BACKTRACKING_OVERLAP).max(floor);
        let from = offset(overlap(self.next_backtracking).min(end), first);
        if !self.set.may_backtrack(slice(kept, first, end), from) {
            self.next_backtracking = end;
            return Ok(None);
        }
        loop {
            let from = overlap(self.next_backtracking).min(end);
            let until = end.min(self.next_backtracking.max(from) + BACKTRACKING_STEP);
            let haystack = slice(kept, first, until);
            let found = self
                .set
                .backtracking_captures(haystack, offset(from, first))?;
            if found.is_some() || until >= end {
                self.next_backtracking = until;
                return Ok(found);
            }
            self.next_backtracking = until;
        }
    }
}

/// Follows known transitions between ordinary states. Returns the state and the place of the first
/// byte that needs more thought.
fn run(
    linear: &Linear,
    cache: &Cache,
    mut state: LazyStateID,
    haystack: &[u8],
    mut at: usize,
) -> (LazyStateID, usize) {
    for &byte in &haystack[at..] {
        let next = linear.automaton.next_state_untagged(cache, state, byte);
        if next.is_tagged() {
            break;
        }
        state = next;
        at += 1;
    }
    (state, at)
}

fn slice(kept: Kept<'_>, start: u64, end: u64) -> &[u8] {
    let start = offset(start, kept.base).min(kept.bytes.len());
    let end = offset(end, kept.base).clamp(start, kept.bytes.len());
    &kept.bytes[start..end]
}

fn offset(place: u64, base: u64) -> usize {
    usize::try_from(place.saturating_sub(base)).unwrap_or(usize::MAX)
}

fn shifted(span: &Range<usize>, base: u64) -> Range<u64> {
    base + span.start as u64..base + span.end as u64
}
