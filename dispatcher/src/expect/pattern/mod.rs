//! Patterns in Python's `re` syntax over bytes, and sets of them.
//!
//! LAVA's users write prompts and parse patterns for Python's `re`. Here they are translated
//! ([`translate`]) and matched on bytes by two engines: ordinary patterns by `regex-automata`, in
//! linear time; patterns with look-around, back references, conditions, atomic groups or
//! possessive repeats by `fancy-regex`, with a step limit. Both match bytes, so a console that
//! prints invalid UTF-8 neither stops a match nor moves its place.
//!
//! Differences from Python, all deliberate: `\w`, `\d`, `\s`, `\b` and `(?i)` know ASCII only; `.`
//! and a negated class of ASCII characters take one byte, not one character; `$` takes the newline
//! before the end of the text into the match where Python only looks at it.

mod class;
mod escape;
mod scan;
mod set;
mod translate;

pub(super) use scan::{Hit, Kept, Scan};
pub use set::PatternSet;

use job::Fault;
use regex_automata::{
    Input, meta,
    nfa::thompson::{self, WhichCaptures},
    util::syntax,
};
use std::sync::Arc;

/// The longest pattern text, in bytes.
const MAX_PATTERN: usize = 16 * 1024;

/// The memory one compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 4 * 1024 * 1024;

/// How often `fancy-regex` may step back in one search.
const MAX_STEPS: usize = 500_000;

/// Why a pattern cannot be used. LAVA 2026.07 raises a `TestError` in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Python's `re` would refuse it, or it uses something that is not supported.
    #[error("Invalid regular expression '{pattern}': {reason} at position {position}")]
    Invalid {
        /// The pattern as the user wrote it.
        pattern: String,
        /// What is wrong, in Python's words where it has some.
        reason: String,
        /// The character, counted from 0, where it went wrong.
        position: usize,
    },
    /// Compiled, it would take too much memory.
    #[error("Invalid regular expression '{pattern}': it is too large when compiled")]
    TooLarge {
        /// The pattern as the user wrote it.
        pattern: String,
    },
    /// A search with it was given up.
    #[error("Regular expression '{pattern}' took too many steps")]
    TooExpensive {
        /// The pattern as the user wrote it.
        pattern: String,
    },
}

impl PatternError {
    /// The fault a job ends with: of class Test, as in LAVA.
    pub fn fault(&self) -> Fault {
        let fault = Fault::test(self.to_string());
        match self {
            Self::Invalid { .. } => fault,
            Self::TooLarge { .. } => fault.with_hint("use smaller repeat counts"),
            Self::TooExpensive { .. } => {
                fault.with_hint("avoid look-around and back references together with repeats")
            }
        }
    }
}

impl From<PatternError> for Fault {
    fn from(error: PatternError) -> Self {
        error.fault()
    }
}

/// How a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// DOTALL, as pexpect compiles prompts.
    Stream,
    /// MULTILINE, as LAVA compiles parse patterns; it is given one line at a time.
    Line,
}

/// A checked pattern. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Arc<str>,
    regex: Arc<str>,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    /// Compiled together with the others of its set.
    Linear,
    Backtracking(Arc<Backtracking>),
}

/// A pattern for the backtracking engine, which is slow.
#[derive(Debug)]
struct Backtracking {
    regex: fancy_regex::Regex,
    /// Matches wherever `regex` does, and in more places; missing when it would match everywhere.
    superset: Option<meta::Regex>,
}

impl Backtracking {
    /// The first place at or after `from` where a match may start.
    fn candidate(&self, haystack: &[u8], from: usize) -> Option<usize> {
        match &self.superset {
            Some(superset) => superset
                .find(Input::new(haystack).range(from..))
                .map(|found| found.start()),
            None => Some(from),
        }
    }
}

impl Pattern {
    /// A prompt: Python's `re` with DOTALL, case-sensitive, as pexpect compiles it.
    ///
    /// # Errors
    ///
    /// When Python would refuse the pattern, or when it is too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Self::compile(pattern, Flavour::Stream)
    }

    /// A parse pattern of a test definition: Python's `re` with MULTILINE, for one line at a time.
    ///
    /// # Errors
    ///
    /// When Python would refuse the pattern, or when it is too large.
    pub fn for_lines(pattern: &str) -> Result<Self, PatternError> {
        Self::compile(pattern, Flavour::Line)
    }

    /// A text that stands for itself.
    ///
    /// # Errors
    ///
    /// When it is too large.
    pub fn literal(text: &str) -> Result<Self, PatternError> {
        let mut pattern = String::with_capacity(text.len());
        for character in text.chars() {
            if character.is_ascii_punctuation() {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        Self::new(&pattern)
    }

    /// The pattern as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    fn compile(pattern: &str, flavour: Flavour) -> Result<Self, PatternError> {
        let too_large = || PatternError::TooLarge {
            pattern: shortened(pattern),
        };
        if pattern.len() > MAX_PATTERN {
            return Err(too_large());
        }
        let translated =
            translate::translate(pattern, flavour).map_err(|refusal| PatternError::Invalid {
                pattern: shortened(pattern),
                reason: refusal.reason,
                position: refusal.position,
            })?;
        let engine = if let Some(superset) = &translated.superset {
            let regex = fancy_regex::RegexBuilder::new(&translated.regex)
                .bytes_mode(fancy_regex::BytesMode::Ascii)
                .backtrack_limit(MAX_STEPS)
                .delegate_size_limit(MAX_COMPILED)
                .max_prog_size(MAX_COMPILED / 64)
                .build()
                .map_err(|error| PatternError::Invalid {
                    pattern: shortened(pattern),
                    reason: error.to_string(),
                    position: 0,
                })?;
            let superset = superset_of(superset);
            Engine::Backtracking(Arc::new(Backtracking { regex, superset }))
        } else {
            compiler(MAX_COMPILED)
                .build(&translated.regex)
                .map_err(|error| match error.size_limit() {
                    Some(_) => too_large(),
                    None => PatternError::Invalid {
                        pattern: shortened(pattern),
                        reason: error.to_string(),
                        position: 0,
                    },
                })?;
            Engine::Linear
        };
        Ok(Self {
            source: pattern.into(),
            regex: translated.regex.into(),
            engine,
        })
    }
}

/// How the linear engine reads what [`translate`] writes: bytes, ASCII classes.
fn syntax_config() -> syntax::Config {
    syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(1_000)
}

fn compiler(size_limit: usize) -> thompson::Compiler {
    let mut compiler = thompson::Compiler::new();
    compiler.syntax(syntax_config()).configure(
        thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(size_limit))
            .which_captures(WhichCaptures::None),
    );
    compiler
}

/// Compiles what tells where a backtracking pattern can match, unless that is everywhere.
fn superset_of(pattern: &str) -> Option<meta::Regex> {
    let parsed = syntax::parse_with(pattern, &syntax_config()).ok()?;
    if parsed.properties().minimum_len() == Some(0) {
        return None;
    }
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(MAX_COMPILED))
        .which_captures(WhichCaptures::Implicit);
    let mut builder = meta::Builder::new();
    builder.configure(config).build_from_hir(&parsed).ok()
}

/// A pattern as an error shows it.
fn shortened(pattern: &str) -> String {
    const SHOWN: usize = 200;
    match pattern.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &pattern[..end]),
        None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests;
