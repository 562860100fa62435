//! Whether this user may use a device, and the udev rule that would let a group.

use super::UsbDevice;
use crate::{device, discover::Access};
use rustix::fs::Access as Mode;
use std::{fmt::Write, path::Path};

/// Whether this user may read and write `node`; if not, what to change. Opens nothing.
pub fn access(node: &Path) -> Access {
    match rustix::fs::access(node, Mode::READ_OK | Mode::WRITE_OK) {
        Ok(()) => Access::Granted,
        Err(rustix::io::Errno::NOENT) => Access::Denied("its device node is not there yet".into()),
        Err(_) => Access::Denied(device::who_may(node)),
    }
}

/// The udev rule that gives group `plugdev` a device's node of `subsystem` ("usb", "hidraw",
/// "block"), with a link of a stable name below `/dev/pumice` where `link` says one.
pub fn udev_rule(device: &UsbDevice, subsystem: &str, link: Option<&str>) -> String {
    // A node of a driver gets its ids from the USB device above it, whence ATTRS.
    let attribute = if subsystem == "usb" { "ATTR" } else { "ATTRS" };
    let mut rule = format!(
        "SUBSYSTEM==\"{subsystem}\", {attribute}{{idVendor}}==\"{:04x}\", \
         {attribute}{{idProduct}}==\"{:04x}\"",
        device.vendor, device.product
    );
    if let Some(serial) = device.serial.as_deref().filter(|serial| is_plain(serial)) {
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
    use crate::usb::Sysfs;

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
