//! What can be wrong with an archive, and whose fault that is.

use super::compression::SourceError;
use job::Fault;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why an archive could not be taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It stops before its end.
    #[error("it ends in the middle{}", in_member(.member.as_deref()))]
    Truncated {
        /// The member that is incomplete, when one was begun.
        member: Option<String>,
    },
    /// It is not what it claims to be.
    #[error("it is damaged or of another kind: {detail}")]
    Corrupt {
        /// What is wrong.
        detail: String,
    },
    /// A member would have been written outside the directory.
    #[error("its member `{member}` climbs out of its directory: {reason}")]
    Escapes {
        /// The member's name.
        member: String,
        /// How it tries.
        reason: &'static str,
    },
    /// A member needs something this version does not do.
    #[error("its member `{member}` is {what}, which is not supported")]
    Unsupported {
        /// The member's name.
        member: String,
        /// What it is.
        what: &'static str,
    },
    /// A zip file that holds none or several files.
    #[error("it holds {members} files where exactly one is expected")]
    NotSingle {
        /// How many.
        members: usize,
    },
    /// More members than [`Limits`](super::Limits) allows.
    #[error("it holds more than {limit} members")]
    TooManyMembers {
        /// The limit.
        limit: u64,
    },
    /// More bytes than the limit allows.
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// What is to be unpacked cannot be read; the reader's own error.
    #[error("it cannot be read")]
    Input(#[source] io::Error),
    /// What was unpacked cannot be written.
    #[error("cannot write {}", .path.display())]
    Output {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ArchiveError {
    /// Sorts an error of a reader: one of the data, or one of what delivers them.
    pub(crate) fn from_read(error: io::Error, member: Option<&str>) -> Self {
        match SourceError::recover(error) {
            Err(source) => Self::Input(source),
            Ok(data) => match data.kind() {
                io::ErrorKind::UnexpectedEof => Self::Truncated {
                    member: member.map(printable),
                },
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::Corrupt {
                    detail: data.to_string(),
                },
                _ => Self::Input(data),
            },
        }
    }

    /// The fault of a job that needed the archive; `archive` names it for a reader (`rootfs from
    /// http://…`).
    ///
    /// A bad archive is the job's fault; a disk that takes no more is the lab's.
    pub fn into_fault(self, archive: &str) -> Fault {
        match self {
            Self::Output { path, source } => write_fault(&path, &source, None),
            Self::Input(source) => {
                Fault::infrastructure(format!("the archive {archive} cannot be read: {source}"))
            }
            other => {
                let hint = other.hint();
                let fault = Fault::job(format!("the archive {archive} is unusable: {other}"));
                match hint {
                    Some(hint) => fault.with_hint(hint),
                    None => fault,
                }
            }
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Truncated { .. } => "it was probably cut while it was made or uploaded",
            Self::Corrupt { .. } => "check that `compression` and `archive` say what the file is",
            Self::Escapes { .. } => {
                "pack it anew with relative names and without links that leave it"
            }
            Self::Unsupported { .. } => {
                "pack it anew without that member, or without `tar --sparse`"
            }
            Self::NotSingle { .. } => "pack that one file by itself",
            Self::TooManyMembers { .. } | Self::TooLarge { .. } => {
                "it may be a decompression bomb; if not, raise the limit of downloads"
            }
            Self::Input(_) | Self::Output { .. } => return None,
        })
    }
}

/// The fault of a write that failed: for a full disk, where it is and how much was wanted.
pub(crate) fn write_fault(path: &Path, error: &io::Error, needed: Option<u64>) -> Fault {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    if !full {
        return Fault::infrastructure(format!("cannot write {}: {error}", path.display()));
    }
    let free = path
        .parent()
        .and_then(|parent| rustix::fs::statvfs(parent).ok())
        .map(|stat| {
            format!(
                ", {} bytes are free there",
                stat.f_bavail.saturating_mul(stat.f_frsize)
            )
        });
    let needed = needed.map(|bytes| format!(", {bytes} bytes are needed"));
    Fault::infrastructure(format!(
        "no room left to write {}{}{} ({error})",
        path.display(),
        needed.unwrap_or_default(),
        free.unwrap_or_default()
    ))
    .with_hint("make room on that file system or let the job's directory live elsewhere")
}

/// A name from an archive, safe to show: escaped and cut.
pub(super) fn printable(name: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown: String = name
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn in_member(member: Option<&str>) -> String {
    member
        .map(|member| format!(" of its member `{member}`"))
        .unwrap_or_default()
}
