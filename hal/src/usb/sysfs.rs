//! The USB devices of `/sys`.

use super::UsbIdentity;
use crate::error::{ErrorKind, HalError};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How deep below an interface its device nodes may be: a disk is six directories down.
const DEEPEST: usize = 8;

/// Directories looked at below one interface at most.
const MOST_DIRECTORIES: usize = 512;

/// Characters of a string that a device says of itself.
const LONGEST_TEXT: usize = 256;

/// Where the kernel shows its devices: `/sys` and `/dev`, or a copy of them in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysfs {
    sys: PathBuf,
    dev: PathBuf,
}

/// A USB device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbDevice {
    /// Where it is plugged in: "1-1.4" is port 4 of the hub at port 1 of bus 1; "usb1" is the
    /// root hub of bus 1. It stays as long as the cables stay.
    pub path: String,
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// What it says of its manufacturer.
    pub manufacturer: Option<String>,
    /// What it says it is.
    pub name: Option<String>,
    /// Its serial number, if it says one.
    pub serial: Option<String>,
    /// `bDeviceClass`; 9 is a hub.
    pub class: u8,
    /// Its speed in Mbit/s, as the kernel says: "480", "5000".
    pub speed: String,
    /// Its node for usbfs: `/dev/bus/usb/001/004`.
    pub node: PathBuf,
    /// Its interfaces by number.
    pub interfaces: Vec<UsbInterface>,
}

/// An interface of a USB device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbInterface {
    /// `bInterfaceNumber`.
    pub number: u8,
    /// Class, subclass and protocol.
    pub class: [u8; 3],
    /// The kernel's driver that has it.
    pub driver: Option<String>,
    /// Addresses of its endpoints; those from the device have the bit 0x80.
    pub endpoints: Vec<u8>,
    /// The device nodes that the driver made of it.
    pub nodes: Vec<Node>,
}

/// A device node that belongs to a USB interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it is.
    pub path: PathBuf,
}

/// Kinds of device nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// Raw HID reports.
    Hidraw,
    /// A serial port.
    Tty,
    /// A whole disk.
    Block,
    /// SCSI commands to a disk.
    ScsiGeneric,
}

/// A port of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubPort {
    /// The hub's path.
    pub hub: String,
    /// The port's number, from 1.
    pub number: u8,
    /// The file that switches it, where the kernel has one (Linux 6.0 and later).
    pub switch: Option<PathBuf>,
    /// Path and port number of the other half of a USB 3 socket: a socket has a port on a USB 2
    /// hub and one on a SuperSpeed hub, and it has power as long as one of them has.
    pub peer: Option<(String, u8)>,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at("/sys", "/dev")
    }
}

impl Sysfs {
    /// A tree that looks like `/sys` at `sys`, whose device nodes are in `dev`.
    pub fn at(sys: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Self {
            sys: sys.into(),
            dev: dev.into(),
        }
    }

    /// The directory of `/sys`.
    pub(crate) fn sys(&self) -> &Path {
        &self.sys
    }

    /// The directory of device nodes.
    pub(crate) fn dev(&self) -> &Path {
        &self.dev
    }

