//! A command on a pseudo-terminal: how LAVA reaches every console (telnet, ssh, QEMU, any
//! `connection_command`).
//!
//! The terminal is left in the kernel's default mode, as LAVA's is: typed text is echoed and
//! edited line by line (at most 4095 bytes each), and `\n` of the command becomes `\r\n`, until
//! the command switches that off, which telnet, ssh and QEMU do.

use super::{Console, Epoch, EpochCounter};
use crate::{
    error::{ErrorKind, HalError},
    process::{Command, CommandLine, Running},
    sys::{self, Session},
};
use async_trait::async_trait;
use rustix::{
    io::Errno,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{
    ffi::OsString,
    fmt, io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, timeout_at},
};

/// One poll gives at most this much. The kernel hands out 4 KiB at a time and needs a turn of its own
/// to make the next 4 KiB ready: who reads on at once waits for that turn, who first does something
/// with what it has finds the next ready. A few at once keep wake-ups few on a slow board.
const POLL_BYTES: usize = 16 * 1024;

/// How long a command that closed its terminal has to end before we say that it still runs.
const END_REASON_WITHIN: Duration = Duration::from_millis(200);

/// How to set up the terminal and its command.
#[derive(Clone)]
pub struct PtyOptions {
    /// Lines of the terminal's window; 24 by default, as pexpect's and so LAVA's.
    pub rows: u16,
    /// Columns of the window; 80 by default.
    pub columns: u16,
    /// Variables added to the inherited environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where the command starts; the current directory by default.
    pub directory: Option<PathBuf>,
    /// The board's boot counter.
    pub epoch: EpochCounter,
}

impl Default for PtyOptions {
    fn default() -> Self {
        Self {
            rows: 24,
            columns: 80,
            environment: Vec::new(),
            directory: None,
            epoch: EpochCounter::default(),
        }
    }
}

impl fmt::Debug for PtyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets: its names only.
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("PtyOptions")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .field("environment", &names)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A command that leads its own session on a pseudo-terminal.
///
/// It ends with this value: its process group is killed on drop, and the kernel kills it when the
/// thread that started it dies (see [`crate::process`]).
#[derive(Debug)]
pub struct PtyConsole {
    /// `None` once closed from our side.
    master: Option<AsyncFd<OwnedFd>>,
    running: Running,
    ended: bool,
    description: String,
    epoch: EpochCounter,
}

impl PtyConsole {
    /// Starts `line` on a new terminal. Must be called inside a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// When there is no terminal left, or the command cannot be started.
    pub fn spawn(line: CommandLine, options: PtyOptions) -> Result<Self, HalError> {
        let description = format!("'{line}'");
        let size = Winsize {
            ws_row: options.rows,
            ws_col: options.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let (master, terminal) = open_pair(size).map_err(no_terminal)?;
        let copies = terminal
            .try_clone()
            .and_then(|out| Ok((out, terminal.try_clone()?)));
        let (out, err) = copies.map_err(no_terminal)?;
        let mut command = Command::new(line).envs(options.environment);
        if let Some(directory) = options.directory {
            command = command.current_dir(directory);
        }
        let master =
            sys::watch(master, Interest::READABLE | Interest::WRITABLE).map_err(no_terminal)?;
        let streams: [Stdio; 3] = [terminal.into(), out.into(), err.into()];
        let running = command.start(streams, Session::Terminal)?;
        let epoch = options.epoch;
        Ok(Self {
            master: Some(master),
            running,
            ended: false,
            description,
            epoch,
        })
    }

    /// The process on the terminal: to journal its identity, say.
    pub fn process(&self) -> &Running {
        &self.running
    }

    /// Waits for the command's end and gives its status. Cancel-safe. What it printed can still
    /// be read.
    ///
    /// # Errors
    /// When the system cannot say.
    pub async fn exited(&mut self) -> Result<ExitStatus, HalError> {
        self.running.exited().await
    }

    /// Changes the window's size; the command gets SIGWINCH.
    ///
    /// # Errors
    /// `Closed` after [`Console::close`].
    pub fn resize(&self, rows: u16, columns: u16) -> Result<(), HalError> {
        let Some(master) = &self.master else {
            return Err(self.closed());
        };
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(master.get_ref(), size).map_err(|error| self.broken(error))
    }

    fn closed(&self) -> HalError {
        let message = format!("the console {} is closed", self.description);
        HalError::new(ErrorKind::Closed, &self.description, message)
    }

    fn broken(&self, error: impl Into<io::Error>) -> HalError {
        HalError::from_io("use the console", &self.description, error.into())
    }
}

#[async_trait]
impl Console for PtyConsole {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        let Some(master) = self.master.as_ref().filter(|_| !self.ended) else {
            return Poll::Ready(Ok(0));
        };
        let room = buffer.len().min(POLL_BYTES);
        let buffer = &mut buffer[..room];
        let mut filled = 0;
        while filled < buffer.len() {
            let mut guard = match master.poll_read_ready(cx) {
                Poll::Ready(Ok(guard)) => guard,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broken(error))),
                Poll::Pending if filled > 0 => break,
                Poll::Pending => return Poll::Pending,
            };
            match rustix::io::read(master.get_ref(), &mut buffer[filled..]) {
                // Linux gives EIO, and only when all was read, once no process has the terminal.
                Ok(0) | Err(Errno::IO) => {
                    self.ended = true;
                    break;
                }
                Ok(length) => filled += length,
                Err(Errno::AGAIN) => {
                    guard.clear_ready();
                    if filled > 0 {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(self.broken(error))),
            }
        }
        Poll::Ready(Ok(filled))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        let Some(master) = self.master.as_ref().filter(|_| !self.ended) else {
            return Poll::Ready(Err(self.closed()));
        };
        loop {
            let mut guard =
                ready!(master.poll_write_ready(cx)).map_err(|error| self.broken(error))?;
            match rustix::io::write(master.get_ref(), bytes) {
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                Err(Errno::IO) => return Poll::Ready(Err(self.closed())),
                result => return Poll::Ready(result.map_err(|error| self.broken(error))),
            }
        }
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        let stopped = self.running.stop(grace).await;
        self.master = None;
        stopped.map(drop)
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    fn epoch(&self) -> Epoch {
        self.epoch.current()
    }

    async fn end_reason(&mut self) -> Option<String> {
        let within = Instant::now() + END_REASON_WITHIN;
        let status = timeout_at(within, self.running.exited()).await;
        Some(match status {
            Ok(Ok(status)) => {
                let how = crate::process::describe_status(status);
                format!("the command {} ended with {how}", self.description)
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!(
                "the command {} closed its terminal and runs on",
                self.description
            ),
        })
    }
}

fn open_pair(size: Winsize) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    tcsetwinsize(&master, size)?;
    let terminal = ioctl_tiocgptpeer(&master, flags)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    Ok((master, terminal))
}

fn no_terminal(error: io::Error) -> HalError {
    HalError::from_io("open", "a pseudo-terminal", error)
        .with_hint("is /dev/pts mounted, and /proc/sys/kernel/pty/max large enough?")
}
