//! Why a document was refused, and where.

use std::fmt;

use crate::Mark;

/// Which stage refused the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no text, or hold a character that YAML forbids.
    Reader,
    /// Characters do not form tokens.
    Scanner,
    /// Tokens do not form a document.
    Parser,
    /// Anchors, aliases or the number of documents are wrong.
    Composer,
    /// A node cannot become a value: unknown tag, impossible date, list as a key.
    Constructor,
    /// One of the [`Limits`](crate::Limits) is exceeded.
    Limit,
}

/// A refused document. The texts follow PyYAML's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Detail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    kind: ErrorKind,
    message: String,
    mark: Mark,
    context: Option<(&'static str, Mark)>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>, mark: Mark) -> Self {
        Self(Box::new(Detail {
            kind,
            message: message.into(),
            mark,
            context: None,
        }))
    }

    /// Adds what was being read, and where that began.
    pub(crate) fn within(mut self, context: &'static str, mark: Mark) -> Self {
        self.0.context = Some((context, mark));
        self
    }

    /// Which stage refused the document.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it is wrong.
    pub fn mark(&self) -> Mark {
        self.0.mark
    }

    /// What was being read when it went wrong ("while scanning a quoted scalar").
    pub fn context(&self) -> Option<&str> {
        self.0.context.map(|(context, _)| context)
    }

    /// Where the thing that was being read began.
    pub fn context_mark(&self) -> Option<Mark> {
        self.0.context.map(|(_, mark)| mark)
    }

    /// The line of `text` with the error and a caret below the place, for people to read.
    /// Long lines are cut around the place. `text` is what was loaded; after
    /// [`load_bytes`](crate::load_bytes) that is what [`decode`](crate::decode) gives.
    pub fn snippet(&self, text: &str) -> String {
        snippet(text, self.mark())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Detail { message, mark, .. } = &*self.0;
        write!(formatter, "{mark}: {message}")?;
        match self.0.context {
            None => Ok(()),
            Some((context, place)) if place == *mark => write!(formatter, " ({context})"),
            Some((context, place)) => write!(formatter, " ({context} that begins at {place})"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Mark {
    /// `line 3, column 5`, both counted from 1 as editors do.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = (u64::from(self.line) + 1, u64::from(self.column) + 1);
        write!(formatter, "line {line}, column {column}")
    }
}

/// How many characters of a line are shown before and after the place.
const SHOWN: usize = 36;

/// The line that `mark` is on, and a caret below the place.
fn snippet(text: &str, mark: Mark) -> String {
    const BREAKS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut offset = (mark.offset as usize).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let (before, after) = text.split_at(offset);
    let before = before.rsplit(BREAKS).next().unwrap_or_default();
    let after = after.split(BREAKS).next().unwrap_or_default();

    let skipped = before.chars().count().saturating_sub(SHOWN);
    let mut line = String::from(if skipped > 0 { "... " } else { "" });
    line.extend(before.chars().skip(skipped).map(visible));
    let caret = line.chars().count();
    line.extend(after.chars().take(SHOWN).map(visible));
    if after.chars().nth(SHOWN).is_some() {
        line.push_str(" ...");
    }
    format!("    {line}\n    {:caret$}^", "")
}

/// One column per character, and nothing that a terminal would obey.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        _ if character.is_control() => '\u{FFFD}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use crate::{ErrorKind, Limits, load};

    #[test]
    fn place_is_counted_from_one_and_context_is_told() {
        let error = load("a: 'b\nc: d\n", &Limits::default()).expect_err("an open quote");
        assert_eq!(error.kind(), ErrorKind::Scanner);
        assert_eq!(error.message(), "found unexpected end of stream");
        assert_eq!(
            error.to_string(),
            "line 3, column 1: found unexpected end of stream \
             (while scanning a quoted scalar that begins at line 1, column 4)"
        );
    }

    #[test]
    fn snippet_shows_the_line_with_a_caret_below_the_place() {
        let text = "ok: 1\nbad: [1, 2\nnext: 3\n";
        let error = load(text, &Limits::default()).expect_err("an open bracket");
        assert_eq!(error.snippet(text), "    next: 3\n        ^");
    }

    #[test]
    fn snippet_cuts_long_lines_and_shows_no_control_characters() {
        let text = format!("{}\u{1b}[31m{}", "ä".repeat(100), "b".repeat(100));
        let error = load(&text, &Limits::default()).expect_err("an escape character");
        let cut = format!(
            "    ... {}\u{FFFD}[31m{} ...",
            "ä".repeat(36),
            "b".repeat(31)
        );
        assert_eq!(
            error.snippet(&text),
            format!("{cut}\n    {}^", " ".repeat(40))
        );
    }

    #[test]
    fn snippet_of_another_text_does_not_panic() {
        let error = load("a: b: c", &Limits::default()).expect_err("two colons");
        for text in ["", "ä", "ääää", "\n"] {
            assert!(error.snippet(text).ends_with('^'));
        }
    }
}
