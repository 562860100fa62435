//! Scalars: plain, quoted and block.

use std::borrow::Cow;

use super::cursor::{Cursor, break_length, is_blank_or_end};
use super::fold::Folded;
use super::scan_error;
use crate::error::Error;
use crate::{Mark, Span};

/// A plain scalar.
pub(super) struct Plain<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) span: Span,
    /// A line break follows it, so that the next token may be a key.
    pub(super) ended_after_break: bool,
}

pub(super) fn scan_plain<'a>(
    cursor: &mut Cursor<'a>,
    parent_indent: i64,
    in_flow: bool,
) -> Result<Plain<'a>, Error> {
    let start = cursor.mark();
    let mut end = start;
    let mut folded = Folded::new(start);
    let mut after_break = false;
    loop {
        if cursor.peek() == b'#' || cursor.at_document_indicator() {
            break;
        }
        let word = plain_word_length(cursor, start, in_flow)?;
        if word > 0 {
            if after_break {
                folded.fold();
                after_break = false;
                end = cursor.mark();
            }
            cursor.skip_bytes(word);
            folded.push(cursor.since(end));
            end = cursor.mark();
        }
        if !cursor.at_blank() && !cursor.at_break() {
            break;
        }
        loop {
            if cursor.at_blank() {
                if after_break && cursor.column() <= parent_indent && cursor.peek() == b'\t' {
                    let message = "found a tab character that violates indentation";
                    return Err(scan_error(message, cursor.mark())
                        .within("while scanning a plain scalar", start));
                }
                cursor.skip_ascii(1);
            } else if let Some(text) = cursor.skip_break() {
                folded.push_break(cursor, end, text);
                after_break = true;
            } else {
                break;
            }
        }
        if !in_flow && cursor.column() <= parent_indent {
            break;
        }
    }
    Ok(Plain {
        text: folded.finish(cursor, end),
        span: Span { start, end },
        ended_after_break: after_break,
    })
}

/// How many bytes of a plain scalar come before the next blank, break or indicator that ends it.
fn plain_word_length(cursor: &Cursor<'_>, start: Mark, in_flow: bool) -> Result<usize, Error> {
    let bytes = cursor.rest(0);
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => break,
            b',' | b'[' | b']' | b'{' | b'}' if in_flow => break,
            b':' => {
                let rest = bytes.get(length + 1..).unwrap_or_default();
                if in_flow && matches!(rest, [b',' | b'?' | b'[' | b']' | b'{' | b'}', ..]) {
                    let mut mark = cursor.mark();
                    mark.offset += length as u32;
                    mark.column += bytes[..length].utf8_chunks().fold(0, |count, chunk| {
                        count + chunk.valid().chars().count() as u32
                    });
                    return Err(scan_error("found unexpected ':'", mark)
                        .within("while scanning a plain scalar", start));
                }
                if is_blank_or_end(rest) {
                    break;
                }
                length += 1;
            }
            0xC2 | 0xE2 if break_length(&bytes[length..]) > 0 => break,
            _ => length += 1,
        }
    }
    Ok(length)
}

pub(super) fn scan_quoted<'a>(
    cursor: &mut Cursor<'a>,
    single: bool,
) -> Result<Cow<'a, str>, Error> {
    let start = cursor.mark();
    let fail = |message: &str, mark| {
        Err(scan_error(message, mark).within("while scanning a quoted scalar", start))
    };
    cursor.skip_ascii(1);
    let mut folded = Folded::new(cursor.mark());
    loop {
        if cursor.at_document_indicator() {
            return fail("found unexpected document indicator", cursor.mark());
        }
        if cursor.at_end() {
            return fail("found unexpected end of stream", cursor.mark());
        }
        let mut after_break = scan_quoted_words(cursor, &mut folded, single, start)?;
        if cursor.peek() == if single { b'\'' } else { b'"' } {
            break;
        }
        // Blanks stay when the line goes on, and vanish around a line break.
        let end = cursor.mark();
        loop {
            if cursor.at_blank() {
                cursor.skip_ascii(1);
            } else if let Some(text) = cursor.skip_break() {
                folded.push_break(cursor, end, text);
                after_break = true;
            } else {
                break;
            }
        }
        if after_break {
            folded.fold();
        } else {
            folded.push(cursor.since(end));
        }
    }
    let end = cursor.mark();
    cursor.skip_ascii(1);
    Ok(folded.finish(cursor, end))
}

/// Reads up to a blank, a line break, the closing quote or the end. Returns whether it stopped
/// behind an escaped line break.
fn scan_quoted_words(
    cursor: &mut Cursor<'_>,
    folded: &mut Folded,
    single: bool,
    start: Mark,
) -> Result<bool, Error> {
    loop {
        let begin = cursor.mark();
        cursor.skip_bytes(quoted_word_length(cursor.rest(0), single));
        folded.push(cursor.since(begin));
        let here = cursor.mark();
        match cursor.rest(0) {
            [b'\'', b'\'', ..] if single => {
                folded.own(cursor, here).push('\'');
                cursor.skip_ascii(2);
            }
            [b'\\', rest @ ..] if !single => {
                if break_length(rest) > 0 {
                    cursor.skip_ascii(1);
                    cursor.skip_break();
                    folded.push_escaped_break(cursor, here);
                    return Ok(true);
                }
                let (character, length) = escape(rest).map_err(|message| {
                    scan_error(message, here).within("while parsing a quoted scalar", start)
                })?;
                folded.own(cursor, here).push(character);
                cursor.skip_bytes(1 + length);
            }
            _ => return Ok(false),
        }
    }
}

