//! The blocking side of a download: hashes, keeps, decompresses and writes what comes.
//!
//! It runs on a blocking thread and gets its bytes from a file or through a short queue. What it
//! writes is a temporary file beside the destination, owned by the asynchronous side: when that is
//! dropped, the file goes at once and the thread, which only holds it open, ends by itself.

use super::{
    DownloadLimits,
    checksum::{Digests, Hashers},
    failure::Failure,
    location::compression,
};
use crate::archive::{ArchiveError, Compression, extract_only_member};
use bytes::{Buf, Bytes};
use plan::step::{Checksums, Download};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempPath;
use tokio::{sync::mpsc, task::JoinHandle};

/// How much is moved at once.
const COPY_BUFFER: usize = 64 << 10;

/// Bytes between two notes of progress about a local file.
const PROGRESS_STEP: u64 = 1 << 20;

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
        let thread = tokio::task::spawn_blocking(move || work.run());
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
        tokio::task::spawn_blocking(extract)
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

struct Work {
    source: Source,
    output: File,
    keep: Option<File>,
    total: Option<u64>,
    plan: OutputPlan,
    canceled: Arc<AtomicBool>,
}

impl Work {
    fn run(self) -> Result<Written, Failure> {
        let Self {
            source,
            mut output,
            keep,
            total,
            plan,
            canceled,
        } = self;
        let mut hashed_only = false;
        let decode = plan.compression.filter(|&kind| kind != Compression::Zip);
        let (reader, kept, path, progress) = match source {
            Source::File {
                file,
                path,
                progress,
            } => {
                // A file system that shares blocks copies nothing; what it made is then hashed.
                let shared = decode.is_none() && rustix::fs::ioctl_ficlone(&output, &file).is_ok();
                let reader = if shared {
                    hashed_only = true;
                    output
                        .try_clone()
                        .map_err(|error| Failure::write(&plan.destination, error, total))?
                } else {
                    file
                };
                (Reader::File(reader), 0, path, Some(progress))
            }
            Source::Queue { ahead, chunks } => {
                let kept = ahead.as_ref().map_or(0, |(_, length)| *length);
                let queue = Queue {
                    ahead,
                    read: 0,
                    chunks,
                    current: Bytes::new(),
                    ended: false,
                };
                (Reader::Queue(queue), kept, plan.destination.clone(), None)
            }
        };
        let mut intake = Intake {
            reader,
            path,
            hashers: Hashers::new(&plan.checksums),
            count: 0,
            limit: plan.limits.fetched_bytes,
            kept_before: kept,
            keeps: keep.is_some(),
            keep,
            canceled,
            progress,
            told: 0,
            failure: None,
        };
        let moved = match decode {
            None if hashed_only => copy(&mut intake, &mut io::sink(), u64::MAX),
            None => copy(&mut intake, &mut output, u64::MAX),
            Some(kind) => decompress(
                kind,
                &mut intake,
                &mut output,
                plan.limits.decompressed_bytes,
            ),
        };
        match moved {
            Ok(()) => Ok(Written {
                digests: intake.hashers.finish(),
                size: intake.count,
                kept: intake.keeps && intake.keep.is_some(),
            }),
            Err(error) => Err(intake.failure.take().unwrap_or_else(|| match error {
                Moved::Read(error) => Failure::Archive(ArchiveError::from_read(error, None)),
                Moved::TooLarge(limit) => Failure::Archive(ArchiveError::TooLarge { limit }),
                Moved::Write(error) => Failure::write(&plan.destination, error, total),
            })),
        }
    }
}

/// Why moving bytes ended early.
enum Moved {
    Read(io::Error),
    Write(io::Error),
    TooLarge(u64),
}

fn decompress(
    kind: Compression,
    intake: &mut Intake,
    output: &mut File,
    limit: u64,
) -> Result<(), Moved> {
    if let Some(mut decoder) = kind.decoder(&mut *intake).map_err(Moved::Read)? {
        copy(&mut decoder, output, limit)?;
    }
    // Whatever a decoder leaves unread belongs to the digest all the same.
    copy(intake, &mut io::sink(), u64::MAX)
}

fn copy(input: &mut impl Read, output: &mut impl Write, limit: u64) -> Result<(), Moved> {
    let mut buffer = vec![0; COPY_BUFFER];
    let mut moved = 0_u64;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Moved::Read(error)),
        };
        moved += count as u64;
        if moved > limit {
            return Err(Moved::TooLarge(limit));
        }
        output.write_all(&buffer[..count]).map_err(Moved::Write)?;
    }
}

/// All bytes of a download on their way in: hashed, counted, kept.
struct Intake {
    reader: Reader,
    path: PathBuf,
    hashers: Hashers,
    count: u64,
    limit: u64,
    kept_before: u64,
    keeps: bool,
    keep: Option<File>,
    canceled: Arc<AtomicBool>,
    progress: Option<mpsc::Sender<u64>>,
    told: u64,
    /// The failure behind an error this reader gave, which a decoder may have wrapped.
    failure: Option<Failure>,
}

impl Intake {
    fn fail(&mut self, failure: Failure) -> io::Error {
        self.failure = Some(failure);
        io::Error::other("the download ended early")
    }

    fn keep(&mut self, bytes: &[u8]) {
        let at = self.count;
        if let Some(keep) = self.keep.as_ref().filter(|_| at >= self.kept_before)
            && keep.write_all_at(bytes, at).is_err()
        {
            // A full cache is no reason to fail a job: it only loses the copy.
            self.keep = None;
        }
    }
}

impl Read for Intake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.canceled.load(Ordering::Relaxed) {
            return Err(self.fail(Failure::Worker));
        }
        let count = match self.reader.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let path = self.path.clone();
                return Err(self.fail(Failure::Read { path, error }));
            }
        };
        let bytes = &buffer[..count];
        self.hashers.update(bytes);
        self.keep(bytes);
        self.count += count as u64;
        if self.count > self.limit {
            let limit = self.limit;
            return Err(self.fail(Failure::TooLarge { limit }));
        }
        if let Some(progress) = &self.progress
            && self.count - self.told >= PROGRESS_STEP
        {
            self.told = self.count;
            // A slow listener misses a note; the next one says more.
            let _ = progress.try_send(self.count);
        }
        Ok(count)
    }
}

enum Reader {
    File(File),
    Queue(Queue),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Queue(queue) => queue.read(buffer),
        }
    }
}

/// The kept bytes of an earlier transfer, then chunks as they come.
struct Queue {
    ahead: Option<(File, u64)>,
    read: u64,
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    /// A decoder may ask again after the end.
    ended: bool,
}

impl Read for Queue {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((ahead, length)) = self.ahead.as_ref().filter(|(_, end)| self.read < *end) {
            let part = buffer
                .len()
                .min(usize::try_from(length - self.read).unwrap_or(usize::MAX));
            let count = ahead.read_at(&mut buffer[..part], self.read)?;
            self.read += count as u64;
            return match count {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            };
        }
        while self.current.is_empty() {
            if self.ended {
                return Ok(0);
            }
            match self.chunks.blocking_recv() {
                Some(Chunk::Data(bytes)) => self.current = bytes,
                Some(Chunk::End) => self.ended = true,
                None => return Err(io::Error::other("nobody waits for it any more")),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
