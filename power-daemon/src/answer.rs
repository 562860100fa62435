//! Why a request was not done, and how clients are told.

use hal::{ErrorKind, HalError};
use std::fmt;

/// Why a request was not done.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be understood.
    Invalid(String),
    /// It needs a token, and has none of ours.
    Unauthorized,
    /// A web page of somebody else made a browser ask.
    Forbidden,
    /// There is no such thing.
    NotFound(String),
    /// Too many others are waiting for the same PDU.
    TooMany(String),
    /// The daemon is about to end.
    Stopping,
    /// The hardware, or the way to it, failed.
    Failed(HalError),
}

impl Refusal {
    pub(crate) fn invalid(what: &str) -> Self {
        Self::Invalid(what.to_owned())
    }

    /// The HTTP status. Every one is outside of 200–299, which is what clients look at.
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound(_) => 404,
            Self::TooMany(_) => 429,
            Self::Stopping => 503,
            Self::Failed(error) => match error.kind() {
                ErrorKind::InvalidInput => 400,
                ErrorKind::Busy => 503,
                ErrorKind::Timeout => 504,
                ErrorKind::Unsupported => 501,
                _ => 502,
            },
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Failed(error) => error.hint(),
            Self::Unauthorized => {
                Some("send 'Authorization: Bearer TOKEN', or token=TOKEN in the query")
            }
            Self::TooMany(_) => Some("ask again when the others are done"),
            _ => None,
        }
    }

    /// The text of an answer.
    pub(crate) fn text(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}\nhint: {hint}\n"),
            None => format!("{self}\n"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // pdudaemon's words come first.
            Self::Invalid(what) => write!(f, "Invalid request: {what}"),
            Self::Unauthorized => f.write_str("Not authorized: a token is needed"),
            Self::Forbidden => f.write_str("Forbidden: requests of other web pages are not done"),
            Self::NotFound(what) | Self::TooMany(what) => f.write_str(what),
            Self::Stopping => f.write_str("the daemon is ending"),
            Self::Failed(error) => write!(f, "Failed: {error}"),
        }
    }
}

impl Refusal {
    /// What a lab says of a name that it was asked for.
    pub(crate) fn of_name(error: HalError) -> Self {
        let hint = error.hint().map(|hint| format!(" ({hint})"));
        let text = format!("{error}{}", hint.unwrap_or_default());
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound(text),
            ErrorKind::InvalidInput => Self::Invalid(text),
            _ => Self::Failed(error),
        }
    }
}

impl From<HalError> for Refusal {
    fn from(error: HalError) -> Self {
        Self::Failed(error)
    }
}
