//! How fast each kind of console reads, beside a bare loop of blocking reads on a terminal.
//!
//! ```text
//! cargo run --release -p hal --example console_read [LINES] [ROUNDS]
//! ```
//!
//! The boards print lines of 80 characters as fast as they can: a command on the terminal for
//! `PtyConsole`, a thread at the other end for the others. All readers see the same lines, round
//! by round; a share is that of the best rounds. A serial port is the other end of a
//! pseudo-terminal, so it has a bare loop of its own to be compared with.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use hal::{
    HalError,
    console::{
        Console, ConsoleExt, EpochCounter, Fenced, LineSettings, PtyConsole, PtyOptions,
        SerialConsole, TcpConsole, TelnetConsole,
    },
    process::CommandLine,
};
use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    fs::File,
    io::{self, Write},
    net::TcpListener,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::PathBuf,
    thread::JoinHandle,
    time::Duration,
};
use tokio::time::Instant;

const LINE: usize = 80;
const BUFFER: usize = 64 * 1024;

/// What a reader needed.
#[derive(Clone, Copy)]
struct Figures {
    bytes: usize,
    wall: Duration,
    cpu: Duration,
}

impl Figures {
    fn lines_per_second(&self) -> f64 {
        self.bytes as f64 / (LINE + 1) as f64 / self.wall.as_secs_f64()
    }

    fn print(&self, name: &str, bare: &Self) {
        let lines = self.bytes as f64 / (LINE + 1) as f64;
        println!(
            "{name:<22} {:>9.0} lines/s {:>6.2} us CPU/line  {:>5.2} of the bare loop",
            self.lines_per_second(),
            self.cpu.as_secs_f64() * 1e6 / lines,
            self.lines_per_second() / bare.lines_per_second()
        );
    }
}

type Reader = fn(&tokio::runtime::Runtime, usize) -> Result<Figures, HalError>;

/// Name, reader, and the place of the bare loop that it is compared with.
const KINDS: &[(&str, Reader, usize)] = &[
    ("bare loop", bare_terminal, 0),
    (
        "PtyConsole",
        |runtime, lines| runtime.block_on(pty(lines, false)),
        0,
    ),
    (
        "PtyConsole, fenced",
        |runtime, lines| runtime.block_on(pty(lines, true)),
        0,
    ),
    (
        "TcpConsole",
        |runtime, lines| runtime.block_on(tcp(lines)),
        0,
    ),
    (
        "TelnetConsole",
        |runtime, lines| runtime.block_on(telnet(lines, false)),
        0,
    ),
    (
        "TelnetConsole, 8 bits",
        |runtime, lines| runtime.block_on(telnet(lines, true)),
        0,
    ),
    ("bare loop, serial", |_, lines| bare_serial(lines), 6),
    (
        "SerialConsole",
        |runtime, lines| runtime.block_on(serial(lines, false)),
        6,
    ),
    (
        "SerialConsole, fenced",
        |runtime, lines| runtime.block_on(serial(lines, true)),
        6,
    ),
];

fn main() -> Result<(), HalError> {
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|argument| argument.parse().ok());
    let lines = arguments.next().unwrap_or(1_000_000);
    let rounds = arguments.next().unwrap_or(3).max(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| failed("start the runtime for", error))?;
    let mut best: Vec<Option<Figures>> = vec![None; KINDS.len()];
    for _ in 0..rounds {
        for (best, (_, read, _)) in best.iter_mut().zip(KINDS) {
            let figures = read(&runtime, lines)?;
            let faster = best.is_none_or(|best| figures.wall < best.wall);
            if faster {
                *best = Some(figures);
            }
        }
    }
    for ((name, _, bare), figures) in KINDS.iter().zip(&best) {
        if let (Some(figures), Some(bare)) = (figures, &best[*bare]) {
            figures.print(name, bare);
        }
    }
    Ok(())
}

fn bare_terminal(runtime: &tokio::runtime::Runtime, lines: usize) -> Result<Figures, HalError> {
    // The command's end is watched by the runtime; its output is not.
    let _inside = runtime.enter();
    let (master, terminal) = pair()?;
    let command = hal::process::Command::new(producer("stty raw <&1", lines));
    let _running = command.spawn(Some(terminal.into()))?;
    Ok(bare_loop(&master, usize::MAX))
}

/// Reads until `limit` bytes came or the other end is gone.
fn bare_loop(terminal: &OwnedFd, limit: usize) -> Figures {
    let mut buffer = vec![0; BUFFER];
    let meter = Meter::start();
    let mut bytes = 0;
    while bytes < limit {
        match rustix::io::read(terminal, &mut buffer) {
            Ok(length @ 1..) => bytes += length,
            // EIO: nobody has the terminal any more.
            _ => break,
        }
    }
    meter.stop(bytes)
}

