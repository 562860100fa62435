//! Which serial ports are plugged in, from sysfs, without opening one: opening moves DTR, which
//! resets some boards.

use crate::{
    device,
    discover::{Factory, Found},
    error::HalError,
    usb::attribute,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How many directories above a port its USB device may be.
const USB_WITHIN: usize = 8;

/// What USB says of the adapter behind a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsbPort {
    /// Vendor id, four hexadecimal digits.
    pub vendor: String,
    /// Product id, four hexadecimal digits.
    pub product: String,
    /// The adapter's serial number; many have none, and some vendors give all the same.
    pub serial: Option<String>,
    /// The number of the interface: tells the ports of one adapter apart.
    pub interface: String,
    /// Where it is plugged in: bus and ports, "1-2.3".
    pub place: String,
    /// Manufacturer and product, as the adapter says.
    pub description: String,
}

/// Serial ports with hardware behind them.
#[derive(Clone, Debug)]
pub struct SerialFactory {
    sys: PathBuf,
    dev: PathBuf,
}

impl Default for SerialFactory {
    fn default() -> Self {
        Self::at("/sys", "/dev")
    }
}

impl SerialFactory {
    /// Looks at another sysfs and other device nodes than the system's.
    pub fn at(sys: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Self {
            sys: sys.into(),
            dev: dev.into(),
        }
    }

    /// What USB says of the adapter behind `node`, which may be a link; `None` when it is not
    /// USB or not there.
    pub fn usb_of(&self, node: &Path) -> Option<UsbPort> {
        let node = fs_err::canonicalize(node).ok()?;
        self.usb(node.file_name()?.to_str()?)
    }

    fn usb(&self, port: &str) -> Option<UsbPort> {
        let device = self.sys.join("class/tty").join(port).join("device");
        let device = fs_err::canonicalize(device).ok()?;
        let above = || device.ancestors().take(USB_WITHIN);
        let interface = above().find_map(|place| attribute(place, "bInterfaceNumber"));
        let adapter = above().find(|place| place.join("idVendor").exists())?;
        let words = ["manufacturer", "product"].map(|name| attribute(adapter, name));
        let words: Vec<_> = words.into_iter().flatten().collect();
        Some(UsbPort {
            vendor: attribute(adapter, "idVendor")?,
            product: attribute(adapter, "idProduct")?,
            serial: attribute(adapter, "serial"),
            interface: interface.unwrap_or_default(),
            place: adapter.file_name()?.to_string_lossy().into_owned(),
            description: words.join(" "),
        })
    }

    /// Whether there is hardware behind a port. Kernels list eight UARTs of the PC, most of which
    /// do not exist: those are of type 0.
    fn is_real(&self, port: &str) -> bool {
        let directory = self.sys.join("class/tty").join(port);
        directory.join("device").exists() && attribute(&directory, "type").as_deref() != Some("0")
    }

    /// The names of ports, in a stable order.
    fn ports(&self) -> Result<Vec<String>, HalError> {
        let directory = self.sys.join("class/tty");
        let failed = |error| HalError::from_io("list", directory.display().to_string(), error);
        let mut ports = Vec::new();
        for entry in fs_err::read_dir(&directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| self.is_real(name)) {
                ports.push(name.to_owned());
            }
        }
        // ttyUSB2 before ttyUSB10.
        ports.sort_by_key(|name| {
            let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let number: u64 = name[word.len()..].parse().unwrap_or_default();
            (word.to_owned(), number)
        });
        Ok(ports)
    }

    /// udev's links of one kind, by the node that they lead to.
    fn links(&self, kind: &str) -> BTreeMap<PathBuf, PathBuf> {
        let directory = self.dev.join("serial").join(kind);
        let links = fs_err::read_dir(directory).into_iter().flatten().flatten();
        let mut links: Vec<_> = links.map(|entry| entry.path()).collect();
        links.sort();
        links
            .into_iter()
            .rev()
            .filter_map(|link| Some((fs_err::canonicalize(&link).ok()?, link)))
            .collect()
    }
}

