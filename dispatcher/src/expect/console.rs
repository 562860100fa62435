//! What a console puts around and into a test's output: escape sequences, the starts of kernel
//! lines, and the echo of commands.

use memchr::{memchr, memchr_iter};
use std::borrow::Cow;

const ESCAPE: u8 = 0x1b;

/// The text of a line without escape sequences and without carriage returns at its ends.
pub(super) fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    let line = line.trim_carriage_returns();
    if memchr(ESCAPE, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(escape) = memchr(ESCAPE, rest) {
        text.extend_from_slice(&rest[..escape]);
        rest = &rest[escape + sequence_length(&rest[escape..])..];
    }
    text.extend_from_slice(rest);
    let trimmed = text.trim_carriage_returns();
    Cow::Owned(trimmed.to_vec())
}

trait Trim {
    fn trim_carriage_returns(&self) -> &[u8];
}

impl Trim for [u8] {
    fn trim_carriage_returns(&self) -> &[u8] {
        let mut text = self;
        while let [b'\r', rest @ ..] | [rest @ .., b'\r'] = text {
            text = rest;
        }
        text
    }
}

/// How long the escape sequence at the start of a text is (ECMA-48: CSI, OSC and the short ones).
fn sequence_length(text: &[u8]) -> usize {
    match text.get(1) {
        Some(b'[') => {
            let parameters = text[2..]
                .iter()
                .take_while(|byte| (0x20..0x40).contains(*byte))
                .count();
            let end = 2 + parameters;
            match text.get(end) {
                Some(0x40..=0x7e) => end + 1,
                _ => end,
            }
        }
        Some(b']') => {
            let end = text.iter().position(|byte| *byte == 0x07);
            let string_end = text.windows(2).position(|pair| pair == [ESCAPE, b'\\']);
            match (end, string_end) {
                (Some(bell), Some(string)) => (bell + 1).min(string + 2),
                (Some(bell), None) => bell + 1,
                (None, Some(string)) => string + 2,
                (None, None) => 2,
            }
        }
        Some(0x30..=0x7e) => 2,
        Some(0x20..=0x2f) => 3.min(text.len()),
        _ => 1,
    }
}

/// Where in a text a line of the kernel, or a status line of systemd, surely starts: at its time
/// stamp or at its level.
pub(super) fn kernel_line(text: &[u8]) -> Option<usize> {
    memchr_iter(b'[', text)
        .find(|at| is_time_stamp(&text[*at..]) || is_status(&text[*at..]))
        .map(|at| at - level_before(&text[..at]))
}

/// Whether a line is one of the kernel's, surely, from its start.
pub(super) fn is_kernel_line(text: &[u8]) -> bool {
    is_time_stamp(text)
        || is_status(text)
        || level_length(text).is_some_and(|level| !text[level..].starts_with(b">"))
}

/// The length of a level such as `<6>` that ends a text.
fn level_before(text: &[u8]) -> usize {
    (3..=5)
        .find(|length| {
            let start = text.len().checked_sub(*length);
            start.is_some_and(|start| level_length(&text[start..]) == Some(*length))
        })
        .unwrap_or(0)
}

/// The length of the level, `<0>` to `<191>`, at the start of a text.
fn level_length(text: &[u8]) -> Option<usize> {
    let digits = text
        .strip_prefix(b"<")?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_level = (1..=3).contains(&digits) && text.get(digits + 1) == Some(&b'>');
    is_level.then_some(digits + 2)
}

/// Linux prints `[%5lu.%06lu]`; some vendors print nanoseconds.
fn is_time_stamp(text: &[u8]) -> bool {
    let Some(inner) = text.strip_prefix(b"[") else {
        return false;
    };
    let spaces = inner.iter().take_while(|byte| **byte == b' ').count();
    let seconds = inner[spaces..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let point = spaces + seconds;
    let padded = match spaces {
        0 => (5..=12).contains(&seconds),
        _ => seconds > 0 && point == 5,
    };
    if !padded || inner.get(point) != Some(&b'.') {
        return false;
    }
    let fraction = inner[point + 1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    matches!(fraction, 6 | 9) && matches!(inner.get(point + 1 + fraction), Some(b']' | b','))
}

/// systemd writes `[  OK  ] `, `[FAILED] ` and the like to the console.
fn is_status(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [
        b"  OK  ", b"FAILED", b"DEPEND", b" TIME ", b" WARN ", b" INFO ", b" SKIP ", b"ASSERT",
    ];
    text.starts_with(b"[") && text.get(7) == Some(&b']') && WORDS.contains(&&text[1..7])
}

/// Whether a line is what `set -x` prints of a command before it runs.
pub(super) fn is_trace(text: &[u8]) -> bool {
    let pluses = text.iter().take_while(|byte| **byte == b'+').count();
    pluses > 0 && text.get(pluses) == Some(&b' ')
}

/// Whether what starts at a place of a line is in quotes: the echo of a typed command, or a script
/// being shown.
pub(super) fn is_quoted(text: &[u8], at: usize) -> bool {
    at > 0 && matches!(text[at - 1], b'"' | b'\'' | b'`')
}

/// Whether what follows a signal ends the quotes it stands in.
pub(super) fn ends_quotes(tail: &[u8]) -> bool {
    matches!(tail.first(), Some(b'"' | b'\'' | b'`' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_outer_carriage_returns_go() {
        assert_eq!(&*plain(b"\r\x1b[0;32mok\x1b[0m\x1b[6n \rx\r"), b"ok \rx");
        assert_eq!(&*plain(b"\x1b]0;title\x07a\x1b(Bb\x1b"), b"ab");
        assert_eq!(&*plain(b"\x1b]0;open"), b"0;open");
    }

    #[test]
    fn kernel_lines_are_told_by_their_time_stamp() {
        for (text, at) in [
            (&b"foo[   12.345678] usb"[..], Some(3)),
            (b"foo[    0.000000][    T1] usb", Some(3)),
            (b"foo[12345.678901] usb", Some(3)),
            (b"foo[123456.678901] usb", Some(3)),
            (b"foo<6>[   12.345678] usb", Some(3)),
            (b"foo[  OK  ] Started", Some(3)),
            (b"foo[1.234567] usb", None),
            (b"foo[12.5]", None),
            (b"foo[   12.34567] usb", None),
            (b"foo", None),
        ] {
            assert_eq!(kernel_line(text), at, "{}", String::from_utf8_lossy(text));
        }
        assert!(is_kernel_line(b"<6>usb 1-1: new"));
        assert!(is_kernel_line(b"<0><LAVA_SIGNAL_ENDTC a>"));
        assert!(!is_kernel_line(b"<LAVA"));
        assert!(!is_kernel_line(b"usb 1-1: new"));
    }
}
