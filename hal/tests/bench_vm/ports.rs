//! The bench's two serial ports, with the board at the far end of each.

use super::gadget::Gadget;
use crate::support::{peers, soon, wait_for};
use hal::{
    console::{Console, ConsoleExt, EpochCounter, LineSettings, SerialConsole, SerialFactory},
    discover::Factory,
    process::{Command, CommandLine, Running},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

pub(crate) const ADAPTER: &str = "/dev/ttyUSB0";

pub(crate) fn speed(baud: u32) -> LineSettings {
    LineSettings {
        baud: Some(baud),
        ..LineSettings::default()
    }
}

pub(crate) fn open(node: &Path, settings: &LineSettings) -> SerialConsole {
    SerialConsole::open(node, settings, EpochCounter::default()).unwrap()
}

/// How much may be on its way through the adapter. QEMU stands still, for good, when it writes
/// more than the socket to itself holds.
pub(crate) const ON_THE_WAY: usize = 16 << 10;

/// The far end of the adapter, which is no terminal: socat makes one of it.
pub(crate) struct Board {
    pub(crate) console: SerialConsole,
    _socat: Running,
    _directory: tempfile::TempDir,
}

impl Board {
    pub(crate) async fn of_adapter() -> Option<Self> {
        if !peers::have("socat") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("board");
        let ends = [
            "OPEN:/dev/virtio-ports/adapter".to_owned(),
            format!("PTY,link={},raw,echo=0", link.display()),
        ];
        let socat = peers::socat(ends, &directory.path().join("log")).await;
        Some(Self {
            console: open(&link, &speed(115_200)),
            _socat: socat,
            _directory: directory,
        })
    }
}

/// A port that the gadget offers.
pub(crate) struct Port {
    pub(crate) gadget: Gadget,
    pub(crate) node: PathBuf,
}

impl Port {
    pub(crate) async fn plug(controller: &'static str, serial: &str) -> Self {
        let gadget = Gadget::serial(controller, serial);
        let node = node_at(serial, 0).await;
        Self { gadget, node }
    }

    /// The board's side, whose speed the kernel leaves at 9600.
    pub(crate) fn board(&self) -> SerialConsole {
        open(&self.gadget.far_end(), &speed(9600))
    }
}

/// Waits for a port with this serial number that is none of the first ones.
pub(crate) async fn node_at(serial: &str, after: usize) -> PathBuf {
    wait_for(|| {
        let found = SerialFactory::default().list().unwrap();
        let mut fitting = found
            .iter()
            .filter(|port| port.serial.as_deref() == Some(serial));
        let node = fitting.nth(after).and_then(|port| port.node.clone());
        node.filter(|node| node.exists()).ok_or(found)
    })
    .await
}

pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Types `bytes` at one end and reads them at the other.
pub(crate) async fn carry(from: &mut impl Console, to: &mut impl Console, bytes: &[u8]) {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(60);
    for (number, part) in bytes.chunks(ON_THE_WAY).enumerate() {
        let typing = from.write_all(part, deadline);
        let (typed, got) = tokio::join!(typing, take(to, part.len(), deadline));
        typed.unwrap();
        let differs = got.iter().zip(part).position(|(got, sent)| got != sent);
        assert_eq!((differs, got.len()), (None, part.len()), "part {number}");
    }
    let (length, name) = (bytes.len(), from.description());
    eprintln!("{length} bytes from {name} in {:.1?}", begun.elapsed());
}

/// Reads at least `length` bytes.
pub(crate) async fn take(console: &mut impl Console, length: usize, deadline: Instant) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = vec![0; 4096];
    while got.len() < length {
        let chunk = timeout_at(deadline, console.read(&mut buffer)).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("only {} of {length} came", got.len()));
        let chunk = chunk.unwrap();
        assert!(!chunk.is_end(), "it closed after {} bytes", got.len());
        got.extend_from_slice(&buffer[..chunk.length]);
    }
    got
}

pub(crate) async fn run(program: &str, arguments: &[&str]) {
    let line = CommandLine::new(program).args(arguments.iter().copied());
    let output = Command::new(line)
        // The bench's root is not the one of its first process.
        .env("SYSTEMD_IGNORE_CHROOT", "1")
        .output(soon())
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.exit.success(), "{program} {arguments:?}: {errors}");
}
