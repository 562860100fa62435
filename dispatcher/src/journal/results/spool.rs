//! The results of a job, kept in order: a few in memory, many in an unnamed temporary file.

use super::super::{JournalError, lava_log::LineRange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::SpooledTempFile;

/// Results beyond this many bytes go to a file: a board may print what it likes.
const IN_MEMORY: usize = 1 << 20;

/// One result, secrets masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    /// Index of its suite.
    pub(super) suite: usize,
    /// When it was reported.
    pub(super) at_micros: u64,
    /// LAVA's record, without line numbers.
    pub(super) record: Map<String, Value>,
    /// The lines of the log that belong to it, when it is a test case.
    pub(super) lines: Option<LineRange>,
    /// Why it is what it is.
    pub(super) reason: Option<String>,
}

impl Case {
    pub(super) fn text(&self, name: &str) -> &str {
        self.record
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.text("case")
    }

    pub(super) fn result(&self) -> &str {
        self.text("result")
    }

    pub(super) fn measurement(&self) -> Option<f64> {
        self.record.get("measurement")?.as_f64()
    }

    /// In seconds, as exact as LAVA's record.
    pub(super) fn duration(&self) -> Option<f64> {
        self.record.get("duration")?.as_str()?.parse().ok()
    }

    /// The same as a time; none is zero.
    pub(super) fn time(&self) -> Duration {
        let seconds = self.duration().unwrap_or_default();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// All results.
#[derive(Debug)]
pub(super) struct Spool {
    file: SpooledTempFile,
    directory: PathBuf,
    line: Vec<u8>,
    failed: Option<io::Error>,
}

impl Spool {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            file: tempfile::spooled_tempfile_in(IN_MEMORY, directory),
            directory: directory.to_owned(),
            line: Vec::new(),
            failed: None,
        }
    }

    /// Adds a result. An error shows when the results are read.
    pub(super) fn push(&mut self, case: &Case) {
        if self.failed.is_some() {
            return;
        }
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, case)
            .map_err(io::Error::from)
            .and_then(|()| {
                self.line.push(b'\n');
                self.file.write_all(&self.line)
            });
        self.failed = written.err();
    }

    /// Gives every result to `visit`, in order.
    pub(super) fn each(
        &mut self,
        mut visit: impl FnMut(u64, Case) -> io::Result<()>,
    ) -> Result<(), JournalError> {
        self.read(&mut visit)
            .map_err(|error| JournalError::io(&self.directory, error))
    }

    fn read(&mut self, visit: &mut impl FnMut(u64, Case) -> io::Result<()>) -> io::Result<()> {
        if let Some(error) = &self.failed {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        self.file.seek(SeekFrom::Start(0))?;
        let mut lines = BufReader::new(&mut self.file);
        let mut line = Vec::new();
        let mut number = 0;
        while lines.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            visit(number, serde_json::from_slice(&line)?)?;
            line.clear();
        }
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }
}
