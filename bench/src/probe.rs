//! Runs one program and tells what it used.
//!
//! The clocks are read from outside, and memory is looked at in runs of its own: looking costs.

use crate::Problem;
use nix::{
    sys::resource::{UsageWho, getrusage},
    time::{ClockId, clock_getcpuclockid},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// A job that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(300);

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// What to run and what to look at.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which stream the log comes on; its first line is timed
    #[arg(long, value_enum, default_value = "stdout")]
    pub(crate) log: Log,
    /// Look at the memory every millisecond, at the cost of all times
    #[arg(long)]
    pub(crate) memory: bool,
    /// Write the log to a file instead of timing its first line
    #[arg(long)]
    pub(crate) into: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

/// A stream of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Log {
    Stdout,
    Stderr,
}

/// What a program used. Times in seconds, memory in MiB.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Its exit code; `None` for a signal.
    pub(crate) code: Option<i32>,
    /// From its start to its end.
    pub(crate) wall: f64,
    /// User and system time, with the processes it started and waited for.
    pub(crate) cpu: f64,
    /// User and system time of the process alone.
    pub(crate) own_cpu: f64,
    /// The most memory that was resident at once, in its largest process.
    pub(crate) resident: f64,
    /// Its most private memory, when that was looked at.
    pub(crate) private: Option<f64>,
    /// From its start to the end of the first line of its log.
    pub(crate) first_line: Option<f64>,
    /// The last it printed on the other stream, for people.
    pub(crate) said: String,
}

pub(crate) fn main(arguments: &Arguments) -> Result<(), Problem> {
    let usage = run(arguments).map_err(Problem::while_doing("run the program"))?;
    print(&usage)
}

/// Runs one in a process of its own, so that the kernel's sums of children are those of the one.
pub(crate) fn separately(arguments: &Arguments) -> Result<Usage, Problem> {
    let mut words: Vec<OsString> = vec!["probe".into()];
    if arguments.log == Log::Stderr {
        words.extend(["--log".into(), "stderr".into()]);
    }
    if arguments.memory {
        words.push("--memory".into());
    }
    if let Some(file) = &arguments.into {
        words.extend(["--into".into(), file.into()]);
    }
    words.push("--".into());
    words.extend(arguments.command.iter().cloned());
    part(&words)
}

/// Runs a part of this program and reads what it prints.
#[expect(
    clippy::disallowed_methods,
    reason = "it measures, and must not depend on what it measures"
)]
pub(crate) fn part<T: DeserializeOwned>(words: &[OsString]) -> Result<T, Problem> {
    let this = std::env::current_exe().map_err(Problem::while_doing("find this program"))?;
    let output = Command::new(this)
        .args(words)
        .stderr(Stdio::inherit())
        .output()
        .map_err(Problem::while_doing("start this program again"))?;
    serde_json::from_slice(&output.stdout).map_err(|_| Problem::new("a measurement failed"))
}

/// Prints what a part measured.
pub(crate) fn print(figures: &impl Serialize) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, figures)
        .map_err(io::Error::from)
        .and_then(|()| out.flush())
        .map_err(Problem::while_doing("print the figures"))
}

fn run(arguments: &Arguments) -> io::Result<Usage> {
    let started = Instant::now();
    let mut child = start(arguments)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (log, other) = match arguments.log {
        Log::Stdout => (stdout.map(OwnedFd::from), stderr.map(OwnedFd::from)),
        Log::Stderr => (stderr.map(OwnedFd::from), stdout.map(OwnedFd::from)),
    };
    let first_line = log.map(|log| in_background(move || first_line(log, started)));
    let said = other.map(|other| in_background(move || last_words(other)));
    let pid = Pid::from_child(&child);
    let private = until_end(pid, &mut child, arguments.memory)?;
    let wall = started.elapsed();
    let own_cpu = cpu_of(pid)?;
    let code = child.wait()?.code();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(Usage {
        code,
        wall: wall.as_secs_f64(),
        cpu: seconds(used.user_time()) + seconds(used.system_time()),
        own_cpu: own_cpu.as_secs_f64(),
        resident: used.max_rss() as f64 / 1024.0,
        private,
        first_line: first_line
            .and_then(|found| found.recv().ok().flatten())
            .map(|at| at.as_secs_f64()),
        said: said.and_then(|said| said.recv().ok()).unwrap_or_default(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "it measures, and must not depend on what it measures"
)]
fn start(arguments: &Arguments) -> io::Result<Child> {
    let [program, rest @ ..] = &arguments.command[..] else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let log = match &arguments.into {
        Some(file) => fs_err::File::create(file)?.into_parts().0.into(),
        None => Stdio::piped(),
    };
    let (stdout, stderr) = match arguments.log {
        Log::Stdout => (log, Stdio::piped()),
        Log::Stderr => (Stdio::piped(), log),
    };
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    command.stdout(stdout).stderr(stderr).spawn()
}

/// Waits for the end without reaping, looking at the memory meanwhile if asked. Gives its peak.
fn until_end(pid: Pid, child: &mut Child, memory: bool) -> io::Result<Option<f64>> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = Instant::now() + LIMIT;
    let mut peak = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            child.kill()?;
            return Err(io::Error::other(format!("it ran longer than {LIMIT:?}")));
        }
        let pause = if memory { SAMPLE_EVERY.min(left) } else { left };
        let pause = Timespec::try_from(pause).map_err(io::Error::other)?;
        let mut watched = [PollFd::new(&process, PollFlags::IN)];
        match poll(&mut watched, Some(&pause)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
        if memory && let Some(now) = private(pid) {
            peak = Some(peak.unwrap_or(now).max(now));
        }
    }
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )?;
    Ok(peak)
}

/// The private memory of a process in MiB: what it wrote to. Pages of the program's file that
/// nobody wrote to are one copy for all runners of a host.
fn private(pid: Pid) -> Option<f64> {
    let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
    let text = fs_err::read_to_string(Path::new(&path)).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// The CPU time of a process that has ended and is not reaped.
fn cpu_of(pid: Pid) -> io::Result<Duration> {
    let pid = nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get());
    let clock: ClockId = clock_getcpuclockid(pid)?;
    Ok(clock.now()?.into())
}

fn seconds(time: nix::sys::time::TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// When the first line had come; reads the rest too, so that the program is never held up.
fn first_line(stream: OwnedFd, started: Instant) -> Option<Duration> {
    let mut stream = fs_err::File::from_parts(stream.into(), "the log");
    let mut buffer = [0; 16 * 1024];
    let mut at = None;
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if at.is_none() && buffer[..length].contains(&b'\n') {
            at = Some(started.elapsed());
        }
    }
    at
}

fn last_words(stream: OwnedFd) -> String {
    const KEPT: usize = 2_000;
    let mut stream = fs_err::File::from_parts(stream.into(), "the output");
    let mut kept = Vec::new();
    let mut buffer = [0; 4 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..length]);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody waits for it when the measurement failed.
        let _ = sender.send(work());
    });
    receiver
}

/// The words of a command line.
pub(crate) fn words<T: AsRef<OsStr>>(words: impl IntoIterator<Item = T>) -> Vec<OsString> {
    words
        .into_iter()
        .map(|word| word.as_ref().to_owned())
        .collect()
}
