//! The texts of views: JSON that is YAML too, numbers as LAVA writes them, Python's `repr`.

use job::python::{push_float_repr, push_text_repr};
use memchr::memchr;
use serde_json::{Map, Value};

/// What becomes of the ESC byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// It is escaped as other control characters are.
    Keep,
    /// It is left out, as LAVA 2026.07 does in what a console printed.
    Drop,
}

/// What must be looked at twice in a text: control characters, quotes, backslashes, DEL, and the
/// first bytes of characters that a YAML reader or Python's `str.splitlines` takes for line breaks
/// or refuses.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special[0x7f] = true;
    special[0xc2] = true; // U+0080 to U+009F
    special[0xe2] = true; // U+2028, U+2029
    special[0xef] = true; // U+FEFF, U+FFFE, U+FFFF
    special
};

/// Appends the inside of a double-quoted text that JSON and YAML 1.1 read alike and that Python's
/// `str.splitlines` takes for one line. What is not UTF-8 becomes U+FFFD.
pub(super) fn push_escaped(out: &mut Vec<u8>, bytes: &[u8], escape: Escape) {
    // Without an early exit the compiler checks 16 bytes at once; nearly every line ends here.
    let plain = bytes.iter().fold(true, |plain, byte| {
        plain & (*byte >= 0x20) & (*byte < 0x7f) & (*byte != b'"') & (*byte != b'\\')
    });
    if plain {
        out.extend_from_slice(bytes);
    } else if bytes.is_ascii() {
        push_escaped_utf8(out, bytes, escape);
    } else {
        for chunk in bytes.utf8_chunks() {
            push_escaped_utf8(out, chunk.valid().as_bytes(), escape);
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
}

/// As [`push_escaped`], for bytes that are known to be UTF-8.
fn push_escaped_utf8(out: &mut Vec<u8>, mut bytes: &[u8], escape: Escape) {
    while let Some(at) = bytes.iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        out.extend_from_slice(&bytes[..at]);
        let (code, length) = match bytes[at..] {
            [0xc2, second @ 0x80..=0x9f, ..] => (u32::from(second), 2),
            [0xe2, 0x80, third @ (0xa8 | 0xa9), ..] => (0x2000 + u32::from(third & 0x3f), 3),
            [0xef, 0xbb, 0xbf, ..] => (0xfeff, 3),
            [0xef, 0xbf, third @ (0xbe | 0xbf), ..] => (0xffc0 + u32::from(third & 0x3f), 3),
            [lead @ 0x80..=0xff, ..] => {
                // The rest of the character is not special and comes with the next run.
                out.push(lead);
                bytes = &bytes[at + 1..];
                continue;
            }
            [byte, ..] => (u32::from(byte), 1),
            [] => return,
        };
        push_code(out, code, escape);
        bytes = &bytes[at + length..];
    }
    out.extend_from_slice(bytes);
}

fn push_code(out: &mut Vec<u8>, code: u32, escape: Escape) {
    let short = match code {
        0x1b if escape == Escape::Drop => return,
        0x22 => b'"',
        0x5c => b'\\',
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let digit = |shift: u32| DIGITS[(code >> shift & 0xf) as usize];
            out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Where to cut an escaped text so that a piece has at most `limit` bytes and neither a character
/// nor an escape sequence is cut. At least one of them fits, `limit` being ten or more.
pub(super) fn cut_escaped(escaped: &[u8], limit: usize) -> usize {
    if escaped.len() <= limit {
        return escaped.len();
    }
    let mut position = 0;
    while let Some(at) = memchr(b'\\', &escaped[position..limit]) {
        let start = position + at;
        let length = if escaped.get(start + 1) == Some(&b'u') {
            6
        } else {
            2
        };
        if start + length > limit {
            return start;
        }
        position = start + length;
    }
    let is_boundary = |at: &usize| escaped[*at] & 0xc0 != 0x80;
    (position..=limit).rev().find(is_boundary).unwrap_or(limit)
}

/// Appends a quoted text.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes(), Escape::Keep);
    out.push(b'"');
}

/// Appends a value on one line with LAVA's spacing.
pub(super) fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => out.extend_from_slice(number_text(number).as_bytes()),
        Value::String(text) => push_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                push_value(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => push_map(out, map),
    }
}

/// Appends a map on one line with LAVA's spacing.
pub(super) fn push_map(out: &mut Vec<u8>, map: &Map<String, Value>) {
    out.push(b'{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        push_string(out, key);
        out.extend_from_slice(b": ");
        push_value(out, value);
    }
    out.push(b'}');
}

/// A number that JSON and YAML 1.1 read alike: the latter takes `1e-5` for a text.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            let mut text = String::new();
            push_float_repr(float, &mut text);
            match text.split_once('e') {
                Some((mantissa, _)) if !mantissa.contains('.') => text.replacen('e', ".0e", 1),
                _ => text,
            }
        }
        _ => number.to_string(),
    }
}