/// Prints `lines` lines; the terminal adds nothing to them.
fn producer(set_up: &str, lines: usize) -> CommandLine {
    let text = "x".repeat(LINE);
    CommandLine::new("sh")
        .arg("-c")
        .arg(format!("{set_up}; yes {text} | head -n {lines}"))
}

async fn pty(lines: usize, fenced: bool) -> Result<Figures, HalError> {
    let console = PtyConsole::spawn(producer("stty raw", lines), PtyOptions::default())?;
    let mut console: Box<dyn Console> = match fenced {
        true => Box::new(Fenced::new(console, EpochCounter::default())),
        false => Box::new(console),
    };
    measure(&mut *console, usize::MAX).await
}

async fn tcp(lines: usize) -> Result<Figures, HalError> {
    let address = board_on_network(lines, b"")?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut console = TcpConsole::connect(&address, EpochCounter::default(), deadline).await?;
    measure(&mut console, usize::MAX).await
}

async fn telnet(lines: usize, binary: bool) -> Result<Figures, HalError> {
    // WILL BINARY, DO BINARY; or both refused.
    let greeting: &[u8] = match binary {
        true => b"\xff\xfb\x00\xff\xfd\x00",
        false => b"\xff\xfc\x00\xff\xfe\x00",
    };
    let address = board_on_network(lines, greeting)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut console = TelnetConsole::connect(&address, EpochCounter::default(), deadline).await?;
    measure(&mut console, usize::MAX).await
}

fn bare_serial(lines: usize) -> Result<Figures, HalError> {
    let (master, terminal) = pair()?;
    let mut settings = tcgetattr(&terminal).map_err(|error| failed("set", error))?;
    settings.make_raw();
    tcsetattr(&terminal, OptionalActions::Now, &settings).map_err(|error| failed("set", error))?;
    let board = print_lines(File::from(master), lines, b"");
    let figures = bare_loop(&terminal, lines * (LINE + 1));
    drop(board.join());
    Ok(figures)
}

async fn serial(lines: usize, fenced: bool) -> Result<Figures, HalError> {
    let (master, terminal) = pair()?;
    let name = ptsname(&master, Vec::new()).map_err(|error| failed("name", error))?;
    let node = PathBuf::from(std::ffi::OsString::from_vec(name.into_bytes()));
    let console = SerialConsole::open(&node, &LineSettings::default(), EpochCounter::default())?;
    drop(terminal);
    let board = print_lines(File::from(master), lines, b"");
    let mut console: Box<dyn Console> = match fenced {
        true => Box::new(Fenced::new(console, EpochCounter::default())),
        false => Box::new(console),
    };
    let figures = measure(&mut *console, lines * (LINE + 1)).await;
    drop(board.join());
    figures
}

async fn measure(console: &mut dyn Console, limit: usize) -> Result<Figures, HalError> {
    let mut buffer = vec![0; BUFFER];
    let meter = Meter::start();
    let mut bytes = 0;
    while bytes < limit {
        let chunk = console.read(&mut buffer).await?;
        if chunk.is_end() {
            break;
        }
        bytes += chunk.length;
    }
    Ok(meter.stop(bytes))
}

/// A board that greets its first client and prints; its address.
fn board_on_network(lines: usize, greeting: &'static [u8]) -> Result<String, HalError> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| failed("serve", error))?;
    let address = listener
        .local_addr()
        .map_err(|error| failed("serve", error))?;
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            let _ = print_lines(stream, lines, greeting).join();
        }
    });
    Ok(address.to_string())
}

/// Prints in a thread of its own; ends early when nobody reads.
fn print_lines<W: Write + Send + 'static>(
    mut board: W,
    lines: usize,
    greeting: &'static [u8],
) -> JoinHandle<W> {
    std::thread::spawn(move || {
        let mut block = "x".repeat(LINE).into_bytes();
        block.push(b'\n');
        let block = block.repeat(100);
        let mut written = board.write_all(greeting);
        let mut left = lines * (LINE + 1);
        while left > 0 && written.is_ok() {
            let length = left.min(block.len());
            written = board.write_all(&block[..length]);
            left -= length;
        }
        // Given back: what is left in a terminal when its master closes is thrown away.
        board
    })
}

fn pair() -> Result<(OwnedFd, OwnedFd), HalError> {
    let open = || -> io::Result<_> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let terminal = ioctl_tiocgptpeer(&master, flags)?;
        Ok((master, terminal))
    };
    open().map_err(|error| failed("open", error))
}

fn failed(doing: &str, error: impl Into<io::Error>) -> HalError {
    HalError::from_io(doing, "the measured terminal", error.into())
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
