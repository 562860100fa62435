//! Which USB devices speak fastboot, and which of them is meant.

use crate::{
    device::access,
    discover::{Factory, Found},
    error::{ErrorKind, HalError},
    usb,
};
use nusb::{DeviceInfo, MaybeFuture};
use std::{collections::HashMap, fmt, path::PathBuf};

/// Class, subclass and protocol of fastboot's interface. Source: AOSP's fastboot.
const FASTBOOT: (u8, u8, u8) = (0xff, 0x42, 0x03);

/// The driver's name in listings.
const DRIVER: &str = "fastboot";

/// Which USB device is meant. What is `None` fits any device; everything else must be equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsbMatch {
    /// The serial number, or the place: what `-s` names.
    pub name: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The vendor's number.
    pub vendor: Option<u16>,
    /// The product's number.
    pub product: Option<u16>,
    /// The place, as sysfs names it: bus, dash, and the ports from the root on ("1-1.2").
    pub path: Option<String>,
}

impl UsbMatch {
    /// What `text` names: a serial number or a place. `None` when it can be neither.
    pub fn named(text: &str) -> Option<Self> {
        let usable = !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        usable.then(|| Self {
            name: Some(text.to_owned()),
            ..Self::default()
        })
    }

    fn fits(&self, device: &Candidate) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == found
        };
        let serial = device.serial.as_deref();
        let path = Some(device.path.as_str());
        (same(&self.name, serial) || same(&self.name, path))
            && same(&self.serial, serial)
            && same(&self.path, path)
            && self.vendor.is_none_or(|vendor| vendor == device.vendor)
            && self.product.is_none_or(|product| product == device.product)
    }

    /// The one of `devices` that is meant.
    ///
    /// # Errors
    /// `NotFound` when none fits, `InvalidInput` when more than one does.
    pub(super) fn choose<'a>(&self, devices: &'a [Candidate]) -> Result<&'a Candidate, HalError> {
        let fitting: Vec<&Candidate> = devices.iter().filter(|d| self.fits(d)).collect();
        let name = format!("usb:{self}");
        match fitting[..] {
            [device] => Ok(device),
            [] => {
                let others: Vec<String> = devices.iter().map(ToString::to_string).collect();
                let there = if others.is_empty() {
                    "no USB device offers fastboot".to_owned()
                } else {
                    format!("fastboot is offered by {} only", others.join(", "))
                };
                let message = format!("there is no fastboot device {name}: {there}");
                Err(HalError::new(ErrorKind::NotFound, name, message))
            }
            _ => {
                let all: Vec<String> = fitting.iter().map(ToString::to_string).collect();
                let message = format!("fastboot device {name} could be each of {}", all.join(", "));
                Err(
                    HalError::new(ErrorKind::InvalidInput, name, message).with_hint(format!(
                        "name the port instead, which no two devices share: usb:{}",
                        fitting[0].path
                    )),
                )
            }
        }
    }
}

impl fmt::Display for UsbMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: u16| format!("{number:04x}");
        let parts: Vec<String> = [
            self.name.clone(),
            self.serial.clone(),
            self.path.clone(),
            self.vendor.map(|id| format!("vendor={}", number(id))),
            self.product.map(|id| format!("product={}", number(id))),
        ]
        .into_iter()
        .flatten()
        .collect();
        f.write_str(
            if parts.is_empty() {
                "any".to_owned()
            } else {
                parts.join(",")
            }
            .as_str(),
        )
    }
}

/// A USB device with fastboot's interface.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) serial: Option<String>,
    pub(super) vendor: u16,
    pub(super) product: u16,
    pub(super) path: String,
    /// Bus and address: another one after each time it was plugged in.
    pub(super) address: (u8, u8),
    pub(super) interface: u8,
    description: String,
    /// `None` in tests.
    pub(super) info: Option<DeviceInfo>,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = self.serial.as_deref().unwrap_or("without serial number");
        write!(f, "usb:{} ({serial})", self.path)
    }
}

impl Candidate {
    /// The device's node.
    pub(super) fn node(&self) -> PathBuf {
        let (bus, address) = self.address;
        PathBuf::from(format!("/dev/bus/usb/{bus:03}/{address:03}"))
    }

