//! Scripted PDUs: each keeps its outlets, knows its own protocol, and listens on a port of its own
//! or on a pseudo-terminal. What they heard is kept for comparison.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "every test program uses a part of it, and fails where it cannot go on"
)]

use hal::{
    HalError,
    console::EpochCounter,
    lab::{PduConfig, Secret},
    power::{Outlet, OutletPower, OutletTiming, Pdu, SharedPdu, models::Models},
    process::{Command, CommandLine},
};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::Instant,
};
use tokio_serial::{SerialPort, SerialStream};

/// What a device says to what it heard.
#[derive(Debug, Default)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub close: bool,
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        let close = false;
        Self { bytes, close }
    }
}

/// A device's own side of its protocol.
pub trait Device: Send + 'static {
    /// Somebody connects: what it says first.
    fn connect(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// It hears `bytes`.
    fn hear(&mut self, bytes: &[u8]) -> Answer;

    /// Its relays, first outlet first.
    fn outlets(&mut self) -> &mut Vec<bool>;
}

impl Device for Box<dyn Device> {
    fn connect(&mut self) -> Vec<u8> {
        (**self).connect()
    }

    fn hear(&mut self, bytes: &[u8]) -> Answer {
        (**self).hear(bytes)
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        (**self).outlets()
    }
}

type Shared = Arc<Mutex<Box<dyn Device>>>;

/// A device that runs.
pub struct Simulator {
    pub address: String,
    device: Shared,
    heard: Arc<Mutex<Vec<u8>>>,
    connected: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    _terminal: Option<OwnedFd>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Simulator {
    /// Listens on a port of its own. One connection at a time, as most PDUs have it.
    pub async fn tcp(device: impl Device) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let device: Shared = Arc::new(Mutex::new(Box::new(device)));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let connected = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (device, heard, connected) = (device.clone(), heard.clone(), connected.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connected.fetch_add(1, Ordering::SeqCst);
                    let _ = serve(stream, &device, &heard).await;
                    connected.fetch_sub(1, Ordering::SeqCst);
                }
            }
        });
        Self {
            address,
            device,
            heard,
            connected,
            task,
            _terminal: None,
        }
    }

    /// Sits behind a pseudo-terminal.
    pub fn serial(device: impl Device) -> Self {
        let (master, mut terminal) = SerialStream::pair().unwrap();
        terminal.set_exclusive(false).unwrap();
        let address = terminal.name().unwrap();
        // Kept open without the lock, so that the master lives on between two users of it.
        let terminal = hal::device::open_device(address.as_ref()).unwrap();
        let device: Shared = Arc::new(Mutex::new(Box::new(device)));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let (device, heard) = (device.clone(), heard.clone());
            async move { serve(master, &device, &heard).await.unwrap() }
        });
        Self {
            address,
            device,
            heard,
            connected: Arc::default(),
            task,
            _terminal: Some(terminal),
        }
    }

    /// Whether an outlet is on, by its place.
    pub fn is_on(&self, index: usize) -> bool {
        self.device.lock().unwrap().outlets()[index]
    }

    /// All of its outlets.
    pub fn outlets(&self) -> Vec<bool> {
        self.device.lock().unwrap().outlets().clone()
    }

    /// What it heard since it was last asked, once everybody has hung up.
    pub async fn take_heard(&self) -> Vec<u8> {
        super::support::wait_for(|| {
            let heard = !self.heard.lock().unwrap().is_empty();
            match self.connected.load(Ordering::SeqCst) {
                0 if heard => Ok(()),
                connections => Err((connections, heard)),
            }
        })
        .await;
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    device: &Shared,
    heard: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let greeting = device.lock().unwrap().connect();
    stream.write_all(&greeting).await?;
    let mut buffer = [0; 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        heard.lock().unwrap().extend_from_slice(&buffer[..length]);
        let answer = device.lock().unwrap().hear(&buffer[..length]);
        stream.write_all(&answer.bytes).await?;
        if answer.close {
            return Ok(());
        }
    }
}

/// A PDU of `model` at `address`.
pub fn config(model: &str, address: &str) -> PduConfig {
    PduConfig {
        name: "rack1".to_owned(),
        model: model.to_owned(),
        address: Some(address.to_owned()),
        timeout: Some(Duration::from_secs(20)),
        ..PduConfig::default()
    }
}

/// The same with a password.
pub fn with_password(mut config: PduConfig, password: &str) -> PduConfig {
    config.password = Some(Secret::new(password));
    config
}

pub fn open(config: &PduConfig) -> Box<dyn Pdu> {
    Models::built_in().unwrap().open(config).unwrap()
}

pub fn outlet(number: u32) -> Outlet {
    number.to_string().parse().unwrap()
}

/// An outlet's power, which does not wait long for relays.
pub fn power(config: &PduConfig, number: u32) -> OutletPower {
    let timing = OutletTiming {
        off_for: Duration::ZERO,
        settle: Duration::from_millis(300),
        poll: Duration::from_millis(50),
    };
    let shared = SharedPdu::new("rack1", open(config));
    OutletPower::new(shared, outlet(number), timing, EpochCounter::default())
}

/// Far longer than a simulator takes on a loaded machine.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Checks an error that names the PDU, came in time, and hides the password.
#[track_caller]
pub fn check_error<T: std::fmt::Debug>(
    result: Result<T, HalError>,
    kind: hal::ErrorKind,
    part: &str,
) {
    let error = result.unwrap_err();
    let text = format!("{error} / {error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    assert!(error.to_string().contains("rack1"), "{text}");
    assert!(error.to_string().contains(part), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

/// Bytes of a dialogue.
pub fn as_text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Bytes of frames.
pub fn as_hexadecimal(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// The Python that has the packages of others that the tests compare with.
pub fn python() -> String {
    std::env::var("PUMICE_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned())
}

/// Lets pdudaemon's driver of `model`, in its file `module`, switch an outlet; `false`, said
/// loudly, where it is not installed.
pub async fn pdudaemon(
    module: &str,
    model: &str,
    settings: serde_json::Value,
    commands: &str,
    outlet: u32,
) -> bool {
    let line = CommandLine::new(python())
        .arg("-c")
        .arg(include_str!("pdudaemon.py"))
        .arg(module)
        .arg(model)
        .arg(settings.to_string())
        .arg(commands)
        .arg(outlet.to_string());
    let mut said = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    let ended = Command::new(line)
        .run(deadline, |line| {
            said.push(String::from_utf8_lossy(line).into_owned())
        })
        .await
        .unwrap_or_else(|error| panic!("{model}: {error}: {said:?}"));
    if ended.returncode() == 3 {
        eprintln!("SKIPPED: no pdudaemon (PUMICE_PYTHON names another Python): {said:?}");
        return false;
    }
    assert!(ended.success(), "pdudaemon's {model} failed: {said:?}");
    true
}
