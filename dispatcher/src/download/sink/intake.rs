//! All bytes of a download on their way in, wherever they come from.

use super::{Chunk, OutputPlan, Source, Written};
use crate::download::{checksum::Hashers, failure::Failure};
use bytes::{Buf, Bytes};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::mpsc;

/// Bytes between two notes of progress about a local file.
const PROGRESS_STEP: u64 = 1 << 20;

/// Hashes, counts and keeps what is read through it.
pub(super) struct Intake {
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
    failure: Option<Failure>,
}

impl Intake {
    /// Bytes from `source`, hashed for `plan`, and also written to `keep`.
    pub(super) fn new(
        source: Source,
        plan: &OutputPlan,
        keep: Option<File>,
        canceled: Arc<AtomicBool>,
    ) -> Self {
        let (reader, kept_before, path, progress) = match source {
            Source::File {
                file,
                path,
                progress,
            } => (Reader::File(file), 0, path, Some(progress)),
            Source::Queue { ahead, chunks } => {
                let kept = ahead.as_ref().map_or(0, |(_, length)| *length);
                let current = Bytes::new();
                let queue = Queue {
                    ahead,
                    read: 0,
                    chunks,
                    current,
                    ended: false,
                };
                (Reader::Queue(queue), kept, plan.destination.clone(), None)
            }
        };
        Self {
            reader,
            path,
            hashers: Hashers::new(&plan.checksums),
            count: 0,
            limit: plan.limits.fetched_bytes,
            kept_before,
            keeps: keep.is_some(),
            keep,
            canceled,
            progress,
            told: 0,
            failure: None,
        }
    }

    /// The failure behind an error this reader gave, which a decoder may have wrapped.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// What came, once all of it was read.
    pub(super) fn finish(self) -> Written {
        Written {
            digests: self.hashers.finish(),
            size: self.count,
            kept: self.keeps && self.keep.is_some(),
        }
    }

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