/// How many bytes come before the next one that means something in a quoted scalar.
fn quoted_word_length(bytes: &[u8], single: bool) -> usize {
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => break,
            b'\'' if single => break,
            b'"' | b'\\' if !single => break,
            0xC2 | 0xE2 if break_length(&bytes[length..]) > 0 => break,
            _ => length += 1,
        }
    }
    length
}

/// The character that an escape stands for, and the bytes it takes behind the backslash.
fn escape(bytes: &[u8]) -> Result<(char, usize), String> {
    let Some(&kind) = bytes.first() else {
        return Err("found unknown escape character".to_owned());
    };
    let digits = match kind {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        _ => {
            let character = match kind {
                b'0' => '\0',
                b'a' => '\x07',
                b'b' => '\x08',
                b't' | b'\t' => '\t',
                b'n' => '\n',
                b'v' => '\x0B',
                b'f' => '\x0C',
                b'r' => '\r',
                b'e' => '\x1B',
                b' ' => ' ',
                b'"' => '"',
                b'/' => '/',
                b'\\' => '\\',
                b'N' => '\u{85}',
                b'_' => '\u{A0}',
                b'L' => '\u{2028}',
                b'P' => '\u{2029}',
                _ => {
                    return Err("found unknown escape character (in double quotes, \
                        write a backslash as \\\\)"
                        .to_owned());
                }
            };
            return Ok((character, 1));
        }
    };
    let code = bytes
        .get(1..=digits)
        .and_then(|digits| {
            digits.iter().try_fold(0_u32, |code, digit| {
                Some(code << 4 | char::from(*digit).to_digit(16)?)
            })
        })
        .ok_or_else(|| format!("did not find expected hexadecimal number of {digits} digits"))?;
    let character = char::from_u32(code)
        .ok_or_else(|| "found invalid Unicode character escape code".to_owned())?;
    Ok((character, 1 + digits))
}

/// What happens to the line breaks at the end of a block scalar.
#[derive(Clone, Copy, PartialEq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

pub(super) fn scan_block<'a>(
    cursor: &mut Cursor<'a>,
    parent_indent: i64,
    literal: bool,
) -> Result<(Cow<'a, str>, Span), Error> {
    let start = cursor.mark();
    cursor.skip_ascii(1);
    let (chomping, increment) = scan_block_header(cursor, start)?;
    let mut indent = increment.map(|increment| parent_indent.max(0) + increment);
    let mut text = String::new();
    let mut line_break = "";
    let mut breaks = String::new();
    let mut line_began_blank = false;
    let mut end = scan_block_breaks(cursor, &mut indent, parent_indent, &mut breaks, start)?;
    while Some(cursor.column()) == indent && !cursor.at_end() {
        let begins_blank = cursor.at_blank();
        if !literal && line_break == "\n" && !line_began_blank && !begins_blank {
            if breaks.is_empty() {
                text.push(' ');
            }
        } else {
            text.push_str(line_break);
        }
        text.push_str(&breaks);
        breaks.clear();
        line_began_blank = begins_blank;
        text.push_str(cursor.skip_line_content());
        line_break = cursor.skip_break().unwrap_or_default();
        end = scan_block_breaks(cursor, &mut indent, parent_indent, &mut breaks, start)?;
    }
    if chomping != Chomping::Strip {
        text.push_str(line_break);
    }
    if chomping == Chomping::Keep {
        text.push_str(&breaks);
    }
    Ok((Cow::Owned(text), Span { start, end }))
}

/// Reads what may follow `|` or `>` on its line.
fn scan_block_header(
    cursor: &mut Cursor<'_>,
    start: Mark,
) -> Result<(Chomping, Option<i64>), Error> {
    const CONTEXT: &str = "while scanning a block scalar";
    let mut chomping = None;
    let mut increment = None;
    loop {
        match cursor.peek() {
            b'+' if chomping.is_none() => chomping = Some(Chomping::Keep),
            b'-' if chomping.is_none() => chomping = Some(Chomping::Strip),
            b'0' if increment.is_none() => {
                let message = "found an indentation indicator equal to 0";
                return Err(scan_error(message, cursor.mark()).within(CONTEXT, start));
            }
            digit @ b'1'..=b'9' if increment.is_none() => increment = Some(i64::from(digit - b'0')),
            _ => break,
        }
        cursor.skip_ascii(1);
    }
    cursor.skip_blanks();
    if cursor.peek() == b'#' {
        cursor.skip_line_content();
    }
    if cursor.skip_break().is_none() && !cursor.at_end() {
        let message = "did not find expected comment or line break";
        return Err(scan_error(message, cursor.mark()).within(CONTEXT, start));
    }
    Ok((chomping.unwrap_or(Chomping::Clip), increment))
}

/// Skips indentation and empty lines, and finds the indentation when it is not known yet.
/// Returns the end of the last line that was skipped.
fn scan_block_breaks(
    cursor: &mut Cursor<'_>,
    indent: &mut Option<i64>,
    parent_indent: i64,
    breaks: &mut String,
    start: Mark,
) -> Result<Mark, Error> {
    let mut deepest = 0;
    let mut end = cursor.mark();
    loop {
        let inside = |cursor: &Cursor<'_>| indent.is_none_or(|indent| cursor.column() < indent);
        while inside(cursor) && cursor.peek() == b' ' {
            cursor.skip_ascii(1);
        }
        deepest = deepest.max(cursor.column());
        if inside(cursor) && cursor.peek() == b'\t' {
            let message = "found a tab character where an indentation space is expected";
            return Err(
                scan_error(message, cursor.mark()).within("while scanning a block scalar", start)
            );
        }
        let Some(text) = cursor.skip_break() else {
            break;
        };
        breaks.push_str(text);
        end = cursor.mark();
    }
    indent.get_or_insert(deepest.max(parent_indent + 1).max(1));
    Ok(end)
}
