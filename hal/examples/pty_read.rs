//! How fast `PtyConsole` reads, beside a bare loop of blocking reads on the same kind of terminal.
//!
//! ```text
//! cargo run --release -p hal --example pty_read [LINES] [ROUNDS]
//! ```
//!
//! The producer prints lines of 80 characters as fast as it can. Both readers see the same bytes,
//! round by round; the ratio is that of the best rounds.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use hal::{
    HalError,
    console::{ConsoleExt, PtyConsole, PtyOptions},
    process::CommandLine,
};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use std::{io, os::fd::OwnedFd, time::Duration};
use tokio::time::Instant;

const LINE: usize = 80;

/// What a reader needed.
struct Figures {
    bytes: usize,
    wall: Duration,
    cpu: Duration,
}

impl Figures {
    fn lines_per_second(&self) -> f64 {
        self.bytes as f64 / (LINE + 1) as f64 / self.wall.as_secs_f64()
    }

    fn print(&self, name: &str) {
        let lines = self.bytes as f64 / (LINE + 1) as f64;
        let cpu = self.cpu.as_secs_f64() * 1e6 / lines;
        println!(
            "{name:<12} {:>9.0} lines/s {cpu:>6.2} us CPU/line",
            self.lines_per_second()
        );
    }
}

/// Prints `lines` lines; the terminal adds nothing to them.
fn producer(lines: usize) -> CommandLine {
    let text = "x".repeat(LINE);
    CommandLine::new("sh")
        .arg("-c")
        .arg(format!("stty raw; yes {text} | head -n {lines}"))
}

fn main() -> Result<(), HalError> {
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|argument| argument.parse().ok());
    let lines = arguments.next().unwrap_or(1_000_000);
    let rounds = arguments.next().unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| HalError::from_io("start", "the runtime", error))?;
    let best = |figures: Vec<Figures>| {
        figures
            .into_iter()
            .max_by(|a, b| a.lines_per_second().total_cmp(&b.lines_per_second()))
    };
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(runtime.block_on(async { bare_loop(lines) })?);
        ours.push(runtime.block_on(pty_console(lines))?);
    }
    if let (Some(bare), Some(ours)) = (best(bare), best(ours)) {
        bare.print("bare loop");
        ours.print("PtyConsole");
        println!(
            "ratio        {:.2}",
            ours.lines_per_second() / bare.lines_per_second()
        );
    }
    Ok(())
}

fn bare_loop(lines: usize) -> Result<Figures, HalError> {
    let failed = |error: io::Error| HalError::from_io("read", "the terminal", error);
    let (master, terminal) = pair().map_err(failed)?;
    let command = hal::process::Command::new(producer_onto_terminal(lines));
    let _running = command.spawn(Some(terminal.into()))?;
    let mut buffer = vec![0; 64 * 1024];
    let meter = Meter::start();
    let mut bytes = 0;
    // EIO: nobody has the terminal any more.
    while let Ok(length @ 1..) = rustix::io::read(&master, &mut buffer) {
        bytes += length;
    }
    Ok(meter.stop(bytes))
}

/// As [`producer`], with the terminal as its standard output only.
fn producer_onto_terminal(lines: usize) -> CommandLine {
    let text = "x".repeat(LINE);
    let script = format!("stty raw <&1; yes {text} | head -n {lines}");
    CommandLine::new("sh").arg("-c").arg(script)
}

async fn pty_console(lines: usize) -> Result<Figures, HalError> {
    let mut console = PtyConsole::spawn(producer(lines), PtyOptions::default())?;
    let mut buffer = vec![0; 64 * 1024];
    let meter = Meter::start();
    let mut bytes = 0;
    loop {
        let chunk = console.read(&mut buffer).await?;
        if chunk.is_end() {
            return Ok(meter.stop(bytes));
        }
        bytes += chunk.length;
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

struct Meter {
    wall: Instant,
    cpu: Duration,
}

impl Meter {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(),
        }
    }

    fn stop(&self, bytes: usize) -> Figures {
        Figures {
            bytes,
            wall: self.wall.elapsed(),
            cpu: cpu_time().saturating_sub(self.cpu),
        }
    }
}

fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.try_into().unwrap_or_default()
}
