//! Paths of URLs.

/// Replaces `%2F` and the like; `None` for what is no UTF-8 then, or no such code.
///
/// What comes out may hold `..`, NUL or anything else: [`Root`](crate::bootfiles::Root) is the
/// guard, after decoding.
pub(super) fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_replaced_once_and_bad_ones_refused() {
        assert_eq!(decode("/a%20b%2fc+d").unwrap(), "/a b/c+d");
        assert_eq!(decode("/%252e").unwrap(), "/%2e");
        assert_eq!(decode("/%C3%A4").unwrap(), "/ä");
        for bad in ["/%", "/%2", "/%zz", "/%+1", "/%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = decode(&text);
        }
    }
}
