//! Digests of what is fetched.

use super::failure::Failure;
use md5::Md5;
use plan::step::Checksums;
use sha2::{Digest, Sha256, Sha512};

/// Computes SHA-256 and whatever else the job declares, in one pass.
pub(super) struct Hashers {
    sha256: Sha256,
    sha512: Option<Sha512>,
    md5: Option<Md5>,
}

/// Digests in lower case hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha256: String,
    pub(super) sha512: Option<String>,
    pub(super) md5: Option<String>,
}

impl Hashers {
    pub(super) fn new(declared: &Checksums) -> Self {
        Self {
            sha256: Sha256::new(),
            sha512: declared.sha512.is_some().then(Sha512::new),
            md5: declared.md5.is_some().then(Md5::new),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            sha256: hexadecimal(&self.sha256.finalize()),
            sha512: self.sha512.map(|hasher| hexadecimal(&hasher.finalize())),
            md5: self.md5.map(|hasher| hexadecimal(&hasher.finalize())),
        }
    }
}

impl Digests {
    /// Compares with what the job declares.
    pub(super) fn check(&self, declared: &Checksums) -> Result<(), Failure> {
        for (algorithm, expected, actual) in self.pairs(declared) {
            if !expected.trim().eq_ignore_ascii_case(actual) {
                return Err(Failure::Checksum {
                    algorithm,
                    expected: expected.trim().to_ascii_lowercase(),
                    actual: actual.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The declared digests, once [`check`](Self::check) passed.
    pub(super) fn verified(&self, declared: &Checksums) -> Vec<(&'static str, String)> {
        self.pairs(declared)
            .map(|(algorithm, _, actual)| (algorithm, actual.to_owned()))
            .collect()
    }

    fn pairs<'a>(
        &'a self,
        declared: &'a Checksums,
    ) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
        let pair = |algorithm, expected: &'a Option<String>, actual: Option<&'a str>| {
            Some((algorithm, expected.as_deref()?, actual?))
        };
        [
            pair("md5sum", &declared.md5, self.md5.as_deref()),
            pair("sha256sum", &declared.sha256, Some(&self.sha256)),
            pair("sha512sum", &declared.sha512, self.sha512.as_deref()),
        ]
        .into_iter()
        .flatten()
    }
}

/// A declared digest in the form digests are stored in, `None` when it is none of that length.
pub(super) fn normalised(declared: Option<&str>, digits: usize) -> Option<String> {
    let declared = declared?.trim().to_ascii_lowercase();
    (declared.len() == digits && declared.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then_some(declared)
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hexadecimal(&hasher.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte)])
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use plan::step::Download;

    /// A download of `kernel` with nothing special about it.
    pub(in super::super) fn download(url: &str) -> Download {
        Download {
            label: "kernel".into(),
            url: url.into(),
            directory: Some("kernel".into()),
            compression: None,
            decompress: true,
            unpack_tar: false,
            checksums: Checksums::default(),
            headers: std::collections::BTreeMap::new(),
            use_cache: true,
        }
    }

    fn digests_of(declared: &Checksums, bytes: &[u8]) -> Digests {
        let mut hashers = Hashers::new(declared);
        bytes.chunks(3).for_each(|part| hashers.update(part));
        hashers.finish()
    }

    #[test]
    fn digests_are_those_of_the_standards() {
        let all = Checksums {
            md5: Some("900150983CD24FB0D6963F7D28E17F72".into()),
            sha256: Some(
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n".into(),
            ),
            sha512: Some(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
                    .into(),
            ),
        };
        let digests = digests_of(&all, b"abc");
        digests.check(&all).unwrap();
        let keys: Vec<_> = digests
            .verified(&all)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, ["md5sum", "sha256sum", "sha512sum"]);
    }

    #[test]
    fn each_digest_alone_can_differ() {
        let wrong =
            |declared: Checksums| digests_of(&declared, b"abc").check(&declared).unwrap_err();
        let cases = [
            Checksums {
                md5: Some("0".into()),
                ..Checksums::default()
            },
            Checksums {
                sha256: Some("0".into()),
                ..Checksums::default()
            },
            Checksums {
                sha512: Some("0".into()),
                ..Checksums::default()
            },
        ];
        for case in cases {
            assert!(matches!(wrong(case), Failure::Checksum { .. }));
        }
    }

    #[test]
    fn only_digests_name_files_of_the_cache() {
        assert_eq!(normalised(Some(" AB "), 2).as_deref(), Some("ab"));
        assert_eq!(normalised(Some("../"), 3), None);
        assert_eq!(normalised(Some("abc"), 2), None);
    }
}