/// A measurement as LAVA's exports write it: a decimal number with ten places.
pub(super) fn decimal(number: f64) -> String {
    const PLACES: usize = 10;
    let plain = format!("{number:.PLACES$}");
    let digits = plain.trim_start_matches('-').replace('.', "");
    let digits = digits.trim_start_matches('0');
    let sign = if plain.starts_with('-') && !digits.is_empty() {
        "-"
    } else {
        ""
    };
    match digits.len() {
        0 => "0E-10".into(),
        // Python's Decimal turns to an exponent below 1E-6.
        1 => format!("{sign}{digits}E-10"),
        length @ 2..=4 => format!("{sign}{}.{}E-{}", &digits[..1], &digits[1..], 11 - length),
        _ => plain,
    }
}

/// Appends a value as Python's `repr` writes it, which LAVA's CSV has in a cell.
pub(super) fn push_python(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => push_float_repr(float, out),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => push_text_repr(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                push_python(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                push_text_repr(key, out);
                out.push_str(": ");
                push_python(out, value);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn escaped(bytes: &[u8], escape: Escape) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, bytes, escape);
        String::from_utf8(out).expect("escaped text is UTF-8")
    }

    #[test]
    fn what_confuses_readers_is_escaped() {
        let text = "a\"b\\c\r\t\n\u{b}\u{c}\u{1c}\u{85}\u{2028}\u{2029}\u{feff}\u{ffff}\u{7f}é\u{202f}😀\u{fffd}";
        assert_eq!(
            escaped(text.as_bytes(), Escape::Keep),
            "a\\\"b\\\\c\\r\\t\\n\\u000b\\f\\u001c\\u0085\\u2028\\u2029\\ufeff\\uffff\\u007fé\u{202f}😀\u{fffd}"
        );
        assert_eq!(escaped(b"\x1b[0mred", Escape::Drop), "[0mred");
        assert_eq!(escaped(b"\x1b[0mred", Escape::Keep), "\\u001b[0mred");
        assert_eq!(
            escaped(b"caf\xe9 \xf0\x9f\x98", Escape::Drop),
            "caf\u{fffd} \u{fffd}"
        );
    }

    #[test]
    fn numbers_are_the_same_to_json_and_yaml() {
        let text = |value: Value| {
            let mut out = Vec::new();
            push_value(&mut out, &value);
            String::from_utf8(out).expect("numbers are ASCII")
        };
        assert_eq!(text(json!(1e-5)), "1.0e-05");
        assert_eq!(text(json!(1.5e20)), "1.5e+20");
        assert_eq!(text(json!(42.0)), "42.0");
        assert_eq!(text(json!(u64::MAX)), "18446744073709551615");
    }

    #[test]
    fn decimals_look_like_those_of_lava() {
        let texts = [
            0.0, -0.0, 42.5, 0.03, 1e-10, -1.2e-9, 1.234e-7, 1e-6, 1e-12, -12.5,
        ];
        let expected = [
            "0E-10",
            "0E-10",
            "42.5000000000",
            "0.0300000000",
            "1E-10",
            "-1.2E-9",
            "1.234E-7",
            "0.0000010000",
            "0E-10",
            "-12.5000000000",
        ];
        assert_eq!(texts.map(decimal), expected);
    }

    #[test]
    fn values_look_like_those_of_python() {
        let value =
            json!({"a'b": "c\"d'e", "n": [null, true, 1, 1e-7], "t": "x\ny\u{7f}\u{2028}é"});
        let mut out = String::new();
        push_python(&mut out, &value);
        assert_eq!(
            out,
            r#"{"a'b": 'c"d\'e', 'n': [None, True, 1, 1e-07], 't': 'x\ny\x7f\u2028é'}"#
        );
    }

    proptest! {
        #[test]
        fn escaped_text_is_json_for_the_same_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let json = format!("\"{}\"", escaped(&bytes, Escape::Keep));
            let text: String = serde_json::from_str(&json).expect("it is JSON");
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes).into_owned());
        }

        #[test]
        fn pieces_are_json_and_make_the_whole(text in "[a\\\\\"\u{1}é😀\u{2028}]{0,80}", limit in 10_usize..40) {
            let whole = escaped(text.as_bytes(), Escape::Keep);
            let (mut rest, mut joined) = (whole.as_bytes(), String::new());
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(cut_escaped(rest, limit));
                prop_assert!(!piece.is_empty() && piece.len() <= limit);
                let piece = std::str::from_utf8(piece).expect("characters stay whole");
                joined += &serde_json::from_str::<String>(&format!("\"{piece}\"")).expect("escapes stay whole");
                rest = tail;
            }
            prop_assert_eq!(joined, text);
        }
    }
}
