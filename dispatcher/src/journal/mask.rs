//! Hides secrets in what leaves the journal.

use memchr::memmem::Finder;
use std::{borrow::Cow, ops::Range};

/// What stands where a secret was (LAVA 2026.07).
pub const MASKED: &str = "[MASKED]";

/// A line of a secret with several lines is a secret of its own when it has so many bytes: a
/// console prints a key line by line, but hiding every `}` would help nobody.
const SHORTEST_LINE: usize = 8;

/// Finds secrets in texts.
///
/// It looks for each secret as it is, as it looks when escaped in JSON, and for its longer lines.
#[derive(Clone, Debug, Default)]
pub struct Masker {
    finders: Vec<Finder<'static>>,
}

impl Masker {
    /// A masker that hides nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides these from here on too. Empty ones are ignored.
    pub fn add(&mut self, secrets: &[String]) {
        for secret in secrets {
            self.add_text(secret);
            if secret.contains('\n') {
                let lines = secret.lines().filter(|line| line.len() >= SHORTEST_LINE);
                lines.for_each(|line| self.add_text(line));
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        let mut escaped = Vec::new();
        super::text::push_escaped(&mut escaped, text.as_bytes(), super::text::Escape::Keep);
        for needle in [text.as_bytes(), &escaped] {
            if !needle.is_empty() && self.finders.iter().all(|known| known.needle() != needle) {
                self.finders.push(Finder::new(needle).into_owned());
            }
        }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    /// The text with [`MASKED`] for every secret.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Secrets are text, so none begins or ends inside a character.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The bytes with [`MASKED`] for every secret.
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(bytes);
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut masked = Vec::with_capacity(bytes.len());
        let mut position = 0;
        for span in spans {
            masked.extend_from_slice(&bytes[position..span.start]);
            masked.extend_from_slice(MASKED.as_bytes());
            position = span.end;
        }
        masked.extend_from_slice(&bytes[position..]);
        Cow::Owned(masked)
    }

    /// Masks every text in a value, keys included.
    pub fn mask_value(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        if self.is_empty() {
            return value.clone();
        }
        match value {
            Value::String(text) => Value::String(self.mask(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.mask_value(item)).collect(),
            Value::Object(map) => Value::Object(self.mask_map(map)),
            other => other.clone(),
        }
    }

    /// As [`Self::mask_value`].
    pub fn mask_map(
        &self,
        map: &serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Map<String, serde_json::Value> {
        map.iter()
            .map(|(key, value)| (self.mask(key).into_owned(), self.mask_value(value)))
            .collect()
    }

    /// Where secrets lie, in order; overlapping ones are one span.
    fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for finder in &self.finders {
            let length = finder.needle().len();
            let mut from = 0;
            // One may begin within another: what is left of it must not be readable either.
            while let Some(at) = finder.find(&bytes[from..]) {
                spans.push(from + at..from + at + length);
                from += at + 1;
            }
        }
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        spans.dedup_by(|next, kept| {
            let overlaps = next.start < kept.end;
            if overlaps {
                kept.end = kept.end.max(next.end);
            }
            overlaps
        });
        spans
    }

    /// How many bytes at the end may be the beginning of a secret.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let longest = |needle: &[u8]| {
            (1..needle.len().min(bytes.len() + 1))
                .rev()
                .find(|length| bytes.ends_with(&needle[..*length]))
                .unwrap_or(0)
        };
        let lengths = self.finders.iter().map(|finder| longest(finder.needle()));
        lengths.max().unwrap_or(0)
    }
}

/// Masks a stream that comes in chunks: a secret that is cut by a chunk's end is hidden too.
///
/// It holds back what may be the beginning of a secret, so it holds less than the longest one.
#[derive(Debug, Default)]
pub struct StreamMasker {
    held: Vec<u8>,
    /// How many of the held bytes are part of a secret that was already replaced.
    replaced: usize,
}

impl StreamMasker {
    /// Takes more of the stream and appends to `out` what is decided.
    pub fn push(&mut self, masker: &Masker, bytes: &[u8], out: &mut Vec<u8>) {
        if masker.is_empty() && self.held.is_empty() {
            out.extend_from_slice(bytes);
            return;
        }
        self.held.extend_from_slice(bytes);
        let decided = self.held.len() - masker.undecided(&self.held);
        let mut position = self.replaced;
        for span in masker.spans(&self.held) {
            if span.start >= decided {
                break;
            }
            if span.end > position {
                out.extend_from_slice(&self.held[position..span.start.max(position)]);
                out.extend_from_slice(MASKED.as_bytes());
                position = span.end;
            }
        }
        if position < decided {
            out.extend_from_slice(&self.held[position..decided]);
            position = decided;
        }
        self.replaced = position - decided;
        self.held.drain(..decided);
    }

    /// The stream ended: appends what was held back.
    pub fn finish(&mut self, masker: &Masker, out: &mut Vec<u8>) {
        let rest = self.held.get(self.replaced..).unwrap_or_default();
        out.extend_from_slice(&masker.mask_bytes(rest));
        self.held.clear();
        self.replaced = 0;
    }

    /// What is held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masker(secrets: &[&str]) -> Masker {
        let mut masker = Masker::new();
        masker.add(
            &secrets
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>(),
        );
        masker
    }

    #[test]
    fn overlapping_secrets_are_hidden_whole() {
        let masker = masker(&["abcd", "cdef", "abc", ""]);
        assert_eq!(masker.mask("x abcdef y abc"), "x [MASKED] y [MASKED]");
        assert_eq!(masker.mask("ab cd"), "ab cd");
    }

    #[test]
    fn a_secret_is_hidden_in_its_escaped_form_and_line_by_line() {
        let masker = masker(&["pass\"word", "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n}\n"]);
        assert_eq!(
            masker.mask(r#"{"p": "pass\"word"}"#),
            r#"{"p": "[MASKED]"}"#
        );
        assert_eq!(masker.mask("+ MIIEpAIBAAKCAQEA }"), "+ [MASKED] }");
    }

    #[test]
    fn values_are_masked_with_their_keys() {
        let value = serde_json::json!({"token s3cret": ["s3cret", 1, {"a": "is s3cret"}]});
        let masked = serde_json::json!({"token [MASKED]": ["[MASKED]", 1, {"a": "is [MASKED]"}]});
        assert_eq!(masker(&["s3cret"]).mask_value(&value), masked);
    }

    proptest! {
        #[test]
        fn no_chunking_lets_a_secret_through(
            text in "[abc]{0,60}",
            secrets in prop::collection::vec("[abc]{2,6}", 1..4),
            sizes in prop::collection::vec(1_usize..7, 1..40),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let masker = masker(&secrets);
            let (mut stream, mut out, mut rest) = (StreamMasker::default(), Vec::new(), text.as_bytes());
            for size in sizes {
                let (chunk, tail) = rest.split_at(size.min(rest.len()));
                stream.push(&masker, chunk, &mut out);
                rest = tail;
                prop_assert!(stream.held() < 6);
            }
            stream.push(&masker, rest, &mut out);
            stream.finish(&masker, &mut out);
            let out = String::from_utf8(out).expect("text stays text");
            let kept = out.split(MASKED).collect::<Vec<_>>();
            for secret in &secrets {
                prop_assert!(kept.iter().all(|part| !part.contains(secret)), "{secret} in {out}");
            }
            let whole = masker.mask(&text);
            let letters = |text: &str| text.replace(MASKED, "").len();
            prop_assert_eq!(letters(&whole), letters(&out), "{} and {}", whole, out);
        }
    }
}
