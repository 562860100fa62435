//! `%YAML` and `%TAG`.

use super::cursor::{Cursor, is_blank_or_end};
use super::tag::{scan_tag_directive, scan_word};
use super::{TokenKind, scan_error};
use crate::Mark;
use crate::error::Error;

/// Reads a directive and the rest of its line.
pub(super) fn scan<'a>(cursor: &mut Cursor<'a>) -> Result<TokenKind<'a>, Error> {
    const CONTEXT: &str = "while scanning a directive";
    let start = cursor.mark();
    let fail = |message, mark| Err(scan_error(message, mark).within(CONTEXT, start));
    cursor.skip_ascii(1);
    let name = scan_word(cursor);
    if name.is_empty() {
        return fail("could not find expected directive name", cursor.mark());
    }
    if !is_blank_or_end(cursor.rest(0)) {
        return fail("found unexpected non-alphabetical character", cursor.mark());
    }
    let kind = match name {
        "YAML" => scan_version(cursor, start)?,
        "TAG" => {
            let (handle, prefix) = scan_tag_directive(cursor, start)?;
            TokenKind::TagDirective { handle, prefix }
        }
        _ => return fail("found unknown directive name", cursor.mark()),
    };
    cursor.skip_blanks();
    if cursor.peek() == b'#' {
        cursor.skip_line_content();
    }
    if cursor.skip_break().is_none() && !cursor.at_end() {
        return fail("did not find expected comment or line break", cursor.mark());
    }
    Ok(kind)
}

fn scan_version<'a>(cursor: &mut Cursor<'a>, start: Mark) -> Result<TokenKind<'a>, Error> {
    cursor.skip_blanks();
    let major = scan_number(cursor, start)?;
    if cursor.peek() != b'.' {
        let message = "did not find expected digit or '.' character";
        return Err(version_error(message, cursor.mark(), start));
    }
    cursor.skip_ascii(1);
    let minor = scan_number(cursor, start)?;
    Ok(TokenKind::VersionDirective { major, minor })
}

/// Reads a number of at most nine digits, as libyaml bounds it.
fn scan_number(cursor: &mut Cursor<'_>, start: Mark) -> Result<u32, Error> {
    let begin = cursor.mark();
    let mut number = 0;
    while let digit @ b'0'..=b'9' = cursor.peek() {
        if cursor.since(begin).len() == 9 {
            let message = "found extremely long version number";
            return Err(version_error(message, cursor.mark(), start));
        }
        number = number * 10 + u32::from(digit - b'0');
        cursor.skip_ascii(1);
    }
    if cursor.mark() == begin {
        let message = "did not find expected version number";
        return Err(version_error(message, begin, start));
    }
    Ok(number)
}

fn version_error(message: &str, mark: Mark, start: Mark) -> Error {
    scan_error(message, mark).within("while scanning a %YAML directive", start)
}
