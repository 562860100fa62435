//! The file that a console's output goes to.

use fs_err::{File, OpenOptions};
use jiff::Timestamp;
use std::{
    io::{self, Write},
    path::Path,
};

/// A log: the bytes as they came, or with the time before each line.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    timestamps: bool,
    at_line_start: bool,
}

impl Log {
    /// Continues the log at `path`, or begins it.
    pub(crate) fn append(path: &Path, timestamps: bool) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self {
            file,
            timestamps,
            at_line_start: true,
        })
    }

    /// Writes what the board printed now.
    pub(crate) fn output(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.timestamps {
            return self.file.write_all(bytes);
        }
        let now = now();
        let mut text = Vec::with_capacity(bytes.len() + 64);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.at_line_start {
                text.extend_from_slice(now.as_bytes());
            }
            text.extend_from_slice(line);
            self.at_line_start = line.ends_with(b"\n");
        }
        self.file.write_all(&text)
    }

    /// Writes what happened to the console, in a line of its own. Only with times: without them the
    /// log has the board's bytes and nothing else.
    pub(crate) fn event(&mut self, text: &str) -> io::Result<()> {
        if !self.timestamps {
            return Ok(());
        }
        let end = if self.at_line_start { "" } else { "\n" };
        self.at_line_start = true;
        self.file
            .write_all(format!("{end}{}--- {text}\n", now()).as_bytes())
    }
}

/// The time in UTC, to the millisecond, and a blank.
fn now() -> String {
    format!("{:.3} ", Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_the_time_wherever_they_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::append(&path, true).unwrap();
        for piece in ["U-Boot 20", "25\r\n=> ", "reset\r\n"] {
            log.output(piece.as_bytes()).unwrap();
        }
        log.output(b"half").unwrap();
        log.event("power off").unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        let rest: Vec<&str> = text.split_inclusive('\n').map(|line| &line[25..]).collect();
        assert_eq!(
            rest,
            [
                "U-Boot 2025\r\n",
                "=> reset\r\n",
                "half\n",
                "--- power off\n"
            ]
        );
        assert!(
            text.lines().all(|line| line.as_bytes()[23] == b'Z'),
            "{text}"
        );
    }

    #[test]
    fn without_times_it_is_what_the_board_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for _ in 0..2 {
            let mut log = Log::append(&path, false).unwrap();
            log.output(b"\xff\x00half").unwrap();
            log.event("power off").unwrap();
        }
        assert_eq!(fs_err::read(path).unwrap(), b"\xff\x00half\xff\x00half");
    }
}
