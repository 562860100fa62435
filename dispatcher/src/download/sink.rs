//! The blocking side of a download: hashes, keeps, decompresses and writes what comes.
//!
//! It runs on a blocking thread and gets its bytes from a file or through a short queue. What it
//! writes is a temporary file beside the destination, owned by the asynchronous side: when that is
//! dropped, the file goes at once and the thread, which only holds it open, ends by itself.

mod intake;
mod work;

use super::{DownloadLimits, checksum::Digests, failure::Failure, location::compression};
use crate::archive::{Compression, extract_only_member};
use bytes::Bytes;
use plan::step::{Checksums, Download};
use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempPath;
use tokio::{sync::mpsc, task::JoinHandle};
use work::Work;

/// Chunks between the network and the disk. The client's chunks have at most 400 KiB, so a
/// download never holds more than about 2 MiB.
pub(super) const QUEUE: usize = 4;

/// What becomes of the bytes of one download.
#[derive(Clone, Debug)]
pub(super) struct OutputPlan {
    /// The path of the result.
    pub(super) destination: PathBuf,
    compression: Option<Compression>,
    pub(super) checksums: Checksums,
    limits: DownloadLimits,
}

/// A message to a sink that is fed.
pub(super) enum Chunk {
    /// The next bytes.
    Data(Bytes),
    /// That was all. A queue that closes without it means that nobody wants the file any more.
    End,
}

/// Where bytes come from.
pub(super) enum Source {
    /// A local file.
    File {
        file: File,
        path: PathBuf,
        progress: mpsc::Sender<u64>,
    },
    /// A transfer: first so many bytes of what an earlier one left, then what comes.
    Queue {
        ahead: Option<(File, u64)>,
        chunks: mpsc::Receiver<Chunk>,
    },
}

/// A sink at work.
pub(super) struct Sink {
    thread: JoinHandle<Result<Written, Failure>>,
    output: TempPath,
    canceled: Cancel,
}

/// What a sink wrote.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) digests: Digests,
    /// Bytes that came, before decompression.
    pub(super) size: u64,
    /// Whether all of them are in the kept file too.
    pub(super) kept: bool,
}

/// What a download brought.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) digests: Digests,
    pub(super) size: u64,
    pub(super) from_cache: bool,
}

/// A file that a thread reads until nobody wants it any more.
pub(super) struct Stoppable<R> {
    pub(super) input: R,
    pub(super) canceled: Arc<AtomicBool>,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.canceled.load(Ordering::Relaxed) {
            return Err(io::Error::other("canceled"));
        }
        self.input.read(buffer)
    }
}

impl<R: Seek> Seek for Stoppable<R> {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.input.seek(position)
    }
}

/// Tells the thread to stop when it is dropped.
#[derive(Default)]
pub(super) struct Cancel(pub(super) Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl OutputPlan {
    pub(super) fn new(
        download: &Download,
        destination: &Path,
        limits: &DownloadLimits,
    ) -> Result<Self, Failure> {
        Ok(Self {
            destination: destination.to_owned(),
            compression: compression(download)?.filter(|_| download.decompress),
            checksums: download.checksums.clone(),
            limits: *limits,
        })
    }

    /// The directory of the result.
    pub(super) fn directory(&self) -> &Path {
        self.destination.parent().unwrap_or(Path::new("/"))
    }

    fn temporary(&self) -> Result<(File, TempPath), Failure> {
        let temporary = tempfile::Builder::new()
            .prefix(".download-")
            .tempfile_in(self.directory())
            .map_err(|error| Failure::write(&self.destination, error, None))?;
        Ok(temporary.into_parts())
    }

    /// Starts the thread. `total` is the size of what comes, as far as it is known; `keep` gets a
    /// copy of it.
    pub(super) fn start(
        &self,
        source: Source,
        keep: Option<File>,
        total: Option<u64>,
    ) -> Result<Sink, Failure> {
        let (output, path) = self.temporary()?;
        let canceled = Cancel::default();
        let work = Work {
            source,
            output,
            keep,
            total,
            plan: self.clone(),
            canceled: Arc::clone(&canceled.0),
        };
        let thread = crate::blocking::spawn(move || work.run());
        Ok(Sink {
            thread,
            output: path,
            canceled,
        })
    }

    /// Compares the digests and gives the file its name.
    pub(super) async fn publish(&self, written: &Written, output: TempPath) -> Result<(), Failure> {
        written.digests.check(&self.checksums)?;
        let output = match self.compression {
            Some(Compression::Zip) => self.extract(output).await?,
            _ => output,
        };
        let failed = |error| Failure::write(&self.destination, error, None);
        // The files of a job are served to its board by other users' programs.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs_err::set_permissions(&output, readable).map_err(failed)?;
        output
            .persist(&self.destination)
            .map_err(|error| failed(error.error))
    }

    async fn extract(&self, archive: TempPath) -> Result<TempPath, Failure> {
        let (output, path) = self.temporary()?;
        let mut output = fs_err::File::from_parts(output, &self.destination);
        let destination = self.destination.clone();
        let limit = self.limits.decompressed_bytes;
        let input = fs_err::File::open(&archive).map_err(|error| Failure::Read {
            path: archive.to_path_buf(),
            error,
        })?;
        let canceled = Cancel::default();
        let input = Stoppable {
            input,
            canceled: Arc::clone(&canceled.0),
        };
        let extract = move || {
            extract_only_member(io::BufReader::new(input), &mut output, &destination, limit)
                .map(drop)
                .map_err(Failure::Archive)
        };
        crate::blocking::spawn(extract)
            .await
            .map_err(|_| Failure::Worker)??;
        Ok(path)
    }
}

impl Sink {
    /// Waits for the thread. What it wrote goes with the path that comes back.
    ///
    /// Cancellation safe: dropping it stops the thread and removes the file.
    pub(super) async fn finish(self) -> Result<(Written, TempPath), Failure> {
        let Self {
            thread,
            output,
            canceled,
        } = self;
        let written = thread.await.map_err(|_| Failure::Worker)??;
        drop(canceled);
        Ok((written, output))
    }

    /// Stops the thread and waits for its end, after which nothing writes to the kept file.
    pub(super) async fn abort(self) {
        let Self {
            thread,
            output,
            canceled,
        } = self;
        drop(canceled);
        let _ = thread.await;
        drop(output);
    }
}
