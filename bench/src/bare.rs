//! The measure of what is possible: a loop that reads a terminal and does nothing else.

use crate::Problem;
use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// As much as `pumice` reads at once.
const BUFFER: usize = 64 * 1024;

/// What the loop took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Bare {
    /// Bytes read.
    pub(crate) bytes: u64,
    /// From the start of the program to the end of its output, in seconds.
    pub(crate) wall: f64,
    /// CPU time of the loop, in seconds; that of the program is not in it.
    pub(crate) cpu: f64,
}

pub(crate) fn main(command: &[OsString]) -> Result<(), Problem> {
    let bare = read_all(command).map_err(Problem::while_doing("read a terminal"))?;
    crate::probe::print(&bare)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured must not run through what it is compared with"
)]
fn read_all(command: &[OsString]) -> io::Result<Bare> {
    let [program, arguments @ ..] = command else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (master, terminal) = pair()?;
    let mut buffer = vec![0; BUFFER];
    let (started, cpu) = (Instant::now(), cpu_time());
    let mut board = Command::new(program)
        .args(arguments)
        .stdin(terminal.try_clone()?)
        .stdout(terminal)
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut bytes = 0;
    // EIO: nobody has the terminal any more.
    while let Ok(length @ 1..) = rustix::io::read(&master, &mut buffer) {
        bytes += length as u64;
    }
    let bare = Bare {
        bytes,
        wall: started.elapsed().as_secs_f64(),
        cpu: cpu_time().saturating_sub(cpu).as_secs_f64(),
    };
    let status = board.wait()?;
    if status.success() {
        Ok(bare)
    } else {
        Err(io::Error::other(format!("the board ended with {status}")))
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let terminal = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, terminal))
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}
