//! One range of bytes of a file (RFC 9110 §14).

use std::ops::Range;

/// What of a file a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Unsatisfiable,
}

/// What a `Range` header asks for of a file of `size` bytes.
///
/// A header that makes no sense is ignored, as §14.2 has it. So is one with several ranges, which
/// a server may (same place): no boot loader asks so, and hostile clients do.
pub(super) fn parse(header: Option<&str>, size: u64) -> Wanted {
    parse_one(header, size).unwrap_or(Wanted::All)
}

fn parse_one(header: Option<&str>, size: u64) -> Option<Wanted> {
    let (unit, range) = header?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = if first.is_empty() {
        let length = number(last)?.min(size);
        size - length..size
    } else {
        let first = number(first)?;
        let end = match last {
            "" => size,
            last => {
                let last = number(last)?;
                if last < first {
                    return None;
                }
                size.min(last.saturating_add(1))
            }
        };
        first..end
    };
    Some(if range.is_empty() {
        Wanted::Unsatisfiable
    } else {
        Wanted::Part(range)
    })
}

/// Digits alone: `parse` of the standard library takes a sign as well. A number beyond 64 bits is
/// beyond all files.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        let wanted = |header| parse(Some(header), 1000);
        for (header, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-499", 0..500),
            ("bytes=500-", 500..1000),
            ("bytes=-1", 999..1000),
            ("bytes=-5000", 0..1000),
            ("Bytes = 999-99999999999999999999999", 999..1000),
        ] {
            assert_eq!(wanted(header), Wanted::Part(range), "{header}");
        }
        for header in ["bytes=1000-", "bytes=1000-1001", "bytes=-0"] {
            assert_eq!(wanted(header), Wanted::Unsatisfiable, "{header}");
        }
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=a-b",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=0--1",
        ] {
            assert_eq!(wanted(header), Wanted::All, "{header}");
        }
        assert_eq!(parse(None, 1000), Wanted::All);
        assert_eq!(parse(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn parts_are_never_empty_nor_beyond_the_file(
            header in "(bytes=)?[0-9+,-]{0,24}", size in any::<u64>()
        ) {
            if let Wanted::Part(range) = parse(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
