//! Several patterns that are waited for together.

use super::{Engine, Pattern, PatternError, compiler, syntax_config};
use regex_automata::{
    Input, MatchKind,
    hybrid::dfa::{self, DFA},
    meta,
    util::{prefilter::Prefilter, syntax},
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The memory the patterns of one set may take together, in bytes.
const MAX_SET: usize = 16 * 1024 * 1024;

/// The memory of the lazily built automaton of one search, in bytes.
const AUTOMATON_CACHE: usize = 512 * 1024;

static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(0);

/// Patterns that are waited for together: the one whose match starts first wins, and of several
/// that start at the same place the first in the list, as in pexpect. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PatternSet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: u64,
    patterns: Vec<Pattern>,
    linear: Option<Linear>,
    /// Which patterns the backtracking engine has to look for.
    backtracking: Vec<usize>,
}

/// The ordinary patterns, compiled into one automaton.
#[derive(Debug)]
pub(super) struct Linear {
    /// Walks the stream once, byte by byte, and tells where a match ends.
    pub(super) automaton: DFA,
    /// Tells where that match starts, and its groups.
    groups: meta::Regex,
    /// Finds where a match may start, faster than the automaton, when all patterns start with
    /// literals.
    pub(super) prefilter: Option<Prefilter>,
    /// From the numbers of the automaton to those of the set.
    indexes: Vec<usize>,
}

/// One match within a haystack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) index: usize,
    pub(crate) span: Range<usize>,
    /// Groups with a name that took part in the match.
    pub(crate) groups: Vec<(String, Range<usize>)>,
}

impl PatternSet {
    /// Compiles the patterns into one set. An empty set matches nothing.
    ///
    /// # Errors
    ///
    /// When the patterns together are too large.
    pub fn new(patterns: Vec<Pattern>) -> Result<Self, PatternError> {
        let (linear, backtracking): (Vec<usize>, Vec<usize>) = (0..patterns.len())
            .partition(|index| matches!(patterns[*index].engine, Engine::Linear));
        let linear = if linear.is_empty() {
            None
        } else {
            Some(Linear::new(&patterns, linear)?)
        };
        Ok(Self(Arc::new(Inner {
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            patterns,
            linear,
            backtracking,
        })))
    }

    /// Compiles prompts, see [`Pattern::new`].
    ///
    /// # Errors
    ///
    /// When a pattern is refused, or when they are too large.
    pub fn prompts<T: AsRef<str>>(
        patterns: impl IntoIterator<Item = T>,
    ) -> Result<Self, PatternError> {
        let patterns = patterns
            .into_iter()
            .map(|pattern| Pattern::new(pattern.as_ref()));
        Self::new(patterns.collect::<Result<_, _>>()?)
    }