impl Factory for SerialFactory {
    fn driver(&self) -> &'static str {
        "serial"
    }

    fn list(&self) -> Result<Vec<Found>, HalError> {
        let (by_id, by_path) = (self.links("by-id"), self.links("by-path"));
        let ports: Vec<_> = self
            .ports()?
            .into_iter()
            .map(|port| (self.usb(&port), port))
            .collect();
        let found = ports.iter().map(|(usb, port)| {
            let node = self.dev.join(port);
            let real = fs_err::canonicalize(&node).unwrap_or_else(|_| node.clone());
            let twin = usb.as_ref().and_then(|usb| twin(usb, port, &ports));
            // Where two adapters have one serial number, their place is all that tells them apart.
            let by_id = by_id.get(&real).filter(|_| twin.is_none());
            let stable = by_id.or_else(|| by_path.get(&real));
            let mut warnings = Vec::new();
            if let Some(twin) = twin {
                warnings.push(format!(
                    "has the same serial number as {twin}: only where it is plugged in tells \
                     them apart"
                ));
            }
            if stable.is_none() {
                warnings.push("its name may change when it is plugged in again".to_owned());
            }
            Found {
                driver: self.driver().to_owned(),
                capability: "console".to_owned(),
                name: stable.unwrap_or(&node).display().to_string(),
                description: match usb {
                    Some(usb) if !usb.description.is_empty() => usb.description.clone(),
                    Some(usb) => format!("USB device {}:{}", usb.vendor, usb.product),
                    None => "serial port of the machine".to_owned(),
                },
                serial: usb.as_ref().and_then(|usb| usb.serial.clone()),
                access: device::access(&node),
                udev_rule: usb.as_ref().map(|usb| udev_rule(usb, twin.is_some())),
                node: Some(node),
                warnings,
            }
        });
        Ok(found.collect())
    }
}

/// Another adapter with the same serial number.
fn twin<'a>(usb: &UsbPort, port: &str, ports: &'a [(Option<UsbPort>, String)]) -> Option<&'a str> {
    let serial = usb.serial.as_ref()?;
    let is_twin = |other: &UsbPort| {
        other.serial.as_ref() == Some(serial)
            && (&other.vendor, &other.product) == (&usb.vendor, &usb.product)
            && other.place != usb.place
    };
    let found = ports
        .iter()
        .find(|(other, name)| name != port && other.as_ref().is_some_and(is_twin));
    found.map(|(_, name)| name.as_str())
}

/// The rule that gives a port a name that stays and a group.
fn udev_rule(usb: &UsbPort, has_twin: bool) -> String {
    let safe = |text: &str| -> String {
        // What a device says of itself goes into a file that root's udev reads.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        text.chars()
            .map(|c| if plain(c) { c } else { '?' })
            .collect()
    };
    let (key, mark) = match usb.serial.as_ref().filter(|_| !has_twin) {
        Some(serial) => (
            format!("ATTRS{{serial}}==\"{}\"", safe(serial)),
            safe(serial),
        ),
        None => (
            format!("KERNELS==\"{}\"", safe(&usb.place)),
            safe(&usb.place),
        ),
    };
    let (vendor, product, interface) =
        (safe(&usb.vendor), safe(&usb.product), safe(&usb.interface));
    format!(
        "SUBSYSTEM==\"tty\", ATTRS{{idVendor}}==\"{vendor}\", ATTRS{{idProduct}}==\"{product}\", \
         {key}, ENV{{ID_USB_INTERFACE_NUM}}==\"{interface}\", \
         SYMLINK+=\"board/{}-{interface}\", GROUP=\"dialout\", MODE=\"0660\"",
        mark.replace('?', "_")
    )
}

#[cfg(test)]
mod tests;
