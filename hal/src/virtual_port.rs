//! The board's end of a serial line that does not exist: a pseudo-terminal which other programs
//! open as if it were a serial adapter.
//!
//! The virtual rack puts its boards behind one, and tests of serial consoles use it. Like an
//! adapter it is there whether its board is or not, and whether anybody has opened it or not.

use crate::{error::HalError, sys};
use rustix::{
    fs::inotify,
    io::Errno,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};
use std::{
    ffi::OsStr,
    fmt, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};
use tokio::io::{Interest, unix::AsyncFd};

/// A serial line of which this is the board's end.
///
/// All methods take `&self`, so that one task can wait for several of them at once. Dropping it
/// is unplugging the adapter: who has it open reads the end.
pub struct VirtualPort {
    board_end: AsyncFd<OwnedFd>,
    /// Held open, so that the line keeps its settings and is no hang-up when nobody else has it.
    other_end: OwnedFd,
    node: PathBuf,
    /// Tells when somebody opens or closes the other end.
    watch: AsyncFd<OwnedFd>,
    holders: AtomicU32,
}

impl VirtualPort {
    /// A new line, with bytes passing unchanged in both directions until somebody who opens it
    /// says otherwise. Must be called inside a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// When the system gives no terminal.
    pub fn open() -> Result<Self, HalError> {
        Self::try_open().map_err(|error| {
            HalError::from_io("open", "a pseudo-terminal", error)
                .with_hint("is /dev/pts mounted, and /proc/sys/kernel/pty/max large enough?")
        })
    }

    fn try_open() -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let board_end = openpt(flags)?;
        grantpt(&board_end)?;
        unlockpt(&board_end)?;
        let name = ptsname(&board_end, Vec::new())?;
        let node = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        let other_end = ioctl_tiocgptpeer(&board_end, flags)?;
        let mut settings = tcgetattr(&other_end)?;
        settings.make_raw();
        tcsetattr(&other_end, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&board_end, true)?;
        let create = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(create)?;
        let events = inotify::WatchFlags::OPEN
            | inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::CLOSE_NOWRITE;
        inotify::add_watch(&watch, &node, events)?;
        Ok(Self {
            board_end: sys::watch(board_end, Interest::READABLE | Interest::WRITABLE)?,
            other_end,
            node,
            watch: sys::watch(watch, Interest::READABLE)?,
            holders: AtomicU32::new(0),
        })
    }

    /// What other programs open.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// How many times the other end is open, as far as [`Self::holders_changed`] has told. Opens
    /// at the same instant may count as one: a serial port has one user.
    pub fn holders(&self) -> u32 {
        self.holders.load(Ordering::Relaxed)
    }

    /// Waits until the other end was opened or closed, and says how many times it is open now.
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the system cannot say.
    pub async fn holders_changed(&self) -> Result<u32, HalError> {
        let take = |watch: &OwnedFd| self.count(watch);
        let counted = self.watch.async_io(Interest::READABLE, take).await;
        counted.map_err(|error| self.error("watch", error))
    }

    fn count(&self, watch: &OwnedFd) -> io::Result<u32> {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        let mut holders = self.holders();
        loop {
            let event = events.next()?.events();
            if event.contains(inotify::ReadFlags::OPEN) {
                holders += 1;
            } else {
                holders = holders.saturating_sub(1);
            }
            if events.is_buffer_empty() {
                self.holders.store(holders, Ordering::Relaxed);
                return Ok(holders);
            }
        }
    }

    /// Waits until something is typed, and takes it. Cancel-safe.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, HalError> {
        let take = |end: &OwnedFd| Ok(rustix::io::read(end, &mut *buffer)?);
        let length = self.board_end.async_io(Interest::READABLE, take).await;
        length.map_err(|error| self.error("read from", error))
    }

    /// Sends some of `bytes`, and says how many. Waits while who has the other end open does not
    /// read; the kernel holds about 4 KiB. Cancel-safe.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, HalError> {
        let put = |end: &OwnedFd| Ok(rustix::io::write(end, bytes)?);
        let length = self.board_end.async_io(Interest::WRITABLE, put).await;
        length.map_err(|error| self.error("write to", error))
    }

    /// Throws away what was sent and nobody has read, as an adapter does when it is closed.
    pub fn discard_unread(&self) {
        // The only failure is a terminal that is gone, whose bytes are gone, too.
        let _: Result<(), Errno> = tcflush(&self.other_end, QueueSelector::IFlush);
    }

    fn error(&self, doing: &str, error: io::Error) -> HalError {
        HalError::from_io(doing, self.node.display().to_string(), error)
    }
}

impl fmt::Debug for VirtualPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualPort").field(&self.node).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::open_device;

    #[tokio::test]
    async fn bytes_pass_unchanged_and_openings_are_counted() {
        let port = VirtualPort::open().unwrap();
        assert_eq!(port.holders(), 0);
        let adapter = open_device(port.node()).unwrap();
        assert_eq!(port.holders_changed().await.unwrap(), 1);
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(port.write(&bytes).await.unwrap(), 256);
        let adapter = sys::watch(adapter, Interest::READABLE).unwrap();
        let mut buffer = [0; 512];
        let mut seen = 0;
        while seen < 256 {
            let take = |end: &OwnedFd| Ok(rustix::io::read(end, &mut buffer[seen..])?);
            seen += adapter.async_io(Interest::READABLE, take).await.unwrap();
        }
        assert_eq!(&buffer[..256], bytes);
        rustix::io::write(adapter.get_ref(), &bytes).unwrap();
        let mut typed = [0; 512];
        assert_eq!(port.read(&mut typed).await.unwrap(), 256);
        assert_eq!(&typed[..256], bytes);
        drop(adapter);
        assert_eq!(port.holders_changed().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_nobody_read_can_be_thrown_away() {
        let port = VirtualPort::open().unwrap();
        port.write(b"stale").await.unwrap();
        port.discard_unread();
        let adapter = open_device(port.node()).unwrap();
        let left = rustix::io::read(&adapter, &mut [0; 16]);
        assert_eq!(left.unwrap_err(), Errno::AGAIN);
    }
}
