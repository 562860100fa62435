//! The udev rule that would let a group use a device.

use super::UsbDevice;
use std::fmt::Write;

/// The udev rule that gives group `plugdev` a device's node of `subsystem` ("usb", "hidraw",
/// "block"), with a link of a stable name below `/dev/pumice` where `link` says one.
pub fn udev_rule(device: &UsbDevice, subsystem: &str, link: Option<&str>) -> String {
    let ids = (device.vendor, device.product);
    rule_of(ids, device.serial.as_deref(), subsystem, link)
}

/// As [`udev_rule`]; without a serial number it is for all devices with these ids.
pub(crate) fn rule_of(
    (vendor, product): (u16, u16),
    serial: Option<&str>,
    subsystem: &str,
    link: Option<&str>,
) -> String {
    // A node of a driver gets its ids from the USB device above it, whence ATTRS.
    let attribute = if subsystem == "usb" { "ATTR" } else { "ATTRS" };
    let mut rule = format!(
        "SUBSYSTEM==\"{subsystem}\", {attribute}{{idVendor}}==\"{vendor:04x}\", \
         {attribute}{{idProduct}}==\"{product:04x}\""
    );
    if let Some(serial) = serial.filter(|serial| is_plain(serial)) {
        let _ = write!(rule, ", {attribute}{{serial}}==\"{serial}\"");
    }
    rule.push_str(", GROUP=\"plugdev\", MODE=\"0660\"");
    if let Some(link) = link.filter(|link| is_plain(link)) {
        let _ = write!(rule, ", SYMLINK+=\"pumice/{link}\"");
    }
    rule
}

/// A device's own words do not write rules: no quotes, no patterns, no substitutions.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device::access, discover::Access, usb::Sysfs};
    use std::path::Path;

    #[test]
    fn a_device_cannot_write_rules_by_its_serial_number() {
        for evil in ["\", RUN+=\"/bin/sh", "*", "$env{x}", "a b", ""] {
            assert!(!is_plain(evil), "{evil}");
        }
        let tree = tempfile::tempdir().unwrap();
        let device = tree.path().join("bus/usb/devices/1-1");
        fs_err::create_dir_all(&device).unwrap();
        for (name, value) in [
            ("busnum", "1"),
            ("devnum", "2"),
            ("idVendor", "16c0"),
            ("idProduct", "05df"),
            ("serial", "A\"B"),
        ] {
            fs_err::write(device.join(name), value).unwrap();
        }
        let device = Sysfs::at(tree.path(), "/dev").usb_device("1-1").unwrap();
        assert_eq!(
            udev_rule(&device, "hidraw", Some("relay")),
            "SUBSYSTEM==\"hidraw\", ATTRS{idVendor}==\"16c0\", ATTRS{idProduct}==\"05df\", \
             GROUP=\"plugdev\", MODE=\"0660\", SYMLINK+=\"pumice/relay\""
        );
    }

    #[test]
    fn a_missing_node_is_denied_with_the_reason() {
        assert_eq!(
            access(Path::new("/dev/bus/usb/999/999")),
            Access::Denied("its device node is not there yet".into())
        );
        assert_eq!(access(Path::new("/dev/null")), Access::Granted);
    }
}
