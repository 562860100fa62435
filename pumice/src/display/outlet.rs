//! Standard output, written by a thread of its own: whoever reads it may be slow, or stop reading.

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    stdio::stdout,
};
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

/// A reader that takes nothing for this long is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Written at once, so that a slow reader is told from one that stopped.
const PIECE: usize = 16 << 10;

/// The writing end; it belongs to the thread.
pub(super) struct Outlet {
    written: Arc<AtomicU64>,
    _ended: Sender<()>,
}

/// What the other threads know of it.
pub(super) struct Watch {
    written: Arc<AtomicU64>,
    ended: Mutex<Receiver<()>>,
}

/// An outlet and who watches it.
pub(super) fn outlet() -> (Outlet, Watch) {
    let written = Arc::new(AtomicU64::new(0));
    let (sender, ended) = channel();
    let outlet = Outlet {
        written: Arc::clone(&written),
        _ended: sender,
    };
    let ended = Mutex::new(ended);
    (outlet, Watch { written, ended })
}

impl Outlet {
    /// Writes everything, however long that takes.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            let mut rest = piece;
            while !rest.is_empty() {
                match rustix::io::write(stdout(), rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(length) => rest = &rest[length..],
                    Err(Errno::INTR) => {}
                    // Somebody else who has this file made it non-blocking.
                    Err(Errno::AGAIN) => wait_until_writable()?,
                    Err(error) => return Err(error.into()),
                }
                self.written.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

fn wait_until_writable() -> io::Result<()> {
    let stdout = stdout();
    let mut files = [PollFd::new(&stdout, PollFlags::OUT)];
    match poll(&mut files, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Watch {
    /// A number that changes when somebody reads.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits until the thread has ended; gives up on a reader that takes nothing.
    pub(super) fn wait(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let before = self.written();
            match ended.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Timeout) if self.written() != before => {}
                _ => return,
            }
        }
    }
}
