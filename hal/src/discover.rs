//! What is plugged in: drivers list the devices they could use, under names that stay.
//!
//! Used by `pumice hal list`. Listing opens nothing and changes nothing. A device that this user
//! may not use is listed with what is missing, not left out.

use crate::error::HalError;
use serde::Serialize;
use std::path::PathBuf;

/// A device that a driver found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The driver that would use it: "serial", "fastboot", "usbsdmux".
    pub driver: String,
    /// What it would be used as: "console", "power", "storage-mux", "fastboot".
    pub capability: String,
    /// The name that survives unplugging and reboots, to be written into a lab file.
    pub name: String,
    /// Where it is now.
    pub node: Option<PathBuf>,
    /// Manufacturer and product, as the device says.
    pub description: String,
    /// Its serial number, if it has one.
    pub serial: Option<String>,
    /// Whether this user may use it.
    pub access: Access,
    /// The udev rule that would give a group access and a stable name.
    pub udev_rule: Option<String>,
    /// What to know about it: "has the serial number of another board".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether a device may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "hint")]
pub enum Access {
    /// It may.
    Granted,
    /// It may not, and what to change.
    Denied(String),
}

/// A driver that can look for its devices.
pub trait Factory: Send + Sync {
    /// The driver's name.
    fn driver(&self) -> &'static str;

    /// What it finds now, in a stable order.
    ///
    /// # Errors
    /// When the system cannot be asked; a device that cannot be opened is no error.
    fn list(&self) -> Result<Vec<Found>, HalError>;
}

/// Every factory, in the order in which they are shown.
pub fn factories() -> Vec<Box<dyn Factory>> {
    let sysfs = crate::usb::Sysfs::default();
    vec![
        Box::new(crate::fastboot::usb::FastbootFactory),
        Box::new(crate::power::family::GpioChips(sysfs.clone())),
        Box::new(crate::power::family::HidSwitches(sysfs.clone())),
        Box::new(crate::power::family::HubPorts(sysfs.clone())),
        Box::new(crate::storage::StorageMuxes(sysfs)),
        Box::new(crate::console::SerialFactory::default()),
    ]
}