    /// The patterns, in their order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.0.patterns
    }

    /// Tells this set and its clones from others.
    pub(super) fn identity(&self) -> u64 {
        self.0.identity
    }

    pub(super) fn linear(&self) -> Option<&Linear> {
        self.0.linear.as_ref()
    }

    pub(super) fn has_backtracking(&self) -> bool {
        !self.0.backtracking.is_empty()
    }

    /// The first match in a haystack at or after `from`.
    pub(crate) fn captures(
        &self,
        haystack: &[u8],
        from: usize,
    ) -> Result<Option<Captured>, PatternError> {
        let linear = self
            .linear()
            .and_then(|linear| linear.captures(haystack, from));
        let backtracking = self.backtracking_captures(haystack, from)?;
        Ok(earlier(linear, backtracking))
    }

    /// Whether a pattern that needs the backtracking engine may match at or after `from`.
    pub(super) fn may_backtrack(&self, haystack: &[u8], from: usize) -> bool {
        self.0
            .backtracking
            .iter()
            .any(|index| match &self.0.patterns[*index].engine {
                Engine::Backtracking(regex) => regex.candidate(haystack, from).is_some(),
                Engine::Linear => false,
            })
    }

    /// The first match of a pattern that needs the backtracking engine.
    pub(super) fn backtracking_captures(
        &self,
        haystack: &[u8],
        from: usize,
    ) -> Result<Option<Captured>, PatternError> {
        let mut first = None;
        for &index in &self.0.backtracking {
            let pattern = &self.0.patterns[index];
            let Engine::Backtracking(regex) = &pattern.engine else {
                continue;
            };
            let Some(from) = regex.candidate(haystack, from) else {
                continue;
            };
            let regex = &regex.regex;
            let captures = regex.captures_from_pos(haystack, from).map_err(|_| {
                PatternError::TooExpensive {
                    pattern: super::shortened(pattern.as_str()),
                }
            })?;
            let found = captures.and_then(|captures| {
                let whole = captures.get(0)?;
                let groups = regex.capture_names().flatten().filter_map(|name| {
                    let group = captures.name(name)?;
                    Some((name.to_owned(), group.start()..group.end()))
                });
                Some(Captured {
                    index,
                    span: whole.start()..whole.end(),
                    groups: groups.collect(),
                })
            });
            first = earlier(first, found);
        }
        Ok(first)
    }
}

impl Linear {
    fn new(patterns: &[Pattern], indexes: Vec<usize>) -> Result<Self, PatternError> {
        let texts: Vec<&str> = indexes
            .iter()
            .map(|index| &*patterns[*index].regex)
            .collect();
        let too_large = || PatternError::TooLarge {
            pattern: super::shortened(&texts.join("|")),
        };
        let nfa = compiler(MAX_SET)
            .build_many(&texts)
            .map_err(|_| too_large())?;
        let prefilter = syntax::parse_many_with(&texts, &syntax_config())
            .ok()
            .and_then(|parsed| Prefilter::from_hirs_prefix(MatchKind::LeftmostFirst, &parsed))
            .filter(Prefilter::is_fast);
        let config = DFA::config()
            .match_kind(MatchKind::LeftmostFirst)
            .cache_capacity(AUTOMATON_CACHE)
            .skip_cache_capacity_check(true)
            .specialize_start_states(prefilter.is_some());
        let automaton = dfa::Builder::new()
            .configure(config)
            .build_from_nfa(nfa)
            .map_err(|_| too_large())?;
        let groups = meta::Builder::new()
            .syntax(syntax_config())
            .configure(
                meta::Config::new()
                    .match_kind(MatchKind::LeftmostFirst)
                    .utf8_empty(false)
                    .nfa_size_limit(Some(2 * MAX_SET))
                    .hybrid_cache_capacity(AUTOMATON_CACHE),
            )
            .build_many(&texts)
            .map_err(|_| too_large())?;
        Ok(Self {
            automaton,
            groups,
            prefilter,
            indexes,
        })
    }

    /// The first match in a haystack at or after `from`, with its groups.
    pub(super) fn captures(&self, haystack: &[u8], from: usize) -> Option<Captured> {
        let mut captures = self.groups.create_captures();
        self.groups
            .search_captures(&Input::new(haystack).range(from..), &mut captures);
        let pattern = captures.pattern()?;
        let whole = captures.get_match()?;
        let names = self.groups.group_info().pattern_names(pattern);
        let groups = names.enumerate().filter_map(|(group, name)| {
            let span = captures.get_group(group)?;
            Some((name?.to_owned(), span.start..span.end))
        });
        Some(Captured {
            index: self.indexes[pattern.as_usize()],
            span: whole.range(),
            groups: groups.collect(),
        })
    }
}

/// The match that starts first; of two that start together, that of the first pattern.
pub(super) fn earlier(one: Option<Captured>, other: Option<Captured>) -> Option<Captured> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let other_is_earlier = (other.span.start, other.index) < (one.span.start, one.index);
            Some(if other_is_earlier { other } else { one })
        }
        (one, other) => one.or(other),
    }
}
