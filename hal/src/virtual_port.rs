//! The board's end of a serial line that does not exist: a pseudo-terminal which other programs
//! open as if it were a serial adapter.
//!
//! The virtual rack puts its boards behind one, and tests of serial consoles use it. Like an
//! adapter it is there whether its board is or not, and whether anybody has opened it or not.

use crate::{error::HalError, sys};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
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
};
use tokio::io::{Interest, unix::AsyncFd};

/// How the other end is opened by this one.
const PEER: OpenptFlags = OpenptFlags::RDWR
    .union(OpenptFlags::NOCTTY)
    .union(OpenptFlags::CLOEXEC);

/// A serial line of which this is the board's end.
///
/// Dropping it is unplugging the adapter: who has it open reads the end.
pub struct VirtualPort {
    board_end: OwnedFd,
    node: PathBuf,
    /// Tells that somebody may have opened the other end. Only the terminal knows whether that is
    /// so: events that follow each other are merged, and cannot be counted.
    watch: AsyncFd<OwnedFd>,
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
        let board_end = openpt(PEER)?;
        grantpt(&board_end)?;
        unlockpt(&board_end)?;
        let name = ptsname(&board_end, Vec::new())?;
        let node = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        // The settings outlive this opening of it, and before the first one a terminal does not
        // say that nobody has it open.
        let other_end = ioctl_tiocgptpeer(&board_end, PEER)?;
        let mut settings = tcgetattr(&other_end)?;
        settings.make_raw();
        tcsetattr(&other_end, OptionalActions::Now, &settings)?;
        drop(other_end);
        rustix::io::ioctl_fionbio(&board_end, true)?;
        let create = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(create)?;
        inotify::add_watch(&watch, &node, inotify::WatchFlags::OPEN)?;
        Ok(Self {
            board_end,
            node,
            watch: sys::watch(watch, Interest::READABLE)?,
        })
    }

    /// What other programs open.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Waits until somebody has the other end open, or typed and closed it again. Cancel-safe.
    /// One line at a time: a second one would share the bytes with it.
    ///
    /// # Errors
    /// When the system cannot say.
    pub async fn opened(&self) -> Result<VirtualLine<'_>, HalError> {
        loop {
            let state = self.state();
            if !state.contains(PollFlags::HUP) || state.contains(PollFlags::IN) {
                return VirtualLine::new(self).map_err(|error| self.error("watch", error));
            }
            let opened = self.watch.async_io(Interest::READABLE, take_events).await;
            opened.map_err(|error| self.error("watch", error))?;
        }
    }

    /// `HUP` if nobody has the other end open, `IN` if something was typed.
    fn state(&self) -> PollFlags {
        let mut watched = [PollFd::new(&self.board_end, PollFlags::IN)];
        match poll(&mut watched, Some(&Timespec::default())) {
            Ok(_) => watched[0].revents(),
            // No room in the kernel: as good as open, which reading will tell.
            Err(_) => PollFlags::empty(),
        }
    }

    /// Throws away what was sent and nobody has read, as an adapter does when it is closed.
    fn discard_unread(&self) {
        // The only failure is a terminal that is gone, whose bytes are gone, too.
        if let Ok(other_end) = ioctl_tiocgptpeer(&self.board_end, PEER) {
            let _: Result<(), Errno> = tcflush(&other_end, QueueSelector::IFlush);
        }
    }

    fn error(&self, doing: &str, error: io::Error) -> HalError {
        HalError::from_io(doing, self.node.display().to_string(), error)
    }
}

/// Takes what waits of the news, whatever they are.
fn take_events(watch: &OwnedFd) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    inotify::Reader::new(watch, &mut buffer).next()?;
    Ok(())
}

/// A [`VirtualPort`] while its other end is open: to who opened it first until the last has
/// closed it.
///
/// Methods take `&self`, so that one task can wait for reading and writing at once. When it is
/// dropped, what nobody has read is thrown away, unless somebody still has the other end open.
#[derive(Debug)]
pub struct VirtualLine<'a> {
    port: &'a VirtualPort,
    /// Registered anew for each line: the reactor never forgets a hang-up.
    board_end: AsyncFd<OwnedFd>,
}

impl<'a> VirtualLine<'a> {
    fn new(port: &'a VirtualPort) -> io::Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let board_end = sys::watch(port.board_end.try_clone()?, interest)?;
        Ok(Self { port, board_end })
    }

