//! What only a kernel with USB shows. These tests run as root inside the bench VM, whose kernel
//! has `uhid`, `dummy_hcd` and the gadget functions; elsewhere they are ignored.
//!
//! `hil/bench-vm/test` runs them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench_vm;
mod support;

use bench_vm::{
    gadget::Gadget,
    in_bench_vm,
    uhid::{Play, Uhid},
};
use hal::{
    ErrorKind,
    console::EpochCounter,
    lab::Lab,
    power::{Outlet, PowerAction, PowerControl, PowerState},
    storage::ImageWriter,
    usb::{NodeKind, Sysfs, UsbMatch},
};
use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};
use support::{soon, wait_for};
use tokio::time::Instant;

fn lab(text: &str) -> Lab {
    Lab::parse(text, "lab.toml", Path::new(".")).unwrap()
}

/// A relay board of the V-USB kind, with its serial number inside.
struct Relays {
    state: u8,
    stuck: bool,
}

impl Play for Relays {
    fn output(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn set_feature(&mut self, report: &[u8]) {
        if self.stuck {
            return;
        }
        match report {
            [0, 0xff, relay @ 1..=8, ..] => self.state |= 1 << (relay - 1),
            [0, 0xfd, relay @ 1..=8, ..] => self.state &= !(1 << (relay - 1)),
            other => panic!("not a request: {other:x?}"),
        }
    }

    fn get_feature(&mut self) -> Vec<u8> {
        vec![0, b'B', b'I', b'T', b'F', b'T', 0, 0, self.state]
    }
}

/// A YKUSH 3, whose answers are input reports.
struct Ykush {
    ports: [bool; 4],
}

impl Play for Ykush {
    fn output(&mut self, report: &[u8]) -> Option<Vec<u8>> {
        let mut answer = vec![0; 64];
        let [0, command, ..] = report else {
            return Some(answer);
        };
        let port = usize::from(command & 0x0f);
        match command >> 4 {
            1 => self.ports[port] = true,
            0 => self.ports[port] = false,
            _ => {}
        }
        answer[0] = 1;
        answer[1] = (command & 0x0f) | if self.ports[port] { 0x10 } else { 0 };
        Some(answer)
    }

    fn set_feature(&mut self, _: &[u8]) {}

