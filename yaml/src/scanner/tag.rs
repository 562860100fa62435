//! Anchors, aliases and tags.

use std::borrow::Cow;

use super::cursor::{Cursor, is_blank_or_end};
use super::scan_error;
use crate::Mark;
use crate::error::Error;

/// Whether a byte may stand in an anchor, a tag handle or a directive's name.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Reads letters, digits, `_` and `-`.
pub(super) fn scan_word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    let start = cursor.mark();
    while is_word(cursor.peek()) {
        cursor.skip_ascii(1);
    }
    cursor.since(start)
}

/// Reads `&name` or `*name`.
pub(super) fn scan_anchor<'a>(cursor: &mut Cursor<'a>, alias: bool) -> Result<&'a str, Error> {
    let start = cursor.mark();
    cursor.skip_ascii(1);
    let name = scan_word(cursor);
    let ends = is_blank_or_end(cursor.rest(0))
        || matches!(
            cursor.peek(),
            b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
        );
    if name.is_empty() || !ends {
        let context = if alias {
            "while scanning an alias (quote text that begins with '*')"
        } else {
            "while scanning an anchor (quote text that begins with '&')"
        };
        let message = "did not find expected alphabetic or numeric character";
        return Err(scan_error(message, cursor.mark()).within(context, start));
    }
    Ok(name)
}

/// Reads a tag: its handle and the rest.
pub(super) fn scan_tag<'a>(
    cursor: &mut Cursor<'a>,
    in_flow: bool,
) -> Result<(&'a str, Cow<'a, str>), Error> {
    const CONTEXT: &str = "while scanning a tag";
    let start = cursor.mark();
    let (handle, suffix) = if cursor.peek_at(1) == b'<' {
        cursor.skip_ascii(2);
        let uri = scan_uri(cursor, cursor.mark(), true, CONTEXT, start)?;
        if cursor.peek() != b'>' {
            let message = "did not find the expected '>'";
            return Err(scan_error(message, cursor.mark()).within(CONTEXT, start));
        }
        cursor.skip_ascii(1);
        ("", uri)
    } else {
        scan_shorthand(cursor, start)?
    };
    let ends = is_blank_or_end(cursor.rest(0)) || (in_flow && cursor.peek() == b',');
    if !ends {
        let message = "did not find expected whitespace or line break";
        return Err(scan_error(message, cursor.mark()).within(CONTEXT, start));
    }
    Ok((handle, suffix))
}

/// Reads `!suffix`, `!!suffix`, `!handle!suffix` or `!`.
fn scan_shorthand<'a>(
    cursor: &mut Cursor<'a>,
    start: Mark,
) -> Result<(&'a str, Cow<'a, str>), Error> {
    const CONTEXT: &str = "while parsing a tag";
    cursor.skip_ascii(1);
    let name = cursor.mark();
    scan_word(cursor);
    if cursor.peek() == b'!' {
        cursor.skip_ascii(1);
        let handle = cursor.since(start);
        let suffix = scan_uri(cursor, cursor.mark(), false, CONTEXT, start)?;
        return Ok((handle, suffix));
    }
    // What looked like a handle is the beginning of the suffix.
    if cursor.mark() == name && !is_uri(cursor.peek(), false) {
        return Ok(("", Cow::Borrowed("!")));
    }
    let suffix = scan_uri(cursor, name, false, CONTEXT, start)?;
    if suffix.is_empty() {
        return Ok(("", Cow::Borrowed("!")));
    }
    Ok(("!", suffix))
}

/// Reads the value of `%TAG`: a handle and a prefix.
pub(super) fn scan_tag_directive<'a>(
    cursor: &mut Cursor<'a>,
    start: Mark,
) -> Result<(&'a str, Cow<'a, str>), Error> {
    const CONTEXT: &str = "while scanning a %TAG directive";
    let fail = |message, mark| Err(scan_error(message, mark).within(CONTEXT, start));
    cursor.skip_blanks();
    let begin = cursor.mark();
    if cursor.peek() != b'!' {
        return fail("did not find expected '!'", begin);
    }
    cursor.skip_ascii(1);
    let name = scan_word(cursor);
    if cursor.peek() == b'!' {
        cursor.skip_ascii(1);
    } else if !name.is_empty() {
        return fail("did not find expected '!'", cursor.mark());
    }
    let handle = cursor.since(begin);
    if !cursor.at_blank() {
        return fail("did not find expected whitespace", cursor.mark());
    }
    cursor.skip_blanks();
    let prefix = scan_uri(cursor, cursor.mark(), true, CONTEXT, start)?;
    if !is_blank_or_end(cursor.rest(0)) {
        return fail(
            "did not find expected whitespace or line break",
            cursor.mark(),
        );
    }
    Ok((handle, prefix))
}

/// Whether a byte may stand in a URI; `,`, `[` and `]` only where no flow collection could end.
fn is_uri(byte: u8, anywhere: bool) -> bool {
    is_word(byte)
        || b";/?:@&=+$.%!~*'()".contains(&byte)
        || (anywhere && matches!(byte, b',' | b'[' | b']'))
}

/// Reads a URI whose first characters, from `begin` on, may have been read already, and decodes
/// its `%xx` escapes. libyaml's strings end at a NUL, so a tag does too.
fn scan_uri<'a>(
    cursor: &mut Cursor<'a>,
    begin: Mark,
    anywhere: bool,
    context: &'static str,
    start: Mark,
) -> Result<Cow<'a, str>, Error> {
    let fail = |message: &str, mark| Err(scan_error(message, mark).within(context, start));
    let mut decoded: Option<Vec<u8>> = None;
    while is_uri(cursor.peek(), anywhere) {
        if cursor.peek() == b'%' {
            let octet = [cursor.peek_at(1), cursor.peek_at(2)]
                .iter()
                .try_fold(0, |octet, digit| {
                    Some(octet << 4 | char::from(*digit).to_digit(16)? as u8)
                });
            let Some(octet) = octet else {
                return fail("did not find URI escaped octet", cursor.mark());
            };
            decoded
                .get_or_insert_with(|| cursor.since(begin).into())
                .push(octet);
            cursor.skip_ascii(3);
        } else {
            if let Some(decoded) = &mut decoded {
                decoded.push(cursor.peek());
            }
            cursor.skip_ascii(1);
        }
    }
    let Some(decoded) = decoded else {
        let uri = cursor.since(begin);
        if uri.is_empty() {
            return fail("did not find expected tag URI", cursor.mark());
        }
        return Ok(Cow::Borrowed(uri));
    };
    let Ok(mut decoded) = String::from_utf8(decoded) else {
        return fail("found an incorrect UTF-8 octet", cursor.mark());
    };
    if let Some(end) = decoded.find('\0') {
        decoded.truncate(end);
    }
    Ok(Cow::Owned(decoded))
}
