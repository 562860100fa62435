//! What is done to the text of a template before the engine sees it.
//!
//! The engine reads the same language as Jinja2 but for a few corners. Where a corner can change
//! the device, the text is rewritten so that the engine does what Jinja2 does: line ends, escapes
//! of string literals, and which variables a nested block sees. Lines keep their numbers, but
//! for those after a string literal that goes on after a backslash at the end of a line.

mod literal;
mod scan;
mod scope;

use crate::error::{Error, ErrorKind};
use scan::{Tag, TokenKind};
use std::ops::Range;

/// A piece of text to be put in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    text: String,
}

/// The error for a name that Jinja2's sandbox does not give out.
pub(crate) fn private_name(name: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("access to {name:?} is not allowed"),
    )
    .with_hint("names that begin with two underscores belong to Python")
}

/// Makes the text of the template `name` mean to the engine what it means to Jinja2.
pub(crate) fn prepare(name: &str, text: &str) -> Result<String, Error> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let Some(tags) = scan::scan(&text) else {
        // Something does not end; the engine says what, with the line.
        return Ok(text);
    };
    refuse_private_names(name, &text, &tags)?;
    let mut edits = literal::edits(&text, &tags);
    edits.extend(scope::edits(&text, &tags));
    Ok(apply(&text, edits))
}

/// Jinja2's sandbox refuses attributes such as `__class__`.
fn refuse_private_names(name: &str, text: &str, tags: &[Tag]) -> Result<(), Error> {
    for tag in tags {
        for pair in tag.tokens.windows(2) {
            let attribute = &text[pair[1].range.clone()];
            let is_attribute =
                pair[0].kind == TokenKind::Symbol('.') && pair[1].kind == TokenKind::Name;
            if is_attribute && attribute.starts_with("__") {
                let line = text[..pair[1].range.start].matches('\n').count() + 1;
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                return Err(private_name(attribute).at(name, line));
            }
        }
    }
    Ok(())
}

/// Applies edits that do not overlap; those at one place keep their order.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = String::with_capacity(text.len() + 64 * edits.len());
    let mut position = 0;
    for edit in edits {
        out.push_str(&text[position..edit.range.start]);
        out.push_str(&edit.text);
        position = edit.range.end;
    }
    out.push_str(&text[position..]);
    out
}
