//! What is wrong with a document, and where.
//!
//! Schema checks, the typed reading of jobs and devices, and planning all report problems in this
//! form, as many at once as they can find.

use std::fmt;
use yaml::Span;

/// One thing that is wrong with a job or a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the document's tree: `actions[1].boot.prompts`; empty for the whole document.
    pub path: String,
    /// Where in its text; all zero when the document was not read from text.
    pub span: Span,
    /// What is wrong, one sentence without a final full stop.
    pub message: String,
    /// What to do about it, when that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place of the document.
    pub fn new(path: impl Into<String>, span: Span, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            span,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    /// `line 12, column 5: actions[1].boot: <message> (<hint>)`, lines and columns counted from 1
    /// as editors do; the place is left out where none is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.span != Span::default() {
            let start = self.span.start;
            write!(f, "line {}, column {}: ", start.line + 1, start.column + 1)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;
    use yaml::Mark;

    #[test]
    fn says_where_and_what_to_do() {
        let span = Span {
            start: Mark {
                offset: 90,
                line: 11,
                column: 4,
            },
            end: Mark::default(),
        };
        let problem = Problem::new("actions[1].boot", span, "no method").with_hint("add one");
        assert_eq!(
            problem.to_string(),
            "line 12, column 5: actions[1].boot: no method (add one)"
        );
        assert_eq!(
            Problem::new("", Span::default(), "it is empty").to_string(),
            "it is empty"
        );
    }
}
