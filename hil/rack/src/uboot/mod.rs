//! A board with a real bootloader: U-Boot in QEMU, flashed over UDP.
//!
//! Used by tests and benchmarks of fastboot. The firmware is what `tools/uboot` built. It starts
//! QEMU through `hal::process`; dropping the board ends it.

mod console;

use console::Watched;
use hal::{
    ErrorKind, HalError,
    console::{PtyConsole, PtyOptions},
    process::{Command, CommandLine},
};
use std::{
    net::UdpSocket,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// Where `tools/uboot` leaves the firmware, from the workspace's root.
const FIRMWARE: &str = ".cache/uboot/arm64/u-boot.bin";

/// The environment variable that names another firmware.
const FIRMWARE_VARIABLE: &str = "PUMICE_UBOOT";

const MIB: u64 = 1 << 20;

/// The partitions of the board's card: name, first byte, length.
pub const PARTITIONS: [(&str, u64, u64); 2] =
    [("boot", MIB, 16 * MIB), ("rootfs", 17 * MIB, 64 * MIB)];

/// The card's length: a power of two, as cards are.
const CARD: u64 = 128 * MIB;

/// An arm64 board.
#[derive(Debug)]
pub struct UbootBoard {
    console: Watched,
    card: PathBuf,
    port: u16,
}

/// The firmware and the program to run it on, or what is missing.
///
/// # Errors
/// What to install or to run first.
pub fn firmware() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let firmware = match std::env::var_os(FIRMWARE_VARIABLE) {
        Some(path) => path.into(),
        None => root.join(FIRMWARE),
    };
    if !firmware.exists() {
        return Err(format!("no {} (run tools/uboot)", firmware.display()));
    }
    for program in ["qemu-system-aarch64", "sfdisk"] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        if !places.any(|place| place.join(program).exists()) {
            return Err(format!("no {program}"));
        }
    }
    Ok(firmware)
}

impl UbootBoard {
    /// Makes a card in `directory` and starts the board.
    ///
    /// # Errors
    /// When something is missing or cannot be started.
    pub async fn start(directory: &Path, deadline: Instant) -> Result<Self, HalError> {
        Self::start_with(directory, None, deadline).await
    }

    /// As [`Self::start`]; QEMU writes the first bytes of each packet to the file `packets`, in
    /// pcap's format.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_recorded(
        directory: &Path,
        packets: &Path,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        Self::start_with(directory, Some(packets), deadline).await
    }

    async fn start_with(
        directory: &Path,
        packets: Option<&Path>,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let firmware =
            firmware().map_err(|missing| HalError::new(ErrorKind::NotFound, "U-Boot", missing))?;
        let card = directory.join("card.img");
        make_card(&card, deadline).await?;
        let port = free_port().map_err(|e| HalError::from_io("find", "a free port", e))?;
        let mut line = CommandLine::new("qemu-system-aarch64")
            .args([
                "-M",
                "virt",
                "-cpu",
                "cortex-a57",
                "-m",
                "1024",
                "-nodefaults",
            ])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .arg("-bios")
            .arg(firmware)
            .arg("-netdev")
            .arg(format!("user,id=net,hostfwd=udp:127.0.0.1:{port}-:5554"))
            .args([
                "-device",
                "virtio-net-device,netdev=net",
                "-device",
                "sdhci-pci",
            ])
            .arg("-drive")
            .arg(format!(
                "if=none,id=card,format=raw,file={}",
                card.display()
            ))
            .args(["-device", "sd-card,drive=card"]);
        if let Some(packets) = packets {
            let file = packets.display();
            let dump = format!("filter-dump,id=packets,netdev=net,maxlen=64,file={file}");
            line = line.arg("-object").arg(dump);
        }
        let console = PtyConsole::spawn(line, PtyOptions::default())?;
        Ok(Self {
            console: Watched::new(console),
            card,
            port,
        })
    }

    /// Stops the autoboot that is about to come, and starts fastboot.
    ///
    /// # Errors
    /// `Timeout` with what the console said.
    pub async fn enter_fastboot(&self, deadline: Instant) -> Result<(), HalError> {
        self.console.wait_for("Hit any key", deadline).await?;
        self.console.type_in(" ").await?;
        self.console.wait_for("=> ", deadline).await?;
        self.console.type_in("setenv autoload no; dhcp\r").await?;
        self.console.wait_for("DHCP client bound", deadline).await?;
        self.console.wait_for("=> ", deadline).await?;
        self.console.type_in("fastboot udp\r").await?;
        self.console
            .wait_for("Listening for fastboot", deadline)
            .await
    }

    /// What its device is called: "udp:127.0.0.1:PORT".
    pub fn target(&self) -> String {
        format!("udp:127.0.0.1:{}", self.port)
    }

    /// The first `length` bytes of a partition, from the card itself.
    ///
    /// # Errors
    /// When there is no such partition, or when the card cannot be read.
    pub fn read(&self, partition: &str, length: usize) -> Result<Vec<u8>, HalError> {
        let name = self.card.display().to_string();
        let known = PARTITIONS.iter().find(|(name, ..)| *name == partition);
        let (_, start, _) = known.ok_or_else(|| {
            let message = format!("{name} has no partition {partition}");
            HalError::new(ErrorKind::NotFound, &name, message)
        })?;
        let mut bytes = vec![0; length];
        let file = fs_err::File::open(&self.card);
        file.and_then(|file| file.file().read_exact_at(&mut bytes, *start))
            .map_err(|error| HalError::from_io("read", name, error))?;
        Ok(bytes)
    }
}

/// A sparse file with a partition table.
async fn make_card(card: &Path, deadline: Instant) -> Result<(), HalError> {
    let failed = |error| HalError::from_io("make", card.display().to_string(), error);
    let file = fs_err::File::create(card).map_err(failed)?;
    file.set_len(CARD).map_err(failed)?;
    let rows = PARTITIONS.map(|(name, start, length)| {
        format!("start={}, size={}, name={name}", start / 512, length / 512)
    });
    let table = format!("label: gpt\n{}\n", rows.join("\n"));
    // sfdisk reads the table from its standard input.
    let line = CommandLine::new("sh")
        .args([
            "-c",
            "printf '%s' \"$1\" | PATH=$PATH:/usr/sbin:/sbin sfdisk -q \"$2\"",
            "sh",
        ])
        .arg(table)
        .arg(card);
    let command = Command::new(line);
    let output = command.output(deadline).await?;
    if output.exit.success() {
        Ok(())
    } else {
        Err(command.failure(&output.exit))
    }
}

/// A UDP port that nobody has now.
fn free_port() -> std::io::Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}
