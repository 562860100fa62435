//! HID devices: reports through `/dev/hidraw*`.

use super::{
    Sysfs, UsbIdentity,
    sysfs::{attribute, gone, names_in},
};
use crate::{
    blocking::timed_out,
    device::open_device,
    error::{ErrorKind, HalError},
    sys::ioctl,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Instant,
};

/// Reports that waited for nobody are thrown away before a question is asked; a device that
/// always has one more does not keep us.
const MOST_STALE: usize = 64;

/// A HID device with a node of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HidDevice {
    /// Its node: `/dev/hidraw0`.
    pub node: PathBuf,
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// Manufacturer and product, as the device says.
    pub name: String,
    /// Its serial number.
    pub serial: Option<String>,
    /// Where it is plugged in; `None` when it is not on the USB.
    pub path: Option<String>,
    /// Its interface's number on that USB device.
    pub interface: u8,
}

impl Sysfs {
    /// All HID devices, by USB path and interface. One that is unplugged while we look is left
    /// out.
    pub fn hid_devices(&self) -> Vec<HidDevice> {
        let directory = self.sys().join("class/hidraw");
        let names = names_in(&directory).unwrap_or_default();
        let mut devices: Vec<_> = names
            .iter()
            .filter_map(|name| self.hid_device(&directory, name))
            .collect();
        devices
            .sort_by(|a, b| (&a.path, a.interface, &a.node).cmp(&(&b.path, b.interface, &b.node)));
        devices
    }

    fn hid_device(&self, class: &Path, name: &str) -> Option<HidDevice> {
        let directory = class.join(name);
        let device = directory.join("device");
        // One line per value: "HID_ID=0003:000016C0:000005DF".
        let bytes = fs_err::read(device.join("uevent")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let value = |key: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let clean: String = value
                .chars()
                .filter(|c| !c.is_control())
                .take(256)
                .collect();
            (!clean.is_empty()).then_some(clean)
        };
        let id = value("HID_ID")?;
        let mut id = id.split(':').skip(1);
        let mut next = || u16::try_from(u32::from_str_radix(id.next()?, 16).ok()?).ok();
        let (vendor, product) = (next()?, next()?);
        let place = fs_err::canonicalize(&device)
            .ok()
            .and_then(|path| usb_place(&path));
        let (path, interface) = place.map_or((None, 0), |(path, number)| (Some(path), number));
        Some(HidDevice {
            node: self.dev().join(name),
            vendor,
            product,
            name: value("HID_NAME").unwrap_or_else(|| "HID device".to_owned()),
            serial: value("HID_UNIQ").or_else(|| attribute(&device, "serial")),
            path,
            interface,
        })
    }
}

/// The USB path and interface in the path of a device: the last part like "1-1.4:1.0".
fn usb_place(path: &Path) -> Option<(String, u8)> {
    path.iter().rev().find_map(|part| {
        let (device, rest) = part.to_str()?.split_once(':')?;
        let (_, interface) = rest.split_once('.')?;
        let on_usb = device.split_once('-').is_some_and(|(bus, ports)| {
            let numbers = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            numbers(bus) && numbers(ports)
        });
        Some((on_usb.then(|| device.to_owned())?, interface.parse().ok()?))
    })
}

impl HidDevice {
    /// What people recognise it by.
    pub fn describe(&self) -> String {
        let Self {
            name,
            vendor,
            product,
            ..
        } = self;
        let node = self.node.display().to_string();
        let place = self.path.as_deref().unwrap_or(&node);
        format!("{name} ({vendor:04x}:{product:04x}) at {place}")
    }

    /// By what it is matched.
    pub fn identity(&self) -> UsbIdentity<'_> {
        UsbIdentity {
            vendor: self.vendor,
            product: self.product,
            serial: self.serial.as_deref(),
            path: self.path.as_deref(),
        }
    }
}

/// A HID device, opened. Its calls block.
#[derive(Debug)]
pub(crate) struct HidHandle {
    descriptor: OwnedFd,
    name: String,
}

impl HidHandle {
    pub(crate) fn open(device: &HidDevice) -> Result<Self, HalError> {
        Ok(Self {
            descriptor: open_device(&device.node)?,
            name: device.describe(),
        })
    }

    /// Sends an output report; its first byte is the report's number, 0 where there are none.
    pub(crate) fn write(&self, report: &[u8]) -> Result<(), HalError> {
        match rustix::io::write(&self.descriptor, report) {
            Ok(written) if written == report.len() => Ok(()),
            Ok(written) => {
                let message = format!("{} took {written} of {} bytes", self.name, report.len());
                Err(HalError::new(ErrorKind::Protocol, &self.name, message))
            }
            Err(errno) => Err(self.error(errno)),
        }
    }

    /// Throws away input that nobody asked for.
    pub(crate) fn discard_input(&self) {
        let mut report = [0; 256];
        for _ in 0..MOST_STALE {
            if !matches!(rustix::io::read(&self.descriptor, &mut report), Ok(1..)) {
                return;
            }
        }
    }

    /// Waits for an input report.
    pub(crate) fn read(&self, length: usize, deadline: Instant) -> Result<Vec<u8>, HalError> {
        let begun = Instant::now();
        let mut report = vec![0; length];
        loop {
            match rustix::io::read(&self.descriptor, &mut report) {
                Ok(0) => return Err(gone(&self.name)),
                Ok(got) => {
                    report.truncate(got);
                    return Ok(report);
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(self.error(errno)),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(timed_out(&self.name, begun.elapsed()));
            }
            let wait = Timespec::try_from(left).ok();
            let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
            match rustix::event::poll(&mut descriptors, wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.error(errno)),
            }
        }
    }

    /// Sends a feature report.
    pub(crate) fn set_feature(&self, report: &[u8]) -> Result<(), HalError> {
        ioctl::hid_set_feature(&self.descriptor, &mut report.to_vec())
            .map_err(|errno| self.error(errno))
    }

    /// Asks for feature report `number`; gives it with its number in front.
    pub(crate) fn get_feature(&self, number: u8, length: usize) -> Result<Vec<u8>, HalError> {
        let mut report = vec![0; length.max(1)];
        report[0] = number;
        let got = ioctl::hid_get_feature(&self.descriptor, &mut report)
            .map_err(|errno| self.error(errno))?;
        report.truncate(got);
        Ok(report)
    }

    fn error(&self, errno: Errno) -> HalError {
        match errno {
            Errno::NODEV | Errno::SHUTDOWN | Errno::IO => gone(&self.name),
            Errno::PIPE | Errno::PROTO | Errno::NOTTY => {
                let message = format!("{} refused a report", self.name);
                HalError::new(ErrorKind::Unsupported, &self.name, message)
                    .with_hint("is it really a device of this model?")
            }
            Errno::TIMEDOUT => {
                let message = format!("{} did not take a report in time", self.name);
                HalError::new(ErrorKind::Timeout, &self.name, message)
            }
            _ => HalError::from_io("exchange reports with", &self.name, errno.into()),
        }
    }
}
