//! Muxes that are plugged in, and the disks behind them.

use super::mux::{known_muxes, open_mux};
use crate::{
    device::access,
    discover::{Factory, Found},
    error::HalError,
    usb::{NodeKind, Sysfs, UsbDevice, listed, place_of, udev_rule},
};

/// Storage muxes and the cards that are at the host now.
pub(crate) struct StorageMuxes(pub(crate) Sysfs);

impl Factory for StorageMuxes {
    fn driver(&self) -> &'static str {
        "storage-mux"
    }

    fn list(&self) -> Result<Vec<Found>, HalError> {
        let devices = self.0.usb_devices()?;
        let mut found = Vec::new();
        for device in &devices {
            let ids = (device.vendor, device.product);
            if let Some((model, _)) = known_muxes().iter().find(|(_, known)| *known == ids) {
                found.extend(self.mux(model, device, &devices));
            }
        }
        Ok(found)
    }
}

impl StorageMuxes {
    fn mux(&self, model: &str, device: &UsbDevice, all: &[UsbDevice]) -> Vec<Found> {
        let name = format!("{model}:{}", place_of(device, all));
        // The SCSI node of a USB-SD-Mux, the node of the device of all others.
        let (node, subsystem) = match model {
            "usbsdmux" => (device.nodes(NodeKind::ScsiGeneric).next(), "scsi_generic"),
            _ => (Some(device.node.as_path()), "usb"),
        };
        let disk = open_mux(&name, &self.0)
            .and_then(|mux| mux.disk())
            .ok()
            .flatten();
        let nodeless = "it has no node: is the kernel's module 'sg' loaded?";
        let as_what = (model, "storage-mux", name.clone());
        let mux = listed(device, all, (node, subsystem), nodeless, as_what);
        let disk = disk.map(|disk| Found {
            capability: "disk".to_owned(),
            access: access(&disk),
            node: Some(disk),
            description: format!("the card of {name}"),
            udev_rule: Some(udev_rule(device, "block", None)),
            ..mux.clone()
        });
        std::iter::once(mux).chain(disk).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::tests_support::FakeSysfs;

    #[test]
    fn a_mux_and_its_card_are_listed() {
        let tree = FakeSysfs::new();
        // An SDWire: an FTDI chip and a card reader at a hub of its own.
        tree.usb("1-1.2", "04e8:6001", Some("sdw-7"), ["ff", "ff", "ff"]);
        tree.usb("1-1.1", "0424:2640", None, ["08", "06", "50"]);
        tree.usb("1-2.1", "0424:2640", None, ["08", "06", "50"]);
        for (path, disk, size) in [("1-1.1", "sda", "62333952"), ("1-2.1", "sdb", "1")] {
            let scsi = format!("bus/usb/devices/{path}/{path}:1.0/host3/target3:0:0/3:0:0:0");
            tree.attributes(&format!("{scsi}/block/{disk}"), &[]);
            tree.attributes(&format!("class/block/{disk}"), &[("size", size)]);
            tree.node(disk);
        }
        let found = StorageMuxes(tree.sysfs()).list().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name, "sdwire:serial=sdw-7");
        assert_eq!(
            (found[1].capability.as_str(), &found[1].node),
            ("disk", &Some(tree.dev("sda")))
        );
    }

    #[test]
    fn names_of_muxes_are_read_or_refused() {
        let sysfs = FakeSysfs::new().sysfs();
        for good in [
            "usbsdmux",
            "sdwire:path=1-1.2",
            "dutlink:serial=X,disk=1-1.3",
            "sdwire:1-2",
        ] {
            open_mux(good, &sysfs).map(drop).unwrap();
        }
        for bad in ["", "floppy", "sdwire:disk=/dev/sda", "usbsdmux:who=me"] {
            let error = open_mux(bad, &sysfs).map(drop).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{bad}");
        }
    }
}