    /// Waits until something is typed, and takes it; 0 says that nobody has the other end open
    /// any more, and that everything typed was taken. Cancel-safe.
    ///
    /// # Errors
    /// When the terminal fails.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, HalError> {
        let take = |end: &OwnedFd| rustix::io::read(end, &mut *buffer);
        let length = self.transfer(Interest::READABLE, take).await;
        length.map_err(|error| self.port.error("read from", error))
    }

    /// Sends some of `bytes`, and says how many; 0 says that nobody has the other end open any
    /// more. Waits while who has it open does not read; the kernel holds about 4 KiB. Cancel-safe.
    ///
    /// # Errors
    /// When the terminal fails.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, HalError> {
        let put = |end: &OwnedFd| rustix::io::write(end, bytes);
        let length = self.transfer(Interest::WRITABLE, put).await;
        length.map_err(|error| self.port.error("write to", error))
    }

    async fn transfer(
        &self,
        interest: Interest,
        mut act: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        loop {
            let mut guard = self.board_end.ready(interest).await?;
            let hung_up = guard.ready().is_read_closed() || guard.ready().is_write_closed();
            // The kernel would take bytes for who opens it next.
            if hung_up && interest.is_writable() {
                return Ok(0);
            }
            match act(self.board_end.get_ref()) {
                // It was closed by all and opened again: that is the next line.
                Err(Errno::AGAIN) if hung_up => return Ok(0),
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::IO) => return Ok(0),
                result => return Ok(result?),
            }
        }
    }
}

impl Drop for VirtualLine<'_> {
    fn drop(&mut self) {
        if self.port.state().contains(PollFlags::HUP) {
            self.port.discard_unread();
        }
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
    use std::time::Duration;
    use tokio::time::timeout;

    async fn soon<T>(future: impl Future<Output = Result<T, HalError>>) -> T {
        let result = timeout(Duration::from_secs(10), future).await;
        result.expect("it takes too long").unwrap()
    }

    /// Whether the port finds right now that nobody has the other end open.
    async fn is_closed(port: &VirtualPort) -> bool {
        let opened = std::pin::pin!(port.opened());
        tokio::select! {
            biased;
            _ = opened => false,
            // Twice: the first look may take news of before.
            () = async { tokio::task::yield_now().await; tokio::task::yield_now().await } => true,
        }
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_while_it_is_open() {
        let port = VirtualPort::open().unwrap();
        assert!(is_closed(&port).await);
        let adapter = open_device(port.node()).unwrap();
        let line = soon(port.opened()).await;
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(soon(line.write(&bytes)).await, 256);
        let adapter = sys::watch(adapter, Interest::READABLE).unwrap();
        let mut buffer = [0; 512];
        let mut seen = 0;
        while seen < 256 {
            let take = |end: &OwnedFd| Ok(rustix::io::read(end, &mut buffer[seen..])?);
            seen += adapter.async_io(Interest::READABLE, take).await.unwrap();
        }
        assert_eq!(&buffer[..256], bytes);
        rustix::io::write(adapter.get_ref(), &bytes).unwrap();
        drop(adapter);
        // What was typed right before it was closed is not lost.
        let mut typed = [0; 512];
        assert_eq!(soon(line.read(&mut typed)).await, 256);
        assert_eq!(&typed[..256], bytes);
        assert_eq!(soon(line.read(&mut typed)).await, 0);
        // The news of the hang-up, which a full terminal waits for, come with the next turn.
        while soon(line.write(b"nobody")).await > 0 {
            tokio::task::yield_now().await;
        }
        drop(line);
        assert!(is_closed(&port).await);
    }

    #[tokio::test]
    async fn openings_at_one_instant_are_told_apart() {
        let port = VirtualPort::open().unwrap();
        let probe = open_device(port.node()).unwrap();
        let adapter = open_device(port.node()).unwrap();
        // The system merges the news of both into one, and this is another.
        drop(probe);
        let line = soon(port.opened()).await;
        assert_eq!(soon(line.write(b"=> ")).await, 3);
        let (one, two) = (adapter.try_clone().unwrap(), adapter);
        drop((one, two));
        assert_eq!(soon(line.read(&mut [0; 16])).await, 0);
    }

    #[tokio::test]
    async fn it_is_opened_again_and_again_and_what_nobody_read_is_thrown_away() {
        let port = VirtualPort::open().unwrap();
        for _ in 0..3 {
            let adapter = open_device(port.node()).unwrap();
            let left = rustix::io::read(&adapter, &mut [0; 16]);
            assert_eq!(left.unwrap_err(), Errno::AGAIN);
            let line = soon(port.opened()).await;
            assert_eq!(soon(line.write(b"stale")).await, 5);
            drop(adapter);
            assert_eq!(soon(line.read(&mut [0; 16])).await, 0);
        }
    }

    #[tokio::test]
    async fn what_was_typed_by_somebody_who_is_gone_arrives() {
        let port = VirtualPort::open().unwrap();
        let adapter = open_device(port.node()).unwrap();
        rustix::io::write(&adapter, b"reset\r").unwrap();
        drop(adapter);
        let line = soon(port.opened()).await;
        let mut typed = [0; 16];
        assert_eq!(soon(line.read(&mut typed)).await, 6);
        assert_eq!(&typed[..6], b"reset\r");
        assert_eq!(soon(line.read(&mut typed)).await, 0);
    }
}
