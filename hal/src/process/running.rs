//! A process that runs, and its end.

use super::{ProcessIdentity, command::Leftovers};
use crate::{
    error::{ErrorKind, HalError},
    sys,
};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::{
    future::poll_fn,
    io,
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, timeout_at},
};

/// How long a dropped process may take to die before its reaping is left to the runtime. A
/// killed process usually takes well below a millisecond.
const REAP_WITHIN: Duration = Duration::from_millis(20);

/// How long a process may survive SIGKILL (it then hangs in the kernel) before we give up.
pub(super) const KILL_GRACE: Duration = Duration::from_secs(2);

/// A process that was started, the leader of its own process group.
///
/// Dropping it kills the whole group with SIGKILL and reaps the leader.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: Pid,
    /// Becomes readable when the process has ended; until the process is reaped its pid, and so
    /// the number of its group, cannot be given to another.
    ended: AsyncFd<OwnedFd>,
    status: Option<ExitStatus>,
    leftovers: Leftovers,
    name: String,
}

impl Running {
    pub(super) fn adopt(
        mut child: Child,
        leftovers: Leftovers,
        name: String,
    ) -> Result<Self, HalError> {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let watched = group
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
            .and_then(|group| {
                let ended = rustix::process::pidfd_open(group, PidfdFlags::NONBLOCK)?;
                Ok((group, sys::watch(ended, Interest::READABLE)?))
            });
        match watched {
            Ok((group, ended)) => Ok(Self {
                child,
                group,
                ended,
                status: None,
                leftovers,
                name,
            }),
            Err(error) => {
                // Nobody could watch it: it must not run on. It was not reaped, so this is it.
                let _ = child.kill();
                let _ = child.wait();
                Err(HalError::from_io(
                    "watch command",
                    format!("'{name}'"),
                    error,
                ))
            }
        }
    }

    /// The pid of the leader, which is the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What to journal as this process's undo. `None` once it has ended.
    pub fn identity(&self) -> Option<ProcessIdentity> {
        if self.status.is_some() {
            None
        } else {
            ProcessIdentity::of(self.pid())
        }
    }

    /// The status if it has ended, without waiting. Reaps it.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn try_exit(&mut self) -> Result<Option<ExitStatus>, HalError> {
        self.reap().map_err(|error| self.lost(error))
    }

    /// Waits for its end. Cancel-safe.
    ///
    /// # Errors
    /// When the system cannot say how it ended.
    pub async fn exited(&mut self) -> Result<ExitStatus, HalError> {
        poll_fn(|cx| self.poll_exited(cx)).await
    }

    /// See [`Self::exited`].
    pub(super) fn poll_exited(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ExitStatus, HalError>> {
        loop {
            if let Some(status) = self.status {
                return Poll::Ready(Ok(status));
            }
            let mut guard = match self.ended.poll_read_ready(cx) {
                Poll::Ready(Ok(guard)) => guard,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.lost(error))),
                Poll::Pending => return Poll::Pending,
            };
            guard.clear_ready();
            if let Err(error) = self.reap() {
                return Poll::Ready(Err(self.lost(error)));
            }
        }
    }

    /// Asks the group to end (SIGTERM), and kills it when `grace` is over. A grace of zero kills
    /// at once. When cancelled, the group is killed when this value is dropped.
    ///
    /// # Errors
    /// `Timeout` when it survives SIGKILL for two seconds: it hangs in the kernel.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus, HalError> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            if let Ok(ended) = timeout_at(Instant::now() + grace, self.exited()).await {
                return ended;
            }
        }
        self.signal(Signal::KILL);
        match timeout_at(Instant::now() + KILL_GRACE, self.exited()).await {
            Ok(ended) => ended,
            Err(_) => {
                let message = format!(
                    "command '{}' does not die: it hangs in the kernel",
                    self.name
                );
                Err(HalError::new(ErrorKind::Timeout, &self.name, message))
            }
        }
    }

    /// Sends a signal to the whole group, unless its leader was reaped.
    pub(super) fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // It fails only if nobody is left to receive the signal, or they changed their user.
            let _ = rustix::process::kill_process_group(self.group, signal);
        }
    }

    /// Reaps the leader if it has ended; what is left of its group is killed before, while the
    /// unreaped leader still keeps the group's number from being reused.
    fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() && has_ended(&self.ended, Duration::ZERO) {
            if self.leftovers == Leftovers::Kill {
                self.signal(Signal::KILL);
            }
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    fn lost(&self, error: io::Error) -> HalError {
        HalError::from_io("wait for command", format!("'{}'", self.name), error)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status.is_some() {
            return;
        }
        self.signal(Signal::KILL);
        has_ended(&self.ended, REAP_WITHIN);
        // If it hangs in the kernel it stays a zombie until this program ends.
        let _ = self.child.try_wait();
    }
}

/// Whether the process of a pidfd has ended, waiting at most `within`.
fn has_ended(pidfd: &AsyncFd<OwnedFd>, within: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut watched = [PollFd::new(pidfd.get_ref(), PollFlags::IN)];
    let within = Timespec::try_from(within).ok();
    matches!(poll(&mut watched, within.as_ref()), Ok(1..))
}
