//! Fetches files: in parallel, resumed, cached by content, checked and decompressed while streaming.
//!
//! Deploy actions talk to [`Downloader`]: [`preflight`](Downloader::preflight) asks for all files of
//! a job at once before anything is touched, [`fetch`](Downloader::fetch) brings one of them. What
//! blocks (hashing, decompressing, unpacking) runs on the runtime's blocking threads, fed through a
//! short queue, so that memory stays small whatever is fetched.
//!
//! This module never decides when an action is retried as a whole, never logs, never shows a
//! secret of a URL or the value of a header, and never changes a file it did not make itself.

mod cache;
mod checksum;
mod failure;
mod http;
mod local;
mod location;
mod options;
mod preflight;
mod remote;
mod retry;
mod sink;
pub mod text;
mod unpack;

pub use location::masked;
pub use options::{CacheOptions, DownloadLimits, DownloaderOptions, RemoteCache, RemoteCacheError};
pub use preflight::Problem;

use cache::Cache;
use failure::Failure;
use http::Http;
use job::Fault;
use location::Location;
use plan::step::Download;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// Fetches files for jobs. One per process; it costs nothing until it is used.
#[derive(Debug)]
pub struct Downloader {
    options: DownloaderOptions,
    http: Http,
    cache: Option<Cache>,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is: decompressed, when that was asked for.
    pub path: PathBuf,
    /// Bytes that were fetched, before decompression.
    pub size: u64,
    /// SHA-256 of those bytes, in hexadecimal.
    pub sha256: String,
    /// How long it took.
    pub duration: Duration,
    /// The directory a tar archive was unpacked into, when that was asked for.
    pub unpacked: Option<PathBuf>,
    /// Whether the bytes came out of the local cache.
    pub from_cache: bool,
    /// The declared digests that were compared, LAVA's key (`sha256sum`) and value.
    pub verified: Vec<(&'static str, String)>,
}

/// What happens during [`Downloader::fetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Bytes are about to come. Told again when a transfer has to start anew.
    Started {
        /// Size of the file, when it is known beforehand.
        total: Option<u64>,
    },
    /// Bytes came.
    Advanced {
        /// Bytes so far.
        done: u64,
        /// Size of the file, when it is known beforehand.
        total: Option<u64>,
    },
    /// Something failed that may pass: there is another attempt.
    Retrying {
        /// What failed, secrets masked.
        reason: String,
        /// How long until then.
        wait: Duration,
    },
    /// Something a reader of the log should know, secrets masked.
    Note(String),
}

/// How progress is told: never from another thread, never after `fetch` has returned.
pub type OnProgress<'a> = dyn FnMut(Progress) + 'a;

impl Downloader {
    /// A downloader. Nothing is opened, connected or created yet.
    pub fn new(options: DownloaderOptions) -> Self {
        Self {
            http: Http::new(&options),
            cache: options.cache.clone().map(Cache::new),
            options,
        }
    }

    /// Where [`fetch`](Self::fetch) will leave the file: LAVA's `saving as`.
    ///
    /// # Errors
    /// A fault of the job when its URL, label or compression make no sense.
    pub fn destination(
        &self,
        download: &Download,
        deploy_directory: &Path,
    ) -> Result<PathBuf, Fault> {
        Location::of(download)
            .and_then(|location| location.destination(download, deploy_directory))
            .map_err(|failure| failure.into_fault(download))
    }

    /// Fetches one file into the deploy's directory.
    ///
    /// Digests are compared before the file appears under its name. The file is the job's own copy:
    /// it may be changed without harm to the cache.
    ///
    /// Cancellation safe: dropping the future removes what was written for this job; a partial
    /// transfer stays in the cache to be resumed. (An archive being unpacked is removed by its
    /// thread a moment later; a runtime that shuts down waits for that.)
    ///
    /// # Errors
    /// A fault of the job: the file is gone, its digest is another, its archive is unusable, it is
    /// larger than the limits. A fault of the infrastructure: the server cannot be reached, breaks
    /// off or fails for longer than the retries last, the disk is full, or `deadline` passes.
    pub async fn fetch(
        &self,
        download: &Download,
        deploy_directory: &Path,
        deadline: Instant,
        progress: &mut OnProgress<'_>,
    ) -> Result<Fetched, Fault> {
        let started = Instant::now();
        let work = Box::pin(self.fetch_inner(download, deploy_directory, deadline, progress));
        let result = match timeout_at(deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Deadline {
                allowed: deadline - started,
            }),
        };
        let mut fetched = result.map_err(|failure| failure.into_fault(download))?;
        fetched.duration = started.elapsed();
        Ok(fetched)
    }

    async fn fetch_inner(
        &self,
        download: &Download,
        deploy_directory: &Path,
        deadline: Instant,
        progress: &mut OnProgress<'_>,
    ) -> Result<Fetched, Failure> {
        let location = Location::of(download)?;
        let destination = location.destination(download, deploy_directory)?;
        let parent = destination.parent().unwrap_or(deploy_directory);
        fs_err::create_dir_all(parent).map_err(|error| Failure::write(parent, error, None))?;
        let job = sink::OutputPlan::new(download, &destination, &self.options.limits)?;
        let brought = match &location {
            Location::File(path) => local::fetch(path, &job, progress).await?,
            Location::Http(url) => {
                remote::Transfer::new(self, url, download, &job, deadline)
                    .run(progress)
                    .await?
            }
        };
        let verified = brought.digests.verified(&download.checksums);
        let unpacked = if download.unpack_tar {
            let directory = unpack::directory(&destination, &download.label);
            let limits = self.options.limits.archive;
            let (directory, unpacked) = unpack::tar(&destination, directory, limits).await?;
            if unpacked.skipped_count > 0 {
                progress(Progress::Note(format!(
                    "{} device nodes and the like were left out",
                    unpacked.skipped_count
                )));
            }
            Some(directory)
        } else {
            None
        };
        Ok(Fetched {
            path: destination,
            size: brought.size,
            sha256: brought.digests.sha256,
            duration: Duration::ZERO,
            unpacked,
            from_cache: brought.from_cache,
            verified,
        })
    }
}