    fn of(info: DeviceInfo) -> Option<Self> {
        let interface = info.interfaces().find(|interface| {
            (
                interface.class(),
                interface.subclass(),
                interface.protocol(),
            ) == FASTBOOT
        })?;
        let words = [info.manufacturer_string(), info.product_string()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        let path = info.sysfs_path().file_name()?;
        Some(Self {
            serial: info.serial_number().map(str::to_owned),
            vendor: info.vendor_id(),
            product: info.product_id(),
            path: path.to_string_lossy().into_owned(),
            address: (info.busnum(), info.device_address()),
            interface: interface.interface_number(),
            description: words.join(" "),
            info: Some(info),
        })
    }

    /// A rule that gives members of a group access.
    pub(super) fn udev_rule(&self) -> String {
        // For all boards of the kind: their serial numbers come and go.
        usb::rule_of((self.vendor, self.product), None, "usb", None)
    }

    fn found(&self, twins: usize) -> Found {
        let stable = match &self.serial {
            Some(serial) if twins == 1 => serial,
            _ => &self.path,
        };
        let mut warnings = Vec::new();
        if twins > 1 {
            warnings.push("has the serial number of another device: use its port".to_owned());
        }
        if self.serial.is_none() {
            warnings.push("has no serial number: its name is that of its port".to_owned());
        }
        Found {
            driver: DRIVER.to_owned(),
            capability: DRIVER.to_owned(),
            name: format!("usb:{stable}"),
            node: Some(self.node()),
            description: self.description.clone(),
            serial: self.serial.clone(),
            access: access(&self.node()),
            udev_rule: Some(self.udev_rule()),
            warnings,
        }
    }
}

/// All USB devices that offer fastboot, by their place.
///
/// # Errors
/// When the system cannot be asked; a system without USB has no devices.
pub(super) fn candidates() -> Result<Vec<Candidate>, HalError> {
    // Listing reads sysfs only: it opens no device, and waits for none.
    let listed = match nusb::list_devices().wait() {
        Ok(listed) => listed,
        Err(_) if !std::path::Path::new("/sys/bus/usb").exists() => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot list USB devices: {error}");
            return Err(HalError::new(ErrorKind::Other, "USB", message).with_source(error));
        }
    };
    let mut all: Vec<Candidate> = listed.filter_map(Candidate::of).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// Lists the devices that offer fastboot over USB.
#[derive(Clone, Copy, Debug, Default)]
pub struct FastbootFactory;

impl Factory for FastbootFactory {
    fn driver(&self) -> &'static str {
        DRIVER
    }

    fn list(&self) -> Result<Vec<Found>, HalError> {
        let all = candidates()?;
        let mut twins: HashMap<&str, usize> = HashMap::new();
        for serial in all.iter().filter_map(|device| device.serial.as_deref()) {
            *twins.entry(serial).or_default() += 1;
        }
        let count = |device: &Candidate| {
            let serial = device.serial.as_deref();
            serial.and_then(|serial| twins.get(serial)).copied()
        };
        let found = |device| Candidate::found(device, count(device).unwrap_or(1));
        Ok(all.iter().map(found).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Access;

    fn device(path: &str, serial: Option<&str>, address: u8) -> Candidate {
        Candidate {
            serial: serial.map(str::to_owned),
            vendor: 0x18d1,
            product: 0x4ee0,
            path: path.to_owned(),
            address: (1, address),
            interface: 0,
            description: "Example Board".to_owned(),
            info: None,
        }
    }

    fn three() -> Vec<Candidate> {
        vec![
            device("1-1.1", Some("A1"), 4),
            device("1-1.2", Some("TWIN"), 5),
            device("1-1.3", Some("TWIN"), 6),
        ]
    }

    fn chosen(wanted: &UsbMatch) -> Result<String, HalError> {
        let devices = three();
        wanted.choose(&devices).map(|device| device.path.clone())
    }

    #[test]
    fn devices_are_found_by_serial_and_by_place() {
        let named = |text| UsbMatch::named(text).unwrap();
        assert_eq!(chosen(&named("A1")).unwrap(), "1-1.1");
        assert_eq!(chosen(&named("1-1.3")).unwrap(), "1-1.3");
        let both = UsbMatch {
            serial: Some("TWIN".to_owned()),
            path: Some("1-1.2".to_owned()),
            vendor: Some(0x18d1),
            ..UsbMatch::default()
        };
        assert_eq!(chosen(&both).unwrap(), "1-1.2");
    }

    #[test]
    fn two_devices_with_one_serial_number_are_both_named() {
        let error = chosen(&UsbMatch::named("TWIN").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            "fastboot device usb:TWIN could be each of usb:1-1.2 (TWIN), usb:1-1.3 (TWIN)"
        );
        assert!(error.hint().unwrap().contains("usb:1-1.2"));
    }

    #[test]
    fn an_absent_device_is_an_error_that_names_the_others() {
        let wanted = UsbMatch {
            product: Some(1),
            ..UsbMatch::default()
        };
        let error = chosen(&wanted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("usb:product=0001"), "{error}");
        assert!(error.to_string().contains("usb:1-1.3 (TWIN)"), "{error}");
    }

    #[test]
    fn twins_are_listed_under_their_ports() {
        let twin = device("1-1.2", Some("TWIN"), 250).found(2);
        assert_eq!(twin.name, "usb:1-1.2");
        assert_eq!(twin.warnings.len(), 1);
        assert_eq!(twin.node, Some("/dev/bus/usb/001/250".into()));
        assert!(matches!(twin.access, Access::Denied(_)));
        let alone = device("1-1.1", Some("A1"), 250).found(1);
        assert_eq!(alone.name, "usb:A1");
        assert!(alone.warnings.is_empty());
        let rule = alone.udev_rule.unwrap();
        assert!(rule.contains("ATTR{idVendor}==\"18d1\""), "{rule}");
    }

    #[test]
    fn listing_works_without_usb() {
        FastbootFactory.list().unwrap();
    }
}
