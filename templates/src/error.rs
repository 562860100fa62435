//! Why a device could not be rendered, with the place and a hint.

use std::fmt;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No directory has a template of this name.
    NotFound,
    /// A name, or what it leads to, is outside the directories, too large, or no file.
    Refused,
    /// A file cannot be read.
    Unreadable,
    /// The template is not valid Jinja2.
    Syntax,
    /// The template is valid, but what it does is not.
    Evaluation,
    /// The template runs too long, nests too deep, or prints too much.
    Limit,
}

/// A device that cannot be rendered.
///
/// Prints as `qemu.jinja2:12: message (hint)`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// What kind of thing went wrong.
    pub kind: ErrorKind,
    /// The template it happened in, when that is known.
    pub template: Option<String>,
    /// The line in that template, counted from 1.
    pub line: Option<u32>,
    /// What went wrong, in one sentence.
    pub message: String,
    /// What to do about it, when that is known.
    pub hint: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            template: None,
            line: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, template: &str, line: u32) -> Self {
        self.template = Some(template.to_owned());
        self.line = Some(line);
        self
    }

    /// The error of ours that `error` carries, else a translation of it.
    pub(crate) fn from_engine(error: &minijinja::Error) -> Self {
        let mut innermost = error;
        let mut cause = std::error::Error::source(error);
        while let Some(current) = cause {
            if let Some(ours) = current.downcast_ref::<Self>() {
                return ours.clone().placed_by(innermost);
            }
            if let Some(inner) = current.downcast_ref::<minijinja::Error>() {
                innermost = inner;
            }
            cause = current.source();
        }
        Self::translate(innermost).placed_by(innermost)
    }

    /// Fills in the place of `engine`'s error unless this one has its own.
    pub(crate) fn placed_by(mut self, engine: &minijinja::Error) -> Self {
        if self.template.is_none() {
            self.template = engine.name().map(str::to_owned);
            self.line = engine.line().and_then(|line| u32::try_from(line).ok());
        }
        self
    }

    fn translate(error: &minijinja::Error) -> Self {
        use minijinja::ErrorKind as Engine;
        let message = match error.detail() {
            Some(detail) if error.kind() == Engine::UndefinedError => {
                format!("undefined value: {detail}")
            }
            Some(detail) => detail.to_owned(),
            None => error.kind().to_string(),
        };
        let (kind, hint) = match error.kind() {
            Engine::SyntaxError | Engine::BadEscape => (ErrorKind::Syntax, None),
            Engine::OutOfFuel => (
                ErrorKind::Limit,
                Some("a loop of the template does not end, or goes over too many items"),
            ),
            Engine::UndefinedError => (
                ErrorKind::Evaluation,
                Some("set the variable in the device file, or give it a value with `|default(…)`"),
            ),
            Engine::UnknownFilter => (
                ErrorKind::Evaluation,
                Some(
                    "beside Jinja2's own filters there are shlex_quote, yaml_quote and \
                     qemu_guest_fs_interface",
                ),
            ),
            Engine::UnknownMethod => (
                ErrorKind::Evaluation,
                Some(
                    "values cannot be changed in place; build a new one, as in \
                     `{% set items = items + [item] %}`",
                ),
            ),
            _ => (ErrorKind::Evaluation, None),
        };
        let kind = if message.contains("recursion limit") {
            ErrorKind::Limit
        } else {
            kind
        };
        let error = Self::new(kind, message);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(template) = &self.template {
            f.write_str(template)?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Lets our errors travel through the engine: `Error::from_engine` takes them out again.
impl From<Error> for minijinja::Error {
    fn from(error: Error) -> Self {
        Self::new(
            minijinja::ErrorKind::InvalidOperation,
            error.message.clone(),
        )
        .with_source(error)
    }
}
