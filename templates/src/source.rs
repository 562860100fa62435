//! What is done to the text of a template before the engine sees it.

use crate::error::{Error, ErrorKind};

/// The error for a name that Jinja2's sandbox does not give out.
pub(crate) fn private_name(name: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("access to {name:?} is not allowed"),
    )
    .with_hint("names that begin with two underscores belong to Python")
}

/// Makes the text of a template mean to the engine what it means to Jinja2.
pub(crate) fn prepare(_name: &str, text: &str) -> Result<String, Error> {
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}