    /// All USB devices, in the order of their paths. One that is unplugged while we look is left
    /// out. None where the kernel has no USB.
    ///
    /// # Errors
    /// When `/sys` cannot be read.
    pub fn usb_devices(&self) -> Result<Vec<UsbDevice>, HalError> {
        let directory = self.usb_directory();
        let names = match names_in(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let directory = directory.display().to_string();
                return Err(HalError::from_io("list USB devices in", directory, error));
            }
        };
        let devices = names.iter().filter(|name| !name.contains(':'));
        let mut devices: Vec<_> = devices.filter_map(|name| self.usb_device(name)).collect();
        devices.sort_by_key(|device| path_order(&device.path));
        Ok(devices)
    }

    /// The device that is plugged in at `path`, if there is one.
    pub fn usb_device(&self, path: &str) -> Option<UsbDevice> {
        if path.contains('/') {
            return None;
        }
        let directory = self.usb_directory().join(path);
        let number = |name: &str| attribute(&directory, name)?.parse::<u16>().ok();
        let (bus, address) = (number("busnum")?, number("devnum")?);
        Some(UsbDevice {
            path: path.to_owned(),
            vendor: hex(&directory, "idVendor")?,
            product: hex(&directory, "idProduct")?,
            manufacturer: attribute(&directory, "manufacturer"),
            name: attribute(&directory, "product"),
            serial: attribute(&directory, "serial"),
            class: hex_byte(&directory, "bDeviceClass").unwrap_or(0),
            speed: attribute(&directory, "speed").unwrap_or_default(),
            node: self.dev.join(format!("bus/usb/{bus:03}/{address:03}")),
            interfaces: self.interfaces(&directory),
        })
    }

    fn interfaces(&self, device: &Path) -> Vec<UsbInterface> {
        let names = names_in(device).unwrap_or_default();
        let directories = names.iter().filter(|name| name.contains(':'));
        let mut interfaces: Vec<_> = directories
            .filter_map(|name| self.interface(&device.join(name)))
            .collect();
        interfaces.sort_by_key(|interface| interface.number);
        interfaces
    }

    fn interface(&self, directory: &Path) -> Option<UsbInterface> {
        let driver = fs_err::read_link(directory.join("driver")).ok();
        let mut nodes = Vec::new();
        let mut budget = MOST_DIRECTORIES;
        self.collect_nodes(directory, DEEPEST, &mut budget, &mut nodes);
        Some(UsbInterface {
            number: hex_byte(directory, "bInterfaceNumber")?,
            class: [
                hex_byte(directory, "bInterfaceClass")?,
                hex_byte(directory, "bInterfaceSubClass")?,
                hex_byte(directory, "bInterfaceProtocol")?,
            ],
            endpoints: names_in(directory)
                .unwrap_or_default()
                .iter()
                .filter_map(|name| u8::from_str_radix(name.strip_prefix("ep_")?, 16).ok())
                .collect(),
            driver: driver.and_then(|link| Some(link.file_name()?.to_str()?.to_owned())),
            nodes,
        })
    }

    fn collect_nodes(
        &self,
        directory: &Path,
        depth: usize,
        budget: &mut usize,
        nodes: &mut Vec<Node>,
    ) {
        if depth == 0 || *budget == 0 {
            return;
        }
        *budget -= 1;
        for name in names_in(directory).unwrap_or_default() {
            let path = directory.join(&name);
            if !is_real_directory(&path) {
                continue;
            }
            let Some(kind) = NodeKind::of_directory(&name) else {
                self.collect_nodes(&path, depth - 1, budget, nodes);
                continue;
            };
            for node in names_in(&path).unwrap_or_default() {
                let path = self.dev.join(node);
                nodes.push(Node { kind, path });
            }
        }
    }

    /// The ports of the hub at `path`, by number; none if there is no hub.
    pub fn hub_ports(&self, path: &str) -> Vec<HubPort> {
        let device = self.usb_directory().join(path);
        let names = names_in(&device).unwrap_or_default();
        let mut ports = Vec::new();
        for interface in names.iter().filter(|name| name.contains(':')) {
            let interface = device.join(interface);
            let names = names_in(&interface).unwrap_or_default();
            ports.extend(names.iter().filter_map(|name| hub_port(&interface, name)));
        }
        ports.sort_by_key(|port| port.number);
        ports
    }

    fn usb_directory(&self) -> PathBuf {
        self.sys.join("bus/usb/devices")
    }
}

impl UsbDevice {
    /// What people recognise it by: "Yepkit YKUSH (04d8:f2f7) at 1-1.4".
    pub fn describe(&self) -> String {
        let Self {
            vendor,
            product,
            path,
            ..
        } = self;
        format!("{} ({vendor:04x}:{product:04x}) at {path}", self.title())
    }

