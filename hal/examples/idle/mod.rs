//! Many consoles that nobody types at, with their boards' ends in the same process.

use hal::{
    HalError,
    console::{
        Console, ConsoleExt, EpochCounter, Fenced, LineSettings, SerialConsole, TcpConsole,
        TelnetConsole,
    },
};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use std::{
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::PathBuf,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// A board's end.
enum Board {
    Terminal(OwnedFd),
    Connection(TcpStream),
}

/// Consoles of three kinds: 40 % serial ports (on pseudo-terminals), 40 % TCP, 20 % telnet.
pub(crate) struct Idle {
    pub(crate) consoles: Vec<Box<dyn Console>>,
    boards: Vec<Board>,
}

impl Idle {
    /// Opens `count` consoles, or `None` when the limit of open files is too low for that.
    pub(crate) async fn open(count: usize) -> Result<Option<Self>, HalError> {
        let files = 2 * count as u64 + 100;
        let limit = getrlimit(Resource::Nofile);
        if limit.maximum.is_some_and(|maximum| maximum < files) {
            return Ok(None);
        }
        let raised = Rlimit {
            current: Some(limit.current.map_or(files, |current| current.max(files))),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_err() {
            return Ok(None);
        }
        let mut lab = Self {
            consoles: Vec::with_capacity(count),
            boards: Vec::with_capacity(count),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        for index in 0..count {
            let epoch = EpochCounter::default();
            let deadline = Instant::now() + Duration::from_secs(10);
            if index * 10 < count * 4 {
                let (terminal, node) = terminal().map_err(failed)?;
                let console = SerialConsole::open(&node, &LineSettings::default(), epoch.clone())?;
                lab.add(Fenced::new(console, epoch), Board::Terminal(terminal));
                continue;
            }
            if index * 10 < count * 8 {
                let console = TcpConsole::connect(&address, epoch.clone(), deadline).await?;
                let (board, _) = listener.accept().await.map_err(failed)?;
                lab.add(Fenced::new(console, epoch), Board::Connection(board));
            } else {
                // Its server answers nothing: not waited for.
                let stream = TcpStream::connect(&address).await.map_err(failed)?;
                let console = TelnetConsole::new(stream, "telnet", epoch.clone());
                let (board, _) = listener.accept().await.map_err(failed)?;
                lab.add(Fenced::new(console, epoch), Board::Connection(board));
            }
        }
        Ok(Some(lab))
    }

    fn add(&mut self, console: impl Console + 'static, board: Board) {
        self.consoles.push(Box::new(console));
        self.boards.push(board);
    }

    /// A board says something.
    #[allow(dead_code, reason = "the test uses it, the example does not")]
    pub(crate) async fn say(&self, index: usize, bytes: &[u8]) -> io::Result<()> {
        match &self.boards[index] {
            Board::Terminal(terminal) => rustix::io::write(terminal, bytes).map(drop)?,
            Board::Connection(stream) => {
                stream.writable().await?;
                stream.try_write(bytes)?;
            }
        }
        Ok(())
    }

    /// A task for each console waits for its next byte until `time` is over, as a runner's would.
    pub(crate) async fn wait(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let mut readers = JoinSet::new();
        for (index, mut console) in self.consoles.drain(..).enumerate() {
            readers.spawn(async move {
                // The buffer of a runner is made when there is something to read; here it is small.
                let mut buffer = [0; 64];
                let _ = timeout_at(until, console.read(&mut buffer)).await;
                (index, console)
            });
        }
        let mut back = readers.join_all().await;
        back.sort_by_key(|(index, _)| *index);
        self.consoles = back.into_iter().map(|(_, console)| console).collect();
    }
}

fn terminal() -> io::Result<(OwnedFd, PathBuf)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?.into_bytes();
    Ok((master, PathBuf::from(std::ffi::OsString::from_vec(name))))
}

fn failed(error: io::Error) -> HalError {
    HalError::from_io("open", "the boards' ends", error)
}

/// How much memory this process has, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().nth(1));
    size.and_then(|size| size.parse().ok()).unwrap_or_default()
}
