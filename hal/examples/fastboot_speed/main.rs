//! How fast our client flashes over UDP, beside Debian's `fastboot` on the same device.
//!
//! ```text
//! cargo run --release -p hal --example fastboot_speed [MIB] [ROUNDS]
//! ```
//!
//! Two devices: the one the rack plays, and U-Boot in QEMU where `tools/uboot` made one. Each
//! round, one client after the other sends the same bytes, each in a process of its own and each
//! first in every second round; the medians of all rounds are compared. QEMU records U-Boot's
//! packets, so that what a client sent, and sent again, is counted in the same way for both.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod packets;

use hal::{
    ErrorKind, HalError,
    fastboot::{Fastboot, Image, open},
    process::{Command, CommandLine},
};
use packets::{Record, Traffic};
use rack::{
    fastboot_device::{Device, LinkFaults, UdpDevice},
    uboot::{UbootBoard, firmware},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};
use tokio::{runtime::Runtime, time::Instant};

const MIB: u64 = 1 << 20;

/// The first argument of a process that is to be our client.
const AS_CLIENT: &str = "as-client";

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = runtime()?;
    if let [first, target, partition, file] = arguments.as_slice()
        && first == AS_CLIENT
    {
        return runtime.block_on(flash(target, partition, Path::new(file)));
    }
    let mut numbers = arguments.iter().map_while(|argument| argument.parse().ok());
    let size = numbers.next().unwrap_or(64) * MIB;
    let rounds = numbers.next().unwrap_or(11);
    let directory = tempfile::tempdir().map_err(failed)?;
    let file = directory.path().join("image");
    let bytes: Vec<u8> = (0..size).map(|at| ((at * at) >> 7) as u8).collect();
    fs_err::write(&file, bytes).map_err(failed)?;

    for packet_size in [1024, 8192, 65_507] {
        let device = serve(size as usize, packet_size)?;
        let name = format!("rack, packets of {packet_size}");
        let clients = Clients::new(&device, "boot", &file)?;
        runtime.block_on(clients.compare(&name, size, rounds, None))?;
    }
    if let Err(missing) = firmware() {
        println!("U-Boot                    skipped: {missing}");
        return Ok(());
    }
    runtime.block_on(async {
        let packets = directory.path().join("packets");
        let board = UbootBoard::start_recorded(directory.path(), &packets, limit()).await?;
        board.enter_fastboot(limit()).await?;
        let clients = Clients::new(&board.target(), "rootfs", &file)?;
        let record = Some(Record::new(&packets));
        clients.compare("U-Boot", size, rounds, record).await
    })
}

/// Our client.
async fn flash(target: &str, partition: &str, file: &Path) -> Result<(), HalError> {
    let target = target.parse()?;
    let mut client = Fastboot::new(open(&target, limit()).await?);
    let image = Image::open(file)?;
    client.flash(partition, &image, |_| {}, limit()).await?;
    Ok(())
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

/// The same of all rounds: the lower quartile, the median and the upper quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let at = (values.len().saturating_sub(1) * quarter).div_ceil(4);
        values.get(at).copied().unwrap_or(f64::NAN)
    })
}

/// What a client took for a round.
#[derive(Clone, Copy, Debug)]
struct Round {
    time: Duration,
    cpu: Duration,
    traffic: Traffic,
}

/// Two programs that flash the same file to the same device.
struct Clients {
    debian: CommandLine,
    ours: CommandLine,
}

impl Clients {
    fn new(target: &str, partition: &str, file: &Path) -> Result<Self, HalError> {
        let flash = ["-s", target, "flash", partition].map(OsString::from);
        let us: PathBuf = std::env::current_exe().map_err(failed)?;
        Ok(Self {
            debian: CommandLine::new("fastboot").args(flash).arg(file),
            ours: CommandLine::new(us)
                .args([AS_CLIENT, target, partition].map(OsString::from))
                .arg(file),
        })
    }

    async fn compare(
        &self,
        name: &str,
        size: u64,
        rounds: u64,
        mut record: Option<Record>,
    ) -> Result<(), HalError> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            if round % 2 == 0 {
                theirs.push(measure(&self.debian, record.as_mut()).await?);
            }
            ours.push(measure(&self.ours, record.as_mut()).await?);
            if round % 2 == 1 {
                theirs.push(measure(&self.debian, record.as_mut()).await?);
            }
        }
        let mebibytes = size as f64 / MIB as f64;
        let speed = |round: &Round| mebibytes / round.time.as_secs_f64();
        print(name, "MiB/s", &theirs, &ours, speed);
        print("", "s of CPU", &theirs, &ours, |r| r.cpu.as_secs_f64());
        if record.is_some() {
            let show = |what: &str, value: fn(&Traffic) -> u64| {
                print("", what, &theirs, &ours, |r| value(&r.traffic) as f64);
            };
            show("packets", |traffic| traffic.sent);
            show("resent", |traffic| traffic.resent);
            show("bytes", |traffic| traffic.bytes);
            show("answers", |traffic| traffic.answers);
            show("ms by client", |traffic| traffic.client_micros / 1000);
            show("ms, longest", |traffic| traffic.longest_wait_micros / 1000);
        }
        Ok(())
    }
}

/// Prints a figure of both, and their ratio.
fn print(name: &str, what: &str, theirs: &[Round], ours: &[Round], figure: impl Fn(&Round) -> f64) {
    let [theirs, ours] =
        [theirs, ours].map(|rounds| quartiles(rounds.iter().map(&figure).collect()));
    let show = |[low, median, high]: [f64; 3]| format!("{median:>10.1} ({low:.1} to {high:.1})");
    println!(
        "{name:<22} {what:<12} Debian {:<30} ours {:<30} ratio {:.2}",
        show(theirs),
        show(ours),
        ours[1] / theirs[1]
    );
}

async fn measure(line: &CommandLine, record: Option<&mut Record>) -> Result<Round, HalError> {
    let command = Command::new(line.clone());
    let (start, cpu) = (Instant::now(), cpu_of_children());
    let output = command.output(limit()).await?;
    if !output.exit.success() {
        return Err(command.failure(&output.exit));
    }
    let time = start.elapsed();
    let traffic = record.map(Record::traffic).transpose().map_err(failed)?;
    Ok(Round {
        time,
        cpu: cpu_of_children().saturating_sub(cpu),
        traffic: traffic.unwrap_or_default(),
    })
}

/// What the processes used that ran below this one and ended.
fn cpu_of_children() -> Duration {
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_ascii_whitespace();
    // The 16th and 17th field of proc(5), in hundredths of a second; the name was the second.
    let ticks: u64 = fields
        .skip(13)
        .take(2)
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
