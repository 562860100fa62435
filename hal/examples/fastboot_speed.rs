//! How fast our client flashes over UDP, beside Debian's `fastboot` on the same device.
//!
//! ```text
//! cargo run --release -p hal --example fastboot_speed [MIB] [ROUNDS]
//! ```
//!
//! Two devices: the one the rack plays, and U-Boot in QEMU where `tools/uboot` made one. Each
//! round, one client after the other sends the same bytes; the medians of all rounds are compared.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use hal::{
    ErrorKind, HalError,
    fastboot::{Fastboot, Image, open},
    process::{Command, CommandLine},
};
use rack::{
    fastboot_device::{Device, LinkFaults, UdpDevice},
    uboot::{UbootBoard, firmware},
};
use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};
use tokio::{runtime::Runtime, time::Instant};

const MIB: u64 = 1 << 20;

/// Longer than any round takes.
fn limit() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn failed(error: std::io::Error) -> HalError {
    HalError::from_io("prepare", "the benchmark", error)
}

fn runtime() -> Result<Runtime, HalError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(failed)
}

fn main() -> Result<(), HalError> {
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|argument| argument.parse().ok());
    let size = arguments.next().unwrap_or(64) * MIB;
    let rounds = arguments.next().unwrap_or(7);
    let directory = tempfile::tempdir().map_err(failed)?;
    let file = directory.path().join("image");
    let bytes: Vec<u8> = (0..size).map(|at| ((at * at) >> 7) as u8).collect();
    fs_err::write(&file, bytes).map_err(failed)?;
    let runtime = runtime()?;

    for packet_size in [1024, 8192, 65_507] {
        let device = serve(size as usize, packet_size)?;
        let name = format!("rack, packets of {packet_size}");
        let clients = Clients::new(&device, "boot", &file);
        runtime.block_on(clients.compare(&name, size, rounds))?;
    }
    if let Err(missing) = firmware() {
        println!("U-Boot                    skipped: {missing}");
        return Ok(());
    }
    runtime.block_on(async {
        let board = UbootBoard::start(directory.path(), limit()).await?;
        board.enter_fastboot(limit()).await?;
        let (target, size) = (board.target(), size.min(64 * MIB));
        let clients = Clients::new(&target, "rootfs", &file);
        clients.compare("U-Boot in QEMU", size, rounds).await
    })
}

/// A device in a thread of its own, as it would be a machine of its own.
fn serve(size: usize, packet_size: u16) -> Result<String, HalError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime()?;
        runtime.block_on(async {
            let device = Device::new(1 << 30, &[("boot", size)]);
            let served = UdpDevice::start(device, packet_size, LinkFaults::default()).await;
            let served = served.map_err(failed)?;
            let _ = sender.send(format!("udp:{}", served.address()));
            std::future::pending::<Result<(), HalError>>().await
        })
    });
    receiver
        .recv()
        .map_err(|_| HalError::new(ErrorKind::Other, "the rack's device", "it did not start"))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(Duration::MAX)
}

/// Two programs that flash the same file to the same device.
struct Clients {
    target: String,
    partition: &'static str,
    file: PathBuf,
}

impl Clients {
    fn new(target: &str, partition: &'static str, file: &Path) -> Self {
        Self {
            target: target.to_owned(),
            partition,
            file: file.to_owned(),
        }
    }

    async fn compare(&self, name: &str, size: u64, rounds: u64) -> Result<(), HalError> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            theirs.push(self.debian().await?);
            ours.push(self.ours().await?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let speed = |took: Duration| size as f64 / MIB as f64 / took.as_secs_f64();
        println!(
            "{name:<25} Debian {:>7.1} MiB/s   ours {:>7.1} MiB/s   ratio {:.2}",
            speed(theirs),
            speed(ours),
            speed(ours) / speed(theirs)
        );
        Ok(())
    }

    async fn ours(&self) -> Result<Duration, HalError> {
        let start = Instant::now();
        let target = self.target.parse()?;
        let mut client = Fastboot::new(open(&target, limit()).await?);
        let image = Image::open(&self.file)?;
        client
            .flash(self.partition, &image, |_| {}, limit())
            .await?;
        Ok(start.elapsed())
    }

    async fn debian(&self) -> Result<Duration, HalError> {
        let line = CommandLine::new("fastboot")
            .args(["-s", &self.target, "flash", self.partition])
            .arg(&self.file);
        let command = Command::new(line);
        let start = Instant::now();
        let output = command.output(limit()).await?;
        if output.exit.success() {
            Ok(start.elapsed())
        } else {
            Err(command.failure(&output.exit))
        }
    }
}
