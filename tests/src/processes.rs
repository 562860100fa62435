//! Who is left of a job: every process it started inherits a mark in its environment.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{os::fd::AsFd, time::Duration};

/// What a killed process may take to be gone. It is dead already; its memory is being freed.
const DYING: Duration = Duration::from_secs(2);

/// A variable and its value that mark the processes of one test.
#[derive(Clone, Debug)]
pub struct Processes {
    entry: Vec<u8>,
}

impl Processes {
    /// The variable that carries the mark.
    pub const VARIABLE: &str = "PUMICE_TEST_MARK";

    /// The processes with this mark.
    pub fn marked(mark: &str) -> Self {
        Self {
            entry: format!("{}={mark}", Self::VARIABLE).into_bytes(),
        }
    }

    /// Those that run: pid and command line. Zombies have no environment any more.
    pub fn running(&self) -> Vec<(Pid, String)> {
        let entries = fs_err::read_dir("/proc").expect("there is a /proc");
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let pid = Pid::from_raw(name.to_str()?.parse().ok()?)?;
                self.is_marked(pid).then(|| (pid, command_line(pid)))
            })
            .collect()
    }

    /// Those that still run when all that were killed had the time to die.
    pub fn left(&self) -> Vec<String> {
        for (pid, _) in self.running() {
            wait_for_end(pid, DYING);
        }
        let left = self.running().into_iter();
        left.map(|(pid, command)| format!("{} {command}", pid.as_raw_nonzero()))
            .collect()
    }

    /// Kills them all, so that a failed test does not disturb the others.
    pub fn kill(&self) {
        for (pid, _) in self.running() {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn is_marked(&self, pid: Pid) -> bool {
        let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
        // Those of other users cannot be read, and some end while we look.
        fs_err::read(path).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == self.entry)
        })
    }
}

/// Waits until a process has ended, at most this long. Says whether it has.
pub(crate) fn wait_for_end(pid: Pid, within: Duration) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let within = Timespec::try_from(within).expect("a test waits for seconds");
    let mut watched = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    poll(&mut watched, Some(&within)).is_ok_and(|ready| ready > 0)
}

fn command_line(pid: Pid) -> String {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    let line = fs_err::read(path).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}
