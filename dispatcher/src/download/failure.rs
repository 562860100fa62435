//! What goes wrong with downloads, whether it may pass, and whose fault it is.

use super::{location::masked, text::megabytes};
use crate::archive::{ArchiveError, UnknownCompression, write_fault};
use job::Fault;
use plan::step::Download;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Statuses that a later attempt may do without. LAVA 2026.07 retries after exactly these.
const TRANSIENT: [u16; 14] = [
    408, 413, 420, 425, 429, 430, 500, 502, 503, 504, 507, 509, 529, 598,
];

/// Why a file was not fetched. Texts follow "…: ".
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("its URL makes no sense: {detail}")]
    BadUrl { detail: String },
    #[error("unsupported URL scheme `{scheme}`")]
    Scheme { scheme: String },
    #[error("`{name}` cannot name a file or directory")]
    BadName { name: String },
    #[error(transparent)]
    Compression(UnknownCompression),
    #[error("the header `{name}` cannot be sent")]
    Header { name: String },
    #[error("the server cannot be reached: {detail}")]
    Unreachable { detail: String, unknown_host: bool },
    #[error("the server's certificate is not accepted: {detail}")]
    Certificate { detail: String },
    #[error("this host has no usable certificates of authorities: {detail}")]
    NoAuthorities { detail: String },
    #[error("the server answered {status}{}", reason(*status))]
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    #[error("the server redirects more than {limit} times")]
    Redirects { limit: u32 },
    #[error("the server redirects to `{target}`, which is no web address")]
    BadRedirect { target: String },
    #[error("the connection broke: {detail}")]
    Broken { detail: String },
    #[error("the server sent nothing for {} s", .after.as_secs_f64())]
    Stalled { after: Duration },
    #[error("the transfer ended after {received} of {total} bytes")]
    Incomplete { received: u64, total: u64 },
    #[error("it changed on the server while it was fetched")]
    Changed,
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("its {algorithm} is {actual}, the job expects {expected}")]
    Checksum {
        algorithm: &'static str,
        expected: String,
        actual: String,
    },
    #[error("the file is damaged or of another kind: {0}")]
    Archive(ArchiveError),
    #[error("{} cannot be read: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is no regular file", .path.display())]
    NotAFile { path: PathBuf },
    #[error("{} cannot be read any further: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{} cannot be written: {error}", .path.display())]
    Write {
        path: PathBuf,
        error: io::Error,
        needed: Option<u64>,
    },
    #[error("there was no time left")]
    Deadline { allowed: Duration },
    #[error("{last} ({attempts} attempts)")]
    GivenUp { attempts: u32, last: Box<Self> },
    #[error("a worker thread ended unexpectedly")]
    Worker,
}

impl Failure {
    pub(super) fn write(path: &Path, error: io::Error, needed: Option<u64>) -> Self {
        Self::Write {
            path: path.to_owned(),
            error,
            needed,
        }
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => TRANSIENT.contains(status),
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Stalled { .. }
            | Self::Incomplete { .. }
            | Self::Changed => true,
            _ => false,
        }
    }

    /// Whether the host does not even exist: not worth many attempts.
    pub(super) fn is_unknown_host(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                unknown_host: true,
                ..
            }
        )
    }

    /// Whether the bytes that came are worth nothing, be it because some of them are of an earlier
    /// transfer and do not belong here.
    pub(super) fn doubts_the_bytes(&self) -> bool {
        matches!(
            self,
            Self::Checksum { .. } | Self::Archive(_) | Self::TooLarge { .. }
        )
    }

    /// Whether another server may do better.
    pub(super) fn is_the_servers(&self) -> bool {
        self.is_transient()
            || matches!(
                self,
                Self::Status { .. }
                    | Self::Certificate { .. }
                    | Self::NoAuthorities { .. }
                    | Self::Redirects { .. }
                    | Self::BadRedirect { .. }
                    | Self::GivenUp { .. }
            )
    }

    /// How long the server asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The fault of a job that wanted this file.
    pub(super) fn into_fault(self, download: &Download) -> Fault {
        let url = masked(&download.url);
        let subject = format!("{} from {url}", download.label);
        let failed = |failure: &Self| format!("cannot download {subject}: {failure}");
        match self {
            Self::Write { path, error, needed } => write_fault(&path, &error, needed),
            Self::Archive(error) => error.into_fault(&subject),
            Self::Checksum { .. } => Fault::job(format!("wrong checksum: {}", failed(&self))).with_hint(
                "the file on the server changed, or the job has the digest of another one; digests \
                 are those of the file as it is served, before it is decompressed",
            ),
            Self::Deadline { allowed } => {
                Fault::infrastructure(failed(&self)).with_timeout(allowed).with_hint(
                    "raise the timeout of this action, or move the file closer to the lab",
                )
            }
            Self::GivenUp { attempts, last } => {
                let mut fault = last.into_fault(download);
                fault.message.push_str(&format!(" (after {attempts} attempts)"));
                fault
            }
            failure => {
                let message = failed(&failure);
                let fault = if failure.is_the_jobs() {
                    Fault::job(message)
                } else if matches!(failure, Self::Worker) {
                    Fault::bug(message)
                } else {
                    Fault::infrastructure(message)
                };
                match failure.hint() {
                    Some(hint) => fault.with_hint(hint),
                    None => fault,
                }
            }
        }
    }

    fn is_the_jobs(&self) -> bool {
        match self {
            Self::BadUrl { .. }
            | Self::Scheme { .. }
            | Self::BadName { .. }
            | Self::Compression(_)
            | Self::Header { .. }
            | Self::Redirects { .. }
            | Self::BadRedirect { .. }
            | Self::TooLarge { .. }
            | Self::File { .. }
            | Self::NotAFile { .. } => true,
            // Asking for what is not there or not allowed is the job's, the rest the server's.
            Self::Status { status, .. } => {
                (400..500).contains(status) && *status != 407 && !TRANSIENT.contains(status)
            }
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Scheme { .. } => "http, https and file are supported".into(),
            Self::Status {
                status: 404 | 410, ..
            } => {
                "it is gone: builds are often kept for some weeks only; use the URL of a newer one"
                    .into()
            }
            Self::Status {
                status: 401 | 403, ..
            } => "give the server's credentials under `headers` of the download".into(),
            Self::Status { status: 407, .. } => {
                "the proxy of this host's environment wants a user and password".into()
            }
            Self::Unreachable {
                unknown_host: true, ..
            } => "check the host's name in the URL and the name servers of this host".into(),
            Self::Unreachable { .. } => {
                "check that the server runs and that this host may reach it".into()
            }
            Self::Certificate { .. } => {
                "add the lab's own authority to this host's certificates, or set SSL_CERT_FILE"
                    .into()
            }
            Self::NoAuthorities { .. } => {
                "install the package ca-certificates, or set SSL_CERT_FILE".into()
            }
            Self::Redirects { .. } => "open the URL in a browser: it probably wants a login".into(),
            Self::Stalled { .. } | Self::Broken { .. } | Self::Incomplete { .. } => {
                "look at the server and the network between; what came is kept for the next attempt"
                    .into()
            }
            Self::TooLarge { limit } => {
                format!(
                    "raise the limit of downloads ({}) if it is right",
                    megabytes(*limit)
                )
            }
            Self::File { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that runs jobs read it".into()
            }
            Self::File { .. } => "file URLs are paths on the host that runs the job".into(),
            _ => return None,
        })
    }
}

fn reason(status: u16) -> String {
    reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}
