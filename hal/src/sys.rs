//! The only unsafe code of the project: what a child does between `fork` and `exec`, and handing
//! descriptors to the reactor.
//!
//! Called by [`crate::process`] and [`crate::console`] alone.

pub(crate) mod ioctl;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setsid};
use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Command,
};
use tokio::io::{Interest, unix::AsyncFd};

/// Where a new process stands towards signals and terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// A session of its own without a terminal: it cannot ask a person for a password, and
    /// Ctrl-C typed at the runner does not reach it.
    Detached,
    /// A session of its own whose terminal is the child's standard input.
    Terminal,
}

/// Makes the child of `command` lead its own session and process group, and die with the thread
/// that started it.
pub(crate) fn isolate(command: &mut Command, session: Session) {
    let parent = getpid();
    // SAFETY: the closure runs in the child between fork and exec, where only functions that are
    // safe in a signal handler may be called. It makes raw system calls and builds
    // `io::Error`s from error numbers; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || prepare_child(parent, session));
    }
}

fn prepare_child(parent: Pid, session: Session) -> io::Result<()> {
    setsid()?;
    if session == Session::Terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above: then nobody will ever send the signal.
    if getppid() != Some(parent) {
        return Err(io::Error::from_raw_os_error(
            rustix::io::Errno::SRCH.raw_os_error(),
        ));
    }
    Ok(())
}

/// Registers `descriptor` with the runtime's reactor.
///
/// # Errors
/// When the reactor cannot watch it.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same descriptor, which stays open as long as the
    // value lives, and `AsyncFd` deregisters it before it drops the value.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(registered?)
}
