//! The lines of the log that belong to a failed test case.

use super::super::lava_log::LineRange;
use fs_err::File;
use std::{
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Of a longer excerpt only the end is given.
const LONGEST: u64 = 64 << 10;

/// An export has no more excerpts when they have so many bytes together.
const ALL: u64 = 16 << 20;

/// Reads the log again, within bounds.
pub(super) struct Excerpts {
    file: Option<File>,
    left: u64,
}

impl Excerpts {
    /// Without a log there are no excerpts.
    pub(super) fn open(log: &Path) -> Self {
        Self {
            file: File::open(log).ok(),
            left: ALL,
        }
    }

    /// The lines from the start (included) to the end (excluded), as LAVA 2026.07 has them; each
    /// ends with a line break. A first line in brackets tells that some were left out.
    pub(super) fn read(&mut self, range: LineRange) -> io::Result<String> {
        let length = range.end.offset.saturating_sub(range.start.offset);
        let Some(file) = self.file.as_mut().filter(|_| length > 0) else {
            return Ok(String::new());
        };
        let taken = length.min(LONGEST).min(self.left);
        self.left -= taken;
        file.seek(SeekFrom::Start(range.end.offset - taken))?;
        let mut text = Vec::new();
        file.take(taken).read_to_end(&mut text)?;
        if taken == length {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        let whole = text.iter().position(|byte| *byte == b'\n');
        let rest = &text[whole.map_or(text.len(), |at| at + 1)..];
        let left_out = length - rest.len() as u64;
        let rest = String::from_utf8_lossy(rest);
        Ok(format!(
            "[{left_out} bytes of the log are left out]\n{rest}"
        ))
    }
}
