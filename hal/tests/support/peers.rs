//! Real counterparts of consoles: socat, ser2net, sshd, Python. Each is a child of the test and
//! ends with it.

use super::{soon, wait_for};
use hal::process::{Command, CommandLine, Running, find_program};
use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};
use tokio::net::TcpStream;

/// Whether a program is there; says so when a test has to be skipped.
pub fn have(program: &str) -> bool {
    let found = find_program(OsStr::new(program), None, None).is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is not installed; see tools/packages");
    }
    found
}

/// A Python that has `module`; says so when a test has to be skipped. The first `python3` of
/// `$PATH` may not be the system's, which has the system's modules.
pub async fn python_with(module: &str) -> Option<&'static str> {
    for python in ["python3", "/usr/bin/python3"] {
        let import = format!("import {module}");
        let line = CommandLine::new(python).args(["-W", "ignore", "-c", &import]);
        let exit = Command::new(line).run(soon(), |_| {}).await;
        if exit.is_ok_and(|exit| exit.success()) {
            return Some(python);
        }
    }
    eprintln!("SKIPPED: no python3 with the module {module}; see tools/packages");
    None
}

/// Starts a program that runs until the value is dropped; what it prints goes to `log`.
pub fn start(line: CommandLine, log: &Path) -> Running {
    let log = fs_err::File::create(log).unwrap().into_parts().0;
    Command::new(line).spawn(Some(log)).unwrap()
}

/// Starts socat, and waits until both ends are open and set: it names a pseudo-terminal before it
/// sets it, and whoever sets it in between has its settings undone.
pub async fn socat(ends: [String; 2], log: &Path) -> Running {
    let line = CommandLine::new("socat").args(["-d", "-d"]).args(ends);
    let socat = start(line, log);
    wait_for(|| {
        let said = fs_err::read_to_string(log).unwrap();
        if said.contains("starting data transfer loop") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    socat
}

/// A port of the loopback that was free a moment ago, for programs that cannot say which one
/// they got.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until somebody listens.
pub async fn wait_for_port(port: u16) {
    let deadline = soon();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "nobody listens at {port}"
        );
        ticks.tick().await;
    }
}

/// Two serial ports with a cable between them, by socat.
pub struct Cable {
    directory: tempfile::TempDir,
    socat: Option<Running>,
}

impl Cable {
    /// `None`, with a word, when there is no socat.
    pub async fn new() -> Option<Self> {
        if !have("socat") {
            return None;
        }
        let mut cable = Self {
            directory: tempfile::tempdir().unwrap(),
            socat: None,
        };
        cable.plug("").await;
        Some(cable)
    }

    /// Makes both ports, again; `options` are socat's for the first one.
    pub async fn plug(&mut self, options: &str) {
        let pty = |link: PathBuf, options: &str| {
            format!("PTY,link={},raw,echo=0{options}", link.display())
        };
        let ends = [pty(self.one(), options), pty(self.other(), "")];
        self.socat = Some(socat(ends, &self.path("socat.log")).await);
    }

    /// The devices vanish.
    pub fn unplug(&mut self) {
        self.socat = None;
        for end in [self.one(), self.other()] {
            let _ = fs_err::remove_file(end);
        }
    }

    pub fn one(&self) -> PathBuf {
        self.path("one")
    }

    pub fn other(&self) -> PathBuf {
        self.path("other")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// ser2net with one accepter in front of a serial port, and the port it listens at.
pub async fn ser2net(accepter: &str, cable: &Cable) -> Option<(Running, u16)> {
    ser2net_of(accepter, &cable.one(), cable.directory.path()).await
}

/// As [`ser2net`], for the port at `node`; its files go to `directory`.
pub async fn ser2net_of(accepter: &str, node: &Path, directory: &Path) -> Option<(Running, u16)> {
    if !have("ser2net") {
        return None;
    }
    let port = free_port();
    let accepter = accepter.replace("PORT", &port.to_string());
    let text = format!(
        "connection: &board\n  accepter: {accepter}\n  connector: serialdev,{},115200n81,local\n",
        node.display()
    );
    let config = directory.join("ser2net.yaml");
    fs_err::write(&config, text).unwrap();
    let line = CommandLine::new("ser2net")
        .args(["-n", "-d", "-c"])
        .arg(config)
        .arg("-P")
        .arg(directory.join("ser2net.pid"));
    let running = start(line, &directory.join("ser2net.log"));
    wait_until_bound(port).await;
    Some((running, port))
}

/// As [`wait_for_port`], without a connection that a server might count.
async fn wait_until_bound(port: u16) {
    let wanted = format!("0100007F:{port:04X}");
    wait_for(|| {
        let table = fs_err::read_to_string("/proc/net/tcp")?;
        let bound = table
            .lines()
            .any(|line| line.contains(&wanted) && line.contains(" 0A "));
        if bound {
            Ok(())
        } else {
            Err(io::Error::other("nobody listens"))
        }
    })
    .await;
}