    fn get_feature(&mut self) -> Vec<u8> {
        vec![0]
    }
}

async fn hid_is_there(vendor: u16) {
    wait_for(|| {
        let devices = Sysfs::default().hid_devices();
        let there = devices
            .iter()
            .any(|each| each.vendor == vendor && each.node.exists());
        if there { Ok(()) } else { Err(devices) }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn relays_follow_feature_reports_and_are_found_by_the_serial_number_inside() {
    if !in_bench_vm() {
        return;
    }
    let relays = Relays {
        state: 0,
        stuck: false,
    };
    let board = Uhid::plug((0x16c0, 0x05df), "dcttech USBRelay8", "", [0, 0, 8], relays);
    hid_is_there(0x16c0).await;
    let lab = lab("[pdu.relays]\nmodel = 'vusbhid'\naddress = 'serial=BITFT'\noff-for = '1ms'\n");
    let mut power = lab.outlet("relays", "3", EpochCounter::default()).unwrap();
    for state in [PowerState::On, PowerState::Off] {
        power.set(state.into(), soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(state));
    }
    power.set(PowerAction::Reset, soon()).await.unwrap();
    drop(board);
    let error = power.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_relay_that_is_stuck_is_reported() {
    if !in_bench_vm() {
        return;
    }
    let relays = Relays {
        state: 0,
        stuck: true,
    };
    let _board = Uhid::plug((0x16c0, 0x05df), "dcttech USBRelay8", "", [0, 0, 8], relays);
    hid_is_there(0x16c0).await;
    let lab = lab("[pdu.relays]\nmodel = 'vusbhid'\nsettle = '200ms'\n");
    let mut power = lab.outlet("relays", "3", EpochCounter::default()).unwrap();
    let error = power.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed, "{error}");
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_yepkit_hub_answers_its_output_reports() {
    if !in_bench_vm() {
        return;
    }
    let hub = Ykush { ports: [false; 4] };
    let _hub = Uhid::plug((0x04d8, 0xf11b), "Yepkit YKUSH3", "YK1", [64, 64, 0], hub);
    hid_is_there(0x04d8).await;
    let lab = lab("[pdu.hub]\nmodel = 'ykush3'\naddress = 'YK1'\n");
    let mut power = lab.outlet("hub", "2", EpochCounter::default()).unwrap();
    for state in [PowerState::On, PowerState::Off] {
        power.set(state.into(), soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(state));
    }
}

fn backing(directory: &Path) -> PathBuf {
    let path = directory.join("disk");
    fs_err::File::create(&path)
        .unwrap()
        .set_len(32 << 20)
        .unwrap();
    path
}

async fn disk_node(which: &UsbMatch) -> PathBuf {
    let ready = |device: &hal::usb::UsbDevice| {
        device.nodes(NodeKind::Block).any(|node| {
            let size = format!(
                "/sys/class/block/{}/size",
                node.file_name().unwrap().display()
            );
            let size = fs_err::read_to_string(size).unwrap_or_default();
            size.trim().parse::<u64>().is_ok_and(|size| size > 0) && node.exists()
        })
    };
    let device = which
        .wait_until(&Sysfs::default(), soon(), ready)
        .await
        .unwrap();
    device.nodes(NodeKind::Block).next().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_disk_on_the_usb_is_written_and_waited_for_when_it_is_replugged() {
    if !in_bench_vm() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let backing = backing(directory.path());
    let disk = Gadget::disk("PUMICE1", &backing);
    let which: UsbMatch = "serial=PUMICE1".parse().unwrap();
    let node = disk_node(&which).await;
    let image: Vec<u8> = (0..8 << 20)
        .map(|i: u32| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    let writer = ImageWriter::new(&node, deadline).size(image.len() as u64);
    let written = writer.write(&image[..], |_| ()).unwrap();
    assert_eq!(written.bytes, image.len() as u64);
    disk.unplug();
    which.wait_gone(&Sysfs::default(), soon()).await.unwrap();
    assert!(
        fs_err::read(&backing).unwrap().starts_with(&image),
        "the medium differs"
    );
    disk.connect();
    disk_node(&which).await;
}

/// An image that pulls the plug when half of it was read.
struct Unplugging<'a> {
    left: usize,
    at: usize,
    disk: &'a Gadget,
}

impl Read for Unplugging<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left <= self.at {
            self.at = 0;
            self.disk.unplug();
        }
        let length = buffer.len().min(self.left);
        buffer[..length].fill(0xa5);
        self.left -= length;
        Ok(length)
    }
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_disk_that_vanishes_in_the_middle_is_an_error_with_its_name() {
    if !in_bench_vm() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let disk = Gadget::disk("PUMICE2", &backing(directory.path()));
    let node = disk_node(&"serial=PUMICE2".parse().unwrap()).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let image = Unplugging {
        left: 16 << 20,
        at: 8 << 20,
        disk: &disk,
    };
    let error = ImageWriter::new(&node, deadline)
        .write(image, |_| ())
        .unwrap_err();
    assert!(
        error.to_string().contains(&node.display().to_string()),
        "{error}"
    );
    let kinds = [ErrorKind::Closed, ErrorKind::NotFound, ErrorKind::Exhausted];
    assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
}

/// The root hub of dummy_hcd, whose only port has the gadget.
fn dummy_root_hub() -> String {
    let devices = Sysfs::default().usb_devices().unwrap();
    let gadget = devices
        .iter()
        .find(|device| device.serial.as_deref() == Some("PUMICE3"));
    gadget.expect("the gadget is there").parent().unwrap()
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_port_without_power_has_no_device() {
    if !in_bench_vm() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let _disk = Gadget::disk("PUMICE3", &backing(directory.path()));
    let which: UsbMatch = "serial=PUMICE3".parse().unwrap();
    which.wait(&Sysfs::default(), soon()).await.unwrap();
    let hub = dummy_root_hub();
    let lab = lab(&format!(
        "[pdu.hub]\nmodel = 'usb-hub'\naddress = '{hub}'\n"
    ));
    let mut power = lab.outlet("hub", "1", EpochCounter::default()).unwrap();
    assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
    power.set(PowerAction::Off, soon()).await.unwrap();
    which.wait_gone(&Sysfs::default(), soon()).await.unwrap();
    power.set(PowerAction::On, soon()).await.unwrap();
    which.wait(&Sysfs::default(), soon()).await.unwrap();
    let port: Outlet = "99".parse().unwrap();
    let mut pdu = lab.pdu("hub").unwrap().lock(soon()).await.unwrap();
    let error = pdu
        .switch(
            &port,
            PowerState::Off,
            Instant::now() + Duration::from_secs(5),
        )
        .await;
    assert!(error.unwrap_err().to_string().contains("has no port 99"));
}
