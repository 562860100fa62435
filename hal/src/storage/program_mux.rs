//! Muxes that their vendor's program tells: `usbsdmux` and `usbmuxctl`.
//!
//! The exchange of USB-SD-Mux (I²C through vendor commands of its card reader) and of USB-Mux is
//! their vendor's own; the programs are packaged by distributions and on PyPI.

use super::{
    Side, StorageMux,
    control_mux::unconfirmed,
    mux::{DiskAt, Target},
};
use crate::{
    error::{ErrorKind, HalError},
    process::{Command, CommandLine, Output},
    usb::{NodeKind, UsbDevice},
};
use async_trait::async_trait;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// How much a program may print.
const OUTPUT_LIMIT: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    UsbSdMux,
    UsbMux,
}

/// USB-SD-Mux and USB-Mux of Linux Automation.
#[derive(Clone, Debug)]
pub struct ProgramMux {
    kind: Kind,
    target: Target,
    program: OsString,
}

impl ProgramMux {
    pub(super) fn usbsdmux(target: Target) -> Self {
        Self {
            kind: Kind::UsbSdMux,
            target,
            program: "usbsdmux".into(),
        }
    }

    pub(super) fn usb_mux(target: Target) -> Self {
        Self {
            kind: Kind::UsbMux,
            target,
            program: "usbmuxctl".into(),
        }
    }

    /// The command that does it, or asks when `side` is `None`.
    fn line(&self, device: &UsbDevice, side: Option<Side>) -> Result<CommandLine, HalError> {
        let line = CommandLine::new(&self.program);
        Ok(match self.kind {
            Kind::UsbSdMux => {
                let node = scsi_generic(device)?;
                line.arg(node).arg(match side {
                    Some(Side::Host) => "host",
                    Some(Side::Board) => "dut",
                    Some(Side::Off) => "off",
                    None => "get",
                })
            }
            Kind::UsbMux => {
                let line = line.arg("--path").arg(&device.path);
                match side {
                    Some(Side::Host) => line.args(["connect", "--host-device"]),
                    Some(Side::Board) => line.args(["connect", "--dut-device"]),
                    Some(Side::Off) => line.arg("disconnect"),
                    // What it prints of its state is for people and changes.
                    None => line.arg("status"),
                }
            }
        })
    }

    async fn run(&self, side: Option<Side>, deadline: Instant) -> Result<String, HalError> {
        let device = self.target.find()?;
        let command = Command::new(self.line(&device, side)?).output_limit(OUTPUT_LIMIT);
        let output = command
            .output(deadline)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    error.with_hint("install it: pip install usbsdmux usbmuxctl")
                }
                _ => error,
            })?;
        if output.exit.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(&device, &command, &output))
    }
}

fn failed(device: &UsbDevice, command: &Command, output: &Output) -> HalError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let said: String = said.trim().chars().take(200).collect();
    let failure = command.failure(&output.exit);
    let message = format!("{}: {failure}: {}", device.describe(), said.escape_debug());
    HalError::new(ErrorKind::CommandFailed, device.describe(), message)
        .with_hint("run it by hand as the same user: it may lack the right to use the device")
}

/// The node by which a card reader takes SCSI commands.
fn scsi_generic(device: &UsbDevice) -> Result<&Path, HalError> {
    device.nodes(NodeKind::ScsiGeneric).next().ok_or_else(|| {
        let name = device.describe();
        let message = format!("{name} has no node for SCSI commands (/dev/sg*)");
        HalError::new(ErrorKind::NotFound, name, message)
            .with_hint("is the kernel's module 'sg' loaded?")
    })
}

#[async_trait]
impl StorageMux for ProgramMux {
    async fn set(&mut self, side: Side, deadline: Instant) -> Result<(), HalError> {
        self.run(Some(side), deadline).await?;
        match self.state(deadline).await? {
            Some(is) if is != side => Err(unconfirmed(&self.target.find()?.describe(), side, is)),
            _ => Ok(()),
        }
    }

    async fn state(&mut self, deadline: Instant) -> Result<Option<Side>, HalError> {
        if self.kind == Kind::UsbMux {
            return Ok(None);
        }
        let printed = self.run(None, deadline).await?;
        match printed.trim() {
            "host" => Ok(Some(Side::Host)),
            "dut" | "client" => Ok(Some(Side::Board)),
            "off" => Ok(Some(Side::Off)),
            other => {
                let name = self.target.find()?.describe();
                let other: String = other.chars().take(80).collect();
                let message = format!("{name} says its card is at '{}'", other.escape_debug());
                Err(HalError::new(ErrorKind::Protocol, name, message))
            }
        }
    }

