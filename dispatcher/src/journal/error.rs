//! What can go wrong with a journal and its views.

use std::{io, path::PathBuf};
use wire::journal::frame::{DecodeError, EncodeError};

/// A journal, or a view on it, could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file could not be opened or read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a journal already.
    #[error("{directory} holds a job already", directory = .path.parent().unwrap_or(.path).display())]
    Exists {
        /// The journal that is there.
        path: PathBuf,
    },
    /// The disk is full. What was written before is whole, what was not is still in memory: the
    /// next commit goes on where this one stopped.
    #[error("{path}: no space left to write {pending} bytes", path = path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// How many bytes wait.
        pending: usize,
    },
    /// Another process runs this job.
    #[error("{path}: another process holds this journal, so its job is still running", path = path.display())]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// The file is not a journal, or a part of it is not what was written.
    #[error("{path}, byte {offset}: {source}", path = path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the first thing that is wrong begins.
        offset: u64,
        /// What is wrong.
        source: DecodeError,
    },
    /// The journal does not begin with a header record.
    #[error("{path}: the journal has no header, it was created but its job never began", path = path.display())]
    NoHeader {
        /// The journal.
        path: PathBuf,
    },
    /// A record cannot be written.
    #[error("{path}: {source}", path = path.display())]
    Record {
        /// The journal.
        path: PathBuf,
        /// Why not.
        source: EncodeError,
    },
}

impl JournalError {
    /// Whether the disk is full (or a quota used up), which is the lab's fault.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the directory holds a job already.
    pub fn is_used(&self) -> bool {
        matches!(self, Self::Exists { .. })
    }

    pub(super) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    /// The fault that ends the job when this happened to its journal or its logs.
    pub fn to_fault(&self) -> job::Fault {
        let fault = job::Fault::infrastructure(self.to_string());
        match self {
            Self::Full { .. } => fault.with_hint("make room on this file system, then resubmit"),
            Self::Exists { .. } => fault.with_hint("give each job an output directory of its own"),
            Self::Record { .. } | Self::Damaged { .. } => job::Fault::bug(self.to_string()),
            _ => fault,
        }
    }
}
