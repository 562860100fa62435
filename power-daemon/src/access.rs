//! Who may ask.

use std::{fmt, hint::black_box, path::Path};

/// The shortest token: shorter ones are guessed.
const SHORTEST: usize = 16;

/// The longest file of tokens.
const LONGEST_FILE: u64 = 1 << 20;

/// The tokens that clients may show; without any, everyone who can connect may ask.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Vec<u8>>);

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// It is no file of tokens.
    #[error("{path}: {what}")]
    Bad {
        /// Which file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Tokens {
    /// Reads a file: one token a line; empty lines and those that begin with `#` mean nothing.
    ///
    /// # Errors
    /// When it cannot be read, has no token (which would let everyone in), or one that is shorter
    /// than 16 characters.
    pub fn from_file(path: &Path) -> Result<Self, TokensError> {
        let bad = |what: &str| TokensError::Bad {
            path: path.display().to_string(),
            what: what.to_owned(),
        };
        if fs_err::metadata(path)?.len() > LONGEST_FILE {
            return Err(bad("this is too long for a file of tokens"));
        }
        let text = fs_err::read_to_string(path)?;
        let mut tokens = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() < SHORTEST {
                let number = index + 1;
                let what =
                    format!("the token of line {number} has less than {SHORTEST} characters");
                return Err(bad(&what));
            }
            tokens.push(line.as_bytes().to_vec());
        }
        if tokens.is_empty() {
            return Err(bad("there is no token in it"));
        }
        Ok(Self(tokens))
    }

    /// Whether nobody needs a token.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client that shows `token` may ask. Takes the same time for every token of the
    /// same length, so that it cannot be guessed character by character.
    pub fn allow(&self, token: Option<&str>) -> bool {
        if self.are_none() {
            return true;
        }
        let shown = token.unwrap_or_default().as_bytes();
        let mut found = false;
        for known in &self.0 {
            found |= equal(known, shown);
        }
        found
    }
}

fn equal(known: &[u8], shown: &[u8]) -> bool {
    let mut difference = usize::from(known.len() != shown.len());
    for (index, byte) in shown.iter().enumerate() {
        // Reads within `known` whatever the length of what was shown.
        let other = known[index % known.len()];
        difference |= usize::from(black_box(byte ^ other));
    }
    black_box(difference) == 0
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tokens, TokensError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), text).unwrap();
        Tokens::from_file(file.path())
    }

    #[test]
    fn only_whole_tokens_are_let_in() {
        let tokens = read("# of the lab\n\n0123456789abcdef\nfedcba9876543210\n").unwrap();
        for good in ["0123456789abcdef", "fedcba9876543210"] {
            assert!(tokens.allow(Some(good)));
        }
        let twice = "0123456789abcdef0123456789abcdef";
        for bad in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "# of the lab",
            twice,
        ] {
            assert!(!tokens.allow(Some(bad)), "{bad}");
        }
        assert!(!tokens.allow(None));
        assert!(Tokens::default().allow(None));
        assert_eq!(format!("{tokens:?}"), "Tokens(2)");
    }

    #[test]
    fn a_file_that_lets_everyone_in_is_refused() {
        for bad in ["", "# none\n", "short\n"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
