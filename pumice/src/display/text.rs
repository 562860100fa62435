//! Texts for people: durations, sizes, and text of others made safe to print.

use std::{borrow::Cow, time::Duration};
use unicode_width::UnicodeWidthChar;

/// What stands for a character that a terminal would obey instead of showing it.
const HIDDEN: char = '\u{fffd}';

/// Whether a terminal would obey this character, or reorder what stands around it, instead of just
/// showing it: control characters, and the marks that switch the direction of writing.
pub(super) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// A text on one line without anything a terminal would obey. White space is one blank.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let safe = |character: char| match character {
        '\n' | '\r' | '\t' => ' ',
        other if is_unsafe(other) => HIDDEN,
        other => other,
    };
    Cow::Owned(text.trim_end().chars().map(safe).collect())
}

/// The character itself, or what stands for it.
pub(super) fn safe(character: char) -> char {
    if is_unsafe(character) {
        HIDDEN
    } else {
        character
    }
}

/// The columns a character takes on a terminal.
pub(super) fn width(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// The columns a text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How long something took: `0.04s`, `2.1s`, `1m 05s`, `2h 10m`.
pub(super) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    // What would be rounded up to the next form is written in that form.
    if seconds < 0.9995 {
        format!("{seconds:.2}s")
    } else if seconds < 59.95 {
        format!("{seconds:.1}s")
    } else {
        running(Duration::from_secs_f64(seconds.round()))
    }
}

/// How long something runs, in whole seconds so that it changes calmly: `12s`, `1m 05s`, `2h 10m`.
pub(super) fn running(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h {minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m {rest:02}s")
    } else {
        format!("{rest}s")
    }
}

/// A time limit, rounded up: what is left of ten minutes after a millisecond is `10m`.
pub(super) fn limit(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let text: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text.join(" ")
    }
}

/// A size: `512 B`, `1.4 kB`, `27.3 MB`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["kB", "MB", "GB", "TB"].iter().peekable();
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    loop {
        value /= 1000.0;
        match units.next() {
            Some(unit) if value < 999.95 || units.peek().is_none() => {
                return format!("{value:.1} {unit}");
            }
            _ => {}
        }
    }
}

/// `1 case`, `2 cases`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_as_many_digits_as_matter() {
        let took = |millis| took(Duration::from_millis(millis));
        assert_eq!(
            [took(40), took(999), took(2_140)],
            ["0.04s", "1.00s", "2.1s"]
        );
        assert_eq!(
            [took(59_960), took(65_400), took(7_800_000)],
            ["1m 00s", "1m 05s", "2h 10m"]
        );
        let running = |millis| running(Duration::from_millis(millis));
        assert_eq!([running(999), running(65_000)], ["0s", "1m 05s"]);
        let limit = |millis| limit(Duration::from_millis(millis));
        assert_eq!(
            [limit(599_999), limit(90_000), limit(0)],
            ["10m", "1m 30s", "0s"]
        );
        assert_eq!(limit(3_600_000), "1h");
    }

    #[test]
    fn sizes_are_rounded_into_the_next_unit() {
        assert_eq!(
            [size(999), size(1_000), size(999_949)],
            ["999 B", "1.0 kB", "999.9 kB"]
        );
        assert_eq!([size(999_950), size(27_300_000)], ["1.0 MB", "27.3 MB"]);
        assert_eq!(size(u64::MAX), "18446744.1 TB");
    }

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        assert_eq!(
            clean("a\x1b[31mb\r\nc\u{9b}2Jd\u{202e}e"),
            "a\u{fffd}[31mb  c\u{fffd}2Jd\u{fffd}e"
        );
        assert!(matches!(clean("grün 中"), Cow::Borrowed(_)));
    }
}