    fn disk(&self) -> Result<Option<PathBuf>, HalError> {
        self.target.disk(match self.kind {
            Kind::UsbSdMux => DiskAt::Itself,
            Kind::UsbMux => DiskAt::Elsewhere,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{storage::mux::wait_for_disk, usb::tests_support::FakeSysfs};
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn mux(tree: &FakeSysfs, kind: Kind, program: impl Into<OsString>) -> ProgramMux {
        let target = Target {
            which: "1-1.2".parse().unwrap(),
            disk: None,
            sysfs: tree.sysfs(),
        };
        ProgramMux {
            kind,
            target,
            program: program.into(),
        }
    }

    fn plug(tree: &FakeSysfs) {
        tree.usb(
            "1-1.2",
            "0424:4041",
            Some("00048.00643"),
            ["08", "06", "50"],
        );
        let scsi = "bus/usb/devices/1-1.2/1-1.2:1.0/host3/target3:0:0/3:0:0:0";
        tree.attributes(&format!("{scsi}/scsi_generic/sg2"), &[]);
        tree.attributes(&format!("{scsi}/block/sda"), &[]);
        tree.attributes("class/block/sda", &[("size", "0")]);
        tree.node("sda");
    }

    /// A program that keeps its side in a file, as the mux does in its chip; `lies` says what it
    /// tells instead.
    fn program(tree: &FakeSysfs, lies: Option<&str>) -> PathBuf {
        let (path, state) = (tree.dev("usbsdmux"), tree.dev("side"));
        let told = lies.map_or(format!("cat '{}'", state.display()), |lie| {
            format!("echo {lie}")
        });
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = '{}' ] || exit 3\nif [ \"$2\" = get ]; then {told}; else echo \"$2\" > '{}'; fi\n",
            tree.dev("sg2").display(),
            state.display()
        );
        fs_err::write(&path, script).unwrap();
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn vectors_are_those_of_the_programs() {
        let tree = FakeSysfs::new();
        plug(&tree);
        let device = tree.sysfs().usb_device("1-1.2").unwrap();
        let mut all = Vec::new();
        for (kind, program) in [(Kind::UsbSdMux, "usbsdmux"), (Kind::UsbMux, "usbmuxctl")] {
            for side in [Some(Side::Host), Some(Side::Board), Some(Side::Off), None] {
                let line = mux(&tree, kind, program).line(&device, side).unwrap();
                let line = line.to_string();
                all.push(line.replace(&tree.dev("").display().to_string(), "/dev/"));
            }
        }
        insta::assert_snapshot!(all.join("\n"), @r"
        usbsdmux /dev/sg2 host
        usbsdmux /dev/sg2 dut
        usbsdmux /dev/sg2 off
        usbsdmux /dev/sg2 get
        usbmuxctl --path 1-1.2 connect --host-device
        usbmuxctl --path 1-1.2 connect --dut-device
        usbmuxctl --path 1-1.2 disconnect
        usbmuxctl --path 1-1.2 status
        ");
    }

    #[tokio::test]
    async fn a_mux_is_switched_and_asked_and_its_disk_waited_for() {
        let tree = FakeSysfs::new();
        plug(&tree);
        let mut mux = mux(&tree, Kind::UsbSdMux, program(&tree, None));
        for side in [Side::Board, Side::Off, Side::Host] {
            mux.set(side, soon()).await.unwrap();
            assert_eq!(mux.state(soon()).await.unwrap(), Some(side));
        }
        // A reader without a card is a disk of no size.
        assert_eq!(mux.disk().unwrap(), None);
        let deadline = Instant::now() + Duration::from_millis(60);
        let error = wait_for_disk(&mux, deadline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let appear = async {
            tokio::task::yield_now().await;
            tree.attributes("class/block/sda", &[("size", "62333952")]);
        };
        let (disk, ()) = tokio::join!(wait_for_disk(&mux, soon()), appear);
        assert_eq!(disk.unwrap(), tree.dev("sda"));
    }

    #[tokio::test]
    async fn a_mux_that_lies_and_one_that_fails_are_named() {
        let tree = FakeSysfs::new();
        plug(&tree);
        let mut liar = mux(&tree, Kind::UsbSdMux, program(&tree, Some("dut")));
        let error = liar.set(Side::Host, soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unconfirmed);
        assert_eq!(
            error.to_string(),
            "ACME Thing (0424:4041) at 1-1.2 accepted 'host', and its card is still at 'board'"
        );
        let mut broken = mux(&tree, Kind::UsbSdMux, "false");
        let error = broken.set(Side::Host, soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandFailed);
        let mut missing = mux(&tree, Kind::UsbSdMux, "no-such-program-here");
        let error = missing.set(Side::Host, soon()).await.unwrap_err();
        assert!(error.hint().unwrap().contains("install it"), "{error}");
    }
}
