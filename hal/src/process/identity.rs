//! Naming a process across restarts of the runner.

use rustix::process::{Pid, Signal};
use std::{fmt, io};

/// A process group by the pid of its leader and when the leader started: unlike a pid alone this
/// is not reused, so it can be journalled as an undo and replayed by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    pid: u32,
    start_ticks: u64,
}

impl ProcessIdentity {
    /// From journalled parts: the pid, and the start time in clock ticks since boot (field 22 of
    /// `/proc/PID/stat`).
    pub fn new(pid: u32, start_ticks: u64) -> Self {
        Self { pid, start_ticks }
    }

    /// The identity of the process that has this pid now, if there is one.
    pub fn of(pid: u32) -> Option<Self> {
        let start_ticks = stat(pid)?.start_ticks;
        Some(Self { pid, start_ticks })
    }

    /// The pid of the leader, which is the id of its group.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// When the leader started, in clock ticks since boot.
    pub fn start_ticks(self) -> u64 {
        self.start_ticks
    }

    /// Whether the leader still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|now| now.start_ticks == self.start_ticks && !now.dead)
    }

    /// Kills what is left of the group, also when its leader is gone. Idempotent.
    ///
    /// The kernel does not give the leader's pid to a new process as long as the group has
    /// members, so a different start time proves that nothing is left. Valid within one boot of
    /// the host only.
    ///
    /// # Errors
    /// When the system refuses, for example because the processes belong to another user.
    pub fn kill_group(self) -> io::Result<()> {
        let recycled = stat(self.pid).is_some_and(|now| now.start_ticks != self.start_ticks);
        let group = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match group {
            Some(group) if !recycled => {
                match rustix::process::kill_process_group(group, Signal::KILL) {
                    Err(rustix::io::Errno::SRCH) => Ok(()),
                    result => Ok(result?),
                }
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

struct Stat {
    start_ticks: u64,
    dead: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs_err::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The second field is the program's name in parentheses and may contain anything.
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    // The start time is field 22 of the line, the 19th after the state.
    let start_ticks = fields.nth(18)?.parse().ok()?;
    Some(Stat {
        start_ticks,
        dead: matches!(state, "Z" | "X" | "x"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_pid_is_not_killed() {
        let own = ProcessIdentity::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let earlier = ProcessIdentity::new(own.pid(), own.start_ticks() - 1);
        assert!(!earlier.is_alive());
        earlier.kill_group().unwrap();
        assert_eq!(ProcessIdentity::of(u32::MAX), None);
    }

    #[test]
    fn pid_zero_never_means_our_own_group() {
        ProcessIdentity::new(0, 0).kill_group().unwrap();
    }
}
