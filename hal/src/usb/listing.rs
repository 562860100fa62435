//! What a listing says of a USB device.

use super::{UsbDevice, udev_rule};
use crate::{
    device::access,
    discover::{Access, Found},
};
use std::path::Path;

/// The part of an address that means `device` and no other of `all`: its serial number where that
/// is one, else where it is plugged in.
pub(crate) fn place_of(device: &UsbDevice, all: &[UsbDevice]) -> String {
    match (&device.serial, twins(device, all).is_empty()) {
        (Some(serial), true) => format!("serial={serial}"),
        _ => format!("path={}", device.path),
    }
}

/// `device`, one of `all`, as it is listed: by the driver `driver`, as `name`, with its node of
/// `subsystem`; `nodeless` says why it may have none.
pub(crate) fn listed(
    device: &UsbDevice,
    all: &[UsbDevice],
    (node, subsystem): (Option<&Path>, &str),
    nodeless: &str,
    (driver, capability, name): (&str, &str, String),
) -> Found {
    let twins = twins(device, all);
    let warnings = twins
        .iter()
        .map(|twin| format!("has the serial number of the one at {twin}"));
    Found {
        driver: driver.to_owned(),
        capability: capability.to_owned(),
        name,
        node: node.map(Path::to_owned),
        description: device.title(),
        serial: device.serial.clone(),
        access: node.map_or_else(|| Access::Denied(nodeless.to_owned()), access),
        udev_rule: Some(udev_rule(device, subsystem, None)),
        warnings: warnings.collect(),
    }
}

/// Where other devices with the ids and serial number of `device` are.
fn twins(device: &UsbDevice, all: &[UsbDevice]) -> Vec<String> {
    let identity = |device: &UsbDevice| (device.vendor, device.product, device.serial.clone());
    let twins = all.iter().filter(|other| {
        device.serial.is_some() && other.path != device.path && identity(other) == identity(device)
    });
    twins.map(|twin| twin.path.clone()).collect()
}
