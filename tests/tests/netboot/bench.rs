//! A board of the rack as a device of a lab, and jobs on it.

use integration::{Lab, board_images, say, skipped};
use rack::{NetworkConfig, Rack, RackConfig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A rack with one board, whose files are those of a lab.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) rack: Rack,
    pub(crate) images: PathBuf,
    board: String,
}

/// How a kernel is booted on a board.
pub(crate) struct Kernel {
    /// The job's type of it.
    pub(crate) kernel_type: &'static str,
    /// U-Boot's command.
    pub(crate) command: &'static str,
    /// Debian's architecture, and mkimage's.
    pub(crate) architecture: [&'static str; 2],
}

pub(crate) const ARM64: Kernel = Kernel {
    kernel_type: "image",
    command: "booti",
    architecture: ["arm64", "arm64"],
};

/// A PC has no header and no addresses.
pub(crate) const AMD64: Kernel = Kernel {
    kernel_type: "",
    command: "",
    architecture: ["amd64", "x86_64"],
};

pub(crate) const ARMHF: Kernel = Kernel {
    kernel_type: "zimage",
    command: "bootz",
    architecture: ["armhf", "arm"],
};

impl Bench {
    /// A rack with `board`, after `change`; `None`, with the reason, where it cannot run.
    pub(crate) async fn new(
        board: &str,
        kernel: &Kernel,
        change: impl FnOnce(&mut NetworkConfig, &mut Option<PathBuf>, &Lab),
    ) -> Option<Self> {
        let images = board_images(kernel.architecture[0])?;
        let lab = Lab::new();
        let mut config = RackConfig::built_in().unwrap().only(&[board]).unwrap();
        config.pdu = Default::default();
        let of_board = config.board.get_mut(board).unwrap();
        let network = of_board.network.as_mut().unwrap();
        change(network, &mut of_board.firmware, &lab);
        let rack = Rack::start(config, &lab.path("rack")).await.unwrap();
        if let Some(why) = rack.left_out().get(board) {
            skipped(&format!("board {board} cannot run here: {why}"));
            return None;
        }
        Some(Self {
            lab,
            rack,
            images,
            board: board.to_owned(),
        })
    }

    /// The board with its console and its power, and no way to boot.
    pub(crate) fn bare_device(&self) -> Value {
        let board = self.rack.board(&self.board).unwrap();
        let pdu = self.rack.pdu().http();
        let power = |what: &str| {
            let outlet = board.outlet();
            format!("curl -sSf 'http://{pdu}/power/control/{what}?hostname=rack&port={outlet}'")
        };
        let connect = format!(
            "socat -,raw,echo=0 {},raw,echo=0",
            board.console().display()
        );
        let mut device = self.lab.device(&connect);
        device["hostname"] = json!(self.board);
        device["commands"]["hard_reset"] = json!([power("off"), power("on")]);
        device["commands"]["power_off"] = json!(power("off"));
        device
    }

    /// The board as LAVA's template of such a board would describe it, with U-Boot.
    pub(crate) fn device(&self, kernel: &Kernel) -> Value {
        let mut device = self.bare_device();
        device["parameters"] = json!({ kernel.command: {
            "kernel": "0x40400000", "ramdisk": "0x48000000", "dtb": "0x40000000",
        }});
        device["actions"]["deploy"]["parameters"] =
            json!({ "add_header": "u-boot", "mkimage_arch": kernel.architecture[1] });
        device["constants"]["u-boot"] = json!({
            "interrupt-character": " ",
            "final-message": "Starting kernel",
            "error-messages": [
                "Resetting CPU", "TIMEOUT", "Retry count exceeded", "File not found",
                "Bad Linux ARM64 Image magic!", "Wrong Ramdisk Image Format",
                "Ramdisk image is corrupt or invalid",
            ],
        });
        device["actions"]["boot"]["methods"]["u-boot"] = json!({
            "parameters": {
                "bootloader_prompt": "=>",
                "interrupt_prompt": "Hit any key to stop autoboot",
            },
            "ramdisk": { "commands": [
                "setenv autoload no",
                "setenv tftpdstp {TFTP_PORT}",
                "dhcp",
                "setenv serverip {SERVER_IP}",
                "tftp {KERNEL_ADDR} {KERNEL}",
                "tftp {RAMDISK_ADDR} {RAMDISK}",
                "tftp {DTB_ADDR} {DTB}",
                "setenv bootargs 'console=ttyAMA0,115200n8 root=/dev/ram0'",
                "{BOOTX}",
            ]},
        });
        device
    }

    /// A job that loads kernel and ramdisk and runs three tests.
    pub(crate) fn job(&self, kernel: &Kernel) -> String {
        let kernel_type = format!(", type: {}", kernel.kernel_type);
        self.job_of("u-boot", &kernel_type)
    }

    /// As [`Self::job`], by another boot method.
    pub(crate) fn job_of(&self, method: &str, kernel_keys: &str) -> String {
        let images = self.images.display();
        format!(
            "\
device_type: board
job_name: boot from the network
timeouts: {{job: {{minutes: 5}}, action: {{minutes: 4}}, connection: {{minutes: 2}}}}
priority: medium
visibility: public
actions:
- deploy:
    to: tftp
    os: oe
    kernel: {{url: 'file://{images}/kernel'{kernel_keys}}}
    ramdisk: {{url: 'file://{images}/ramdisk.cpio.gz', compression: gz}}
- boot:
    method: {method}
    commands: ramdisk
    auto_login: {{login_prompt: 'board login:', username: root}}
    prompts: ['root@board:']
- test:
    definitions:
    - from: inline
      name: smoke
      path: inline/smoke.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: smoke, description: smoke}}
        run:
          steps:
          - lava-test-case uname --shell uname -a
          - lava-test-case memory --shell cat /proc/meminfo
          - lava-test-case nothing --shell false
"
        )
    }

    /// Whether the board has power, as its PDU says.
    pub(crate) async fn has_power(&self) -> bool {
        let board = self.rack.board(&self.board).unwrap();
        board.relay().await == hal::power::PowerState::On
    }

    /// Runs a job in a process of its own, while the rack goes on here.
    pub(crate) async fn run(
        &self,
        job: &str,
        device: &Value,
        options: &[&str],
    ) -> integration::Finished {
        let run = self.lab.run(job, device).args(options);
        tokio::task::spawn_blocking(move || run.finish())
            .await
            .unwrap()
    }
}

/// What the log tells of files that were loaded; said aloud as well, for who wonders about a slow
/// boot.
pub(crate) fn transfers(output: &Path) -> Vec<String> {
    let log = fs_err::read_to_string(output.join("logs.yaml")).unwrap();
    let told = ["TFTP: ", "HTTP: ", "NBD: "];
    let lines = log
        .lines()
        .filter(|line| told.iter().any(|protocol| line.contains(protocol)));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.iter().for_each(|line| say(line));
    lines
}