    /// Manufacturer and product, as far as it says them.
    pub fn title(&self) -> String {
        let words = [self.manufacturer.as_deref(), self.name.as_deref()];
        let words: Vec<_> = words.into_iter().flatten().collect();
        if words.is_empty() {
            "USB device".to_owned()
        } else {
            words.join(" ")
        }
    }

    /// Its nodes of one kind.
    pub fn nodes(&self, kind: NodeKind) -> impl Iterator<Item = &Path> {
        let nodes = self
            .interfaces
            .iter()
            .flat_map(|interface| &interface.nodes);
        nodes
            .filter(move |node| node.kind == kind)
            .map(|node| node.path.as_path())
    }

    /// The path of the hub it is plugged into; `None` for a root hub.
    pub fn parent(&self) -> Option<String> {
        parent_of(&self.path)
    }

    /// By what it is matched.
    pub fn identity(&self) -> UsbIdentity<'_> {
        UsbIdentity {
            vendor: self.vendor,
            product: self.product,
            serial: self.serial.as_deref(),
            path: Some(&self.path),
        }
    }
}

impl NodeKind {
    fn of_directory(name: &str) -> Option<Self> {
        Some(match name {
            "hidraw" => Self::Hidraw,
            "tty" => Self::Tty,
            "block" => Self::Block,
            "scsi_generic" => Self::ScsiGeneric,
            _ => return None,
        })
    }
}

/// The path of the hub above `path`.
fn parent_of(path: &str) -> Option<String> {
    if let Some((hub, _)) = path.rsplit_once('.') {
        return Some(hub.to_owned());
    }
    let (bus, _) = path.split_once('-')?;
    Some(format!("usb{bus}"))
}

/// The port that the directory `name` of a hub's interface is.
fn hub_port(interface: &Path, name: &str) -> Option<HubPort> {
    let (hub, number) = split_port(name)?;
    let directory = interface.join(name);
    let switch = directory.join("disable");
    let peer = fs_err::read_link(directory.join("peer")).ok();
    Some(HubPort {
        hub,
        number,
        switch: switch.exists().then_some(switch),
        peer: peer.and_then(|link| split_port(link.file_name()?.to_str()?)),
    })
}

/// "1-1-port2" is port 2 of the hub 1-1, "usb2-port1" port 1 of the root hub of bus 2.
fn split_port(name: &str) -> Option<(String, u8)> {
    let (hub, number) = name.rsplit_once("-port")?;
    Some((hub.to_owned(), number.parse().ok()?))
}

/// Orders "1-1.10" behind "1-1.9".
fn path_order(path: &str) -> (Vec<u32>, String) {
    let numbers = path.split(|c: char| !c.is_ascii_digit());
    let numbers = numbers.filter_map(|text| text.parse().ok()).collect();
    (numbers, path.to_owned())
}

/// The names in a directory, sorted.
pub(super) fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_real_directory(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// The text of a file of `/sys`; `None` when it is not there or empty. What a device says of
/// itself may be anything: control characters do not reach a terminal.
pub(crate) fn attribute(directory: &Path, name: &str) -> Option<String> {
    let bytes = fs_err::read(directory.join(name)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text
        .trim()
        .chars()
        .take(LONGEST_TEXT)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    (!text.is_empty()).then_some(text)
}

fn hex(directory: &Path, name: &str) -> Option<u16> {
    u16::from_str_radix(&attribute(directory, name)?, 16).ok()
}

fn hex_byte(directory: &Path, name: &str) -> Option<u8> {
    u8::from_str_radix(&attribute(directory, name)?, 16).ok()
}

/// The error of a device that was there a moment ago.
pub(super) fn gone(what: &str) -> HalError {
    HalError::new(ErrorKind::Closed, what, format!("{what} was unplugged"))
        .with_hint("look at its cable and its power; the kernel's log says when it went")
}
