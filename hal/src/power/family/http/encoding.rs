//! The encodings of answers. We ask for none; but who is not told which ones are read may choose
//! (RFC 9110, section 12.5.3), and small servers keep their pages packed.

use super::failure::Failure;
use crate::error::ErrorKind;
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The bytes that `body` is the `encoding` of, at most `limit` of them.
pub(super) fn decoded(body: Vec<u8>, encoding: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    let wrong = |what: String| Failure::new(ErrorKind::Protocol, what);
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        "gzip" | "x-gzip" => {
            let mut plain = Vec::new();
            let mut reader = MultiGzDecoder::new(body.as_slice()).take(limit as u64 + 1);
            reader
                .read_to_end(&mut plain)
                .map_err(|error| wrong(format!("its answer is no gzip: {error}")))?;
            if plain.len() > limit {
                let limit = limit / 1024;
                return Err(
                    wrong(format!("its answer unpacks to more than {limit} KiB"))
                        .hint("is there another device at this address?"),
                );
            }
            Ok(plain)
        }
        other => {
            let shown: String = other.chars().take(20).collect();
            let shown = shown.escape_debug();
            Err(wrong(format!(
                "its answer is in the encoding '{shown}', for which it was not asked"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn error(body: Vec<u8>, encoding: &str) -> String {
        decoded(body, encoding, 2048).err().unwrap().what
    }

    #[test]
    fn answers_are_unpacked_within_bounds() {
        let plain =
            |encoding: &str, body: &[u8]| decoded(body.to_vec(), encoding, 2048).ok().unwrap();
        assert_eq!(plain("", b"on"), b"on");
        assert_eq!(plain("Identity", b"on"), b"on");
        assert_eq!(plain("GZIP", &packed(b"on")), b"on");
        assert_eq!(plain("gzip", &packed(&[7; 2048])), [7; 2048]);
        assert!(error(packed(&[7; 2049]), "gzip").contains("more than 2 KiB"));
        // A bomb is not unpacked to its end.
        assert!(error(packed(&vec![0; 50 << 20]), "gzip").contains("more than 2 KiB"));
        assert!(error(b"on".to_vec(), "gzip").contains("no gzip"));
        assert!(error(packed(b"on")[..9].to_vec(), "gzip").contains("no gzip"));
        assert!(error(b"on".to_vec(), "br").contains("encoding 'br'"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let head = [&packed(b"on")[..10], &bytes].concat();
            for body in [bytes, head] {
                if let Ok(plain) = decoded(body, "gzip", 2048) {
                    prop_assert!(plain.len() <= 2048);
                }
            }
        }
    }
}
