//! The bytes of a file on their way to a client.

use crate::bootfiles::transfers::{Outcome, Progress, Transfers};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use rustix::{buffer::spare_capacity, io::pread};
use std::{
    fs::File,
    io,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// Read at a time: enough that system calls do not count.
const CHUNK: usize = 256 * 1024;

/// What an answer carries.
pub(super) enum AnswerBody {
    /// Words for a person.
    Text(Option<Bytes>),
    /// Bytes of a file.
    File(FileBody),
}

/// A part of a file. Tells its transfer's end when it is dropped.
pub(super) struct FileBody {
    file: File,
    /// What is still to be read.
    left: Range<u64>,
    sent: u64,
    transfer: Option<Transfer>,
}

/// Where a transfer is told.
pub(super) struct Transfer {
    pub(super) progress: Arc<Progress>,
    pub(super) transfers: Transfers,
    /// Whether its connection was ended for being slow.
    pub(super) stalled: Arc<AtomicBool>,
}

impl FileBody {
    pub(super) fn new(file: File, range: Range<u64>, transfer: Transfer) -> Self {
        Self {
            file,
            left: range,
            sent: 0,
            transfer: Some(transfer),
        }
    }

    /// From the page cache: the job has just written these files.
    fn read(&mut self) -> io::Result<Bytes> {
        let left = self.left.end - self.left.start;
        let mut chunk = Vec::with_capacity(usize::try_from(left).map_or(CHUNK, |n| n.min(CHUNK)));
        let read = pread(&self.file, spare_capacity(&mut chunk), self.left.start)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter",
            ));
        }
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let length = chunk.len() as u64;
        self.left.start += length;
        self.sent += length;
        if let Some(transfer) = &self.transfer {
            transfer.progress.update(self.sent, 0);
        }
        Ok(Bytes::from(chunk))
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(transfer) = self.transfer.take() {
            transfer.transfers.end(&transfer.progress, outcome);
        }
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        let stalled = self
            .transfer
            .as_ref()
            .is_some_and(|transfer| transfer.stalled.load(Ordering::Relaxed));
        let outcome = if self.left.is_empty() && !stalled {
            Outcome::Done
        } else if stalled {
            Outcome::Failed("the client stopped reading".to_owned())
        } else {
            Outcome::Failed("the client closed the connection".to_owned())
        };
        self.end(outcome);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = match self.get_mut() {
            Self::Text(text) => text.take().map(Ok),
            Self::File(file) if file.left.is_empty() => None,
            Self::File(file) => Some(file.read().inspect_err(|error| {
                file.end(Outcome::Failed(error.to_string()));
            })),
        };
        Poll::Ready(frame.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::File(file) => file.left.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            Self::File(file) => file.left.end - file.left.start,
        })
    }
}
