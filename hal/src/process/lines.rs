//! Cutting a stream of bytes into lines of bounded length.

/// Cuts at `\n`; one `\r` before it is dropped. Longer lines come in pieces of at most `limit`.
pub(super) struct LineSplitter {
    partial: Vec<u8>,
    limit: usize,
}

impl LineSplitter {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            partial: Vec::new(),
            limit: limit.max(1),
        }
    }

    /// Passes every line that `bytes` completes to `on_line`.
    pub(super) fn push(&mut self, mut bytes: &[u8], on_line: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.partial.is_empty() && line.len() <= self.limit {
                on_line(without_return(line));
            } else {
                self.extend(line, on_line);
                on_line(without_return(&self.partial));
                self.partial.clear();
            }
            bytes = rest;
        }
        self.extend(bytes, on_line);
    }

    /// Passes on what did not end in a newline.
    pub(super) fn finish(&mut self, on_line: &mut impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            on_line(&self.partial);
            self.partial.clear();
        }
    }

    fn extend(&mut self, mut bytes: &[u8], on_line: &mut impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.partial.len() == self.limit {
                on_line(&self.partial);
                self.partial.clear();
            }
            let room = (self.limit - self.partial.len()).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]], limit: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut on_line = |line: &[u8]| found.push(line.to_vec());
        let mut splitter = LineSplitter::new(limit);
        for chunk in chunks {
            splitter.push(chunk, &mut on_line);
        }
        splitter.finish(&mut on_line);
        found
    }

    #[test]
    fn lines_across_chunks_and_a_last_one_without_newline() {
        assert_eq!(
            lines(&[b"a\nb", b"c\r", b"\n\nd"], 80),
            [&b"a"[..], b"bc", b"", b"d"]
        );
        assert_eq!(
            lines(&[b"abcdefg\nh"], 3),
            [&b"abc"[..], b"def", b"g", b"h"]
        );
        assert_eq!(lines(&[b"abc\nd"], 3), [&b"abc"[..], b"d"]);
    }

    proptest! {
        #[test]
        fn cutting_the_input_elsewhere_changes_nothing(
            text in proptest::collection::vec(proptest::sample::select(b"ab\r\n".to_vec()), 0..60),
            cut in 0usize..60,
            limit in 1usize..8,
        ) {
            let cut = cut.min(text.len());
            prop_assert_eq!(lines(&[&text[..cut], &text[cut..]], limit), lines(&[&text], limit));
        }
    }
}
