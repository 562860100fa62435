//! From bytes to text: encodings, byte order marks and the characters YAML allows.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::{Limits, Mark};

/// The text of a YAML stream: UTF-16 when it begins with a byte order mark of that encoding,
/// UTF-8 otherwise, as libyaml decides it. The mark itself is dropped.
///
/// # Errors
/// When the bytes are not valid in that encoding.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest).map(Cow::Borrowed),
        _ => utf8(bytes).map(Cow::Borrowed),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        let message = match (error.error_len(), rest.first()) {
            (Some(_), Some(byte)) => format!("invalid UTF-8: unexpected byte 0x{byte:02x}"),
            _ => "invalid UTF-8: the last character is incomplete".to_owned(),
        };
        refuse(message, &String::from_utf8_lossy(valid))
    })
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    for character in char::decode_utf16(pairs.iter().map(|pair| read(*pair))) {
        match character {
            Ok(character) => text.push(character),
            Err(error) => {
                let unit = error.unpaired_surrogate();
                let message = format!("invalid UTF-16: unpaired surrogate 0x{unit:04x}");
                return Err(refuse(message, &text));
            }
        }
    }
    if rest.is_empty() {
        Ok(text)
    } else {
        let message = "invalid UTF-16: the last character is incomplete";
        Err(refuse(message.to_owned(), &text))
    }
}

fn refuse(message: String, before: &str) -> Error {
    Error::new(ErrorKind::Reader, message, end_of(before))
}

/// Where the content of a text begins, which is behind a byte order mark.
pub(crate) fn content_start(text: &str) -> Mark {
    const BYTE_ORDER_MARK: char = '\u{FEFF}';
    let marked = text.starts_with(BYTE_ORDER_MARK);
    Mark {
        offset: if marked {
            BYTE_ORDER_MARK.len_utf8() as u32
        } else {
            0
        },
        ..Mark::default()
    }
}

/// Checks length and characters, so that the scanner need not: after this the text holds no NUL.
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), Error> {
    check_length(text.len(), limits)?;
    let Some((offset, character)) = first_forbidden(text) else {
        return Ok(());
    };
    let mark = end_of(&text[..offset]);
    let code = u32::from(character);
    let hint = match character {
        '\u{1B}' => " (an escape sequence of a terminal?)",
        _ => "",
    };
    let message = format!("control characters are not allowed: #x{code:04x}{hint}");
    Err(Error::new(ErrorKind::Reader, message, mark))
}

/// Refuses what is too long.
pub(crate) fn check_length(length: usize, limits: &Limits) -> Result<(), Error> {
    let limit = limits.bytes.min(u32::MAX as usize - 1);
    if length > limit {
        let message = format!("the document is larger than {limit} bytes");
        return Err(Error::new(ErrorKind::Limit, message, Mark::default()));
    }
    Ok(())
}

/// The first character outside of what libyaml's reader lets through.
fn first_forbidden(text: &str) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    let mut offset = 0;
    while let Some(&byte) = bytes.get(offset) {
        let forbidden = match byte {
            b' '..=b'~' | b'\n' | b'\t' | b'\r' => false,
            0..0x20 | 0x7F => true,
            0xC2 => matches!(bytes.get(offset + 1), Some(0x80..=0x84 | 0x86..=0x9F)),
            0xEF => matches!(bytes.get(offset + 1..offset + 3), Some([0xBF, 0xBE | 0xBF])),
            _ => false,
        };
        if forbidden {
            return text[offset..].chars().next().map(|found| (offset, found));
        }
        offset += 1;
    }
    None
}

/// The place behind `before`.
fn end_of(before: &str) -> Mark {
    let mut mark = Mark {
        offset: u32::try_from(before.len()).unwrap_or(u32::MAX),
        ..Mark::default()
    };
    let mut previous = '\0';
    for character in before.chars() {
        match character {
            '\n' if previous == '\r' => {}
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                mark.line += 1;
                mark.column = 0;
            }
            _ => mark.column += 1,
        }
        previous = character;
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::{Limits, load};

    #[test]
    fn encodings_are_told_by_their_byte_order_mark() {
        for bytes in [
            &b"\xEF\xBB\xBFa\xC3\xA9"[..],
            b"a\xC3\xA9",
            b"\xFF\xFEa\0\xE9\0",
            b"\xFE\xFF\0a\0\xE9",
        ] {
            assert_eq!(decode(bytes).as_deref(), Ok("a\u{E9}"), "{bytes:x?}");
        }
    }

    #[test]
    fn place_of_a_wrong_byte_is_told() {
        let error = decode(b"a: 1\r\nb: \xC3\xA9\xFF").expect_err("no UTF-8");
        assert_eq!(
            error.to_string(),
            "line 2, column 5: invalid UTF-8: unexpected byte 0xff"
        );
        let error = decode(b"\xFE\xFF\0a\xD8").expect_err("half a character");
        assert_eq!(
            error.to_string(),
            "line 1, column 2: invalid UTF-16: the last character is incomplete"
        );
    }

    #[test]
    fn offsets_count_the_byte_order_mark_that_is_in_the_text() {
        let text = "\u{FEFF}a: b";
        let node = load(text, &Limits::default()).expect("a map");
        let value = node.get("a").expect("a value").span;
        assert_eq!(
            &text[value.start.offset as usize..value.end.offset as usize],
            "b"
        );
        assert_eq!(value.start.column, 3);
    }
}
