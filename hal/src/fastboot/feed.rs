//! The reading side of a download: a thread that reads ahead while the transport sends.
//!
//! Used by the client alone. It holds at most a few buffers, whatever the size of the download.

use super::protocol::shorten;
use crate::error::{ErrorKind, HalError};
use std::io::{self, Read};
use tokio::sync::mpsc;

/// How many buffers wait between reader and transport.
const AHEAD: usize = 4;

/// The bytes of a download, as they are read.
#[derive(Debug)]
pub(super) struct Feed {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
}

impl Feed {
    /// Reads `size` bytes of `reader` in chunks of `chunk` bytes, on a thread for blocking work.
    /// The thread ends when the feed is dropped, once the read it is in returns.
    pub(super) fn start(mut reader: Box<dyn Read + Send>, size: u64, chunk: usize) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut left = size;
            while left > 0 {
                // Not more than `chunk`, which is a usize.
                let mut buffer = vec![0; left.min(chunk as u64) as usize];
                let read = reader.read_exact(&mut buffer).map(|()| buffer);
                let failed = read.is_err();
                left -= left.min(chunk as u64);
                if sender.blocking_send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self { chunks }
    }

    /// The next chunk; `None` after the last one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.chunks.recv().await
    }
}

/// The error for a source that could not be read to its announced end.
pub(super) fn source_failed(device: &str, error: io::Error) -> HalError {
    if error.kind() != io::ErrorKind::UnexpectedEof {
        return HalError::from_io("read", "the image to download", error);
    }
    let message = format!(
        "the image for {} ended before its announced size",
        shorten(device, 80)
    );
    HalError::new(ErrorKind::InvalidInput, device, message)
}
