//! Switches that are plugged in: HID relays, hubs, GPIO chips.

use super::hid::known_devices;
use crate::{
    device::access,
    discover::{Factory, Found},
    error::HalError,
    usb::{Sysfs, UsbDevice, listed, place_of},
};
use std::path::Path;

/// HID relays and switches that a built-in row is for.
pub(crate) struct HidSwitches(pub(crate) Sysfs);

impl Factory for HidSwitches {
    fn driver(&self) -> &'static str {
        "hid"
    }

    fn list(&self) -> Result<Vec<Found>, HalError> {
        let devices = self.0.usb_devices()?;
        let mut found = Vec::new();
        for model in known_devices() {
            let of_model = devices.iter().filter(|device| {
                let named = model.product.as_deref();
                model.ids.contains(&(device.vendor, device.product))
                    && named.is_none_or(|name| device.title().contains(name))
            });
            for device in of_model {
                let (node, subsystem) = match model.node {
                    Some(kind) => (device.nodes(kind).next(), "hidraw"),
                    None => (Some(device.node.as_path()), "usb"),
                };
                found.push(usb_found(device, &devices, node, subsystem, &model.model));
            }
        }
        Ok(found)
    }
}

/// Hubs, whose ports may be switched.
pub(crate) struct HubPorts(pub(crate) Sysfs);

impl Factory for HubPorts {
    fn driver(&self) -> &'static str {
        "usb-hub"
    }

    fn list(&self) -> Result<Vec<Found>, HalError> {
        let devices = self.0.usb_devices()?;
        let hubs = devices.iter().filter(|device| device.class == 9);
        Ok(hubs
            .map(|hub| {
                let mut found = usb_found(hub, &devices, Some(&hub.node), "usb", "usb-hub");
                // A hub is told apart by its place: hubs have no serial numbers worth the name.
                found.name = format!("usb-hub path={}", hub.path);
                found
                    .warnings
                    .retain(|warning| !warning.contains("serial number"));
                let ports = self.0.hub_ports(&hub.path).len();
                found.description = format!("{}, {ports} ports", found.description);
                found
            })
            .collect())
    }
}

/// What a USB device is as a power switch. Its name is a model and an address of the lab file.
fn usb_found(
    device: &UsbDevice,
    all: &[UsbDevice],
    node: Option<&Path>,
    subsystem: &str,
    model: &str,
) -> Found {
    let driver = if model == "usb-hub" { "usb-hub" } else { "hid" };
    let name = format!("{model} {}", place_of(device, all));
    let nodeless = "the kernel made no node for it: is its driver loaded?";
    let as_what = (driver, "power", name);
    listed(device, all, (node, subsystem), nodeless, as_what)
}

/// GPIO chips.
pub(crate) struct GpioChips(pub(crate) Sysfs);

impl Factory for GpioChips {
    fn driver(&self) -> &'static str {
        "gpio"
    }

    fn list(&self) -> Result<Vec<Found>, HalError> {
        let directory = self.0.sys().join("bus/gpio/devices");
        let Ok(entries) = fs_err::read_dir(&directory) else {
            // A kernel without GPIO chips has no such directory.
            return Ok(Vec::new());
        };
        let mut found: Vec<_> = entries
            .filter_map(|entry| self.chip(&entry.ok()?.path()))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

impl GpioChips {
    fn chip(&self, directory: &Path) -> Option<Found> {
        let name = directory.file_name()?.to_str()?;
        let node = self.0.dev().join(name);
        // The chip is below its device, whose name stays where the chip's number does not.
        let real = fs_err::canonicalize(directory).ok()?;
        let device = real.parent()?.file_name()?.to_string_lossy().into_owned();
        Some(Found {
            driver: "gpio".to_owned(),
            capability: "power".to_owned(),
            name: format!("gpio {}", node.display()),
            access: access(&node),
            node: Some(node),
            description: format!("GPIO chip of {device}"),
            serial: None,
            udev_rule: Some(format!(
                "SUBSYSTEM==\"gpio\", KERNELS==\"{device}\", GROUP=\"gpio\", MODE=\"0660\", \
                 SYMLINK+=\"pumice/gpio-{device}\""
            )),
            warnings: vec!["chips are numbered anew at each boot: use the rule's link".to_owned()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Access;
    use crate::usb::tests_support::{FakeSysfs, hid_switch};

    #[test]
    fn switches_are_listed_with_what_is_missing() {
        let tree = FakeSysfs::new();
        hid_switch(&tree, "1-1.2", "04d8:f0cd", Some("YK1"), "hidraw0");
        hid_switch(&tree, "1-1.3", "5131:2007", Some("A"), "hidraw1");
        hid_switch(&tree, "1-1.4", "5131:2007", Some("A"), "hidraw2");
        tree.usb("1-1.5", "04b4:fd13", None, ["03", "00", "00"]);
        // A V-USB thing that is no relay, and something else.
        hid_switch(&tree, "1-1.6", "16c0:05df", None, "hidraw3");
        tree.usb("1-1.7", "046d:c31c", None, ["03", "01", "01"]);
        let found = HidSwitches(tree.sysfs()).list().unwrap();
        let names: Vec<_> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "energenie-eg-pms path=1-1.5",
                "lc-us8 path=1-1.3",
                "lc-us8 path=1-1.4",
                "ykushxs serial=YK1"
            ]
        );
        assert_eq!(found[3].access, Access::Granted);
        assert!(matches!(&found[0].access, Access::Denied(why) if why.contains("not there yet")));
        assert_eq!(
            found[1].warnings,
            ["has the serial number of the one at 1-1.4"]
        );
        assert!(
            found[3]
                .udev_rule
                .as_ref()
                .unwrap()
                .contains("ATTRS{serial}==\"YK1\"")
        );
    }

    #[test]
    fn hubs_are_listed_by_their_place() {
        let tree = FakeSysfs::new();
        tree.usb("1-1", "2109:2813", Some("A"), ["09", "00", "02"]);
        tree.attributes("bus/usb/devices/1-1/1-1:1.0/1-1-port1", &[]);
        let found = HubPorts(tree.sysfs()).list().unwrap();
        assert_eq!(found[0].name, "usb-hub path=1-1");
        assert_eq!(found[0].description, "ACME Thing, 1 ports");
        assert_eq!(found[0].driver, "usb-hub");
    }

    #[test]
    fn gpio_chips_are_listed_with_a_rule_for_a_name_that_stays() {
        let tree = FakeSysfs::new();
        tree.attributes("devices/platform/fe200000.gpio/gpiochip0", &[]);
        tree.attributes("bus/gpio/devices", &[]);
        let link = tree.sys("bus/gpio/devices/gpiochip0");
        let target = tree.sys("devices/platform/fe200000.gpio/gpiochip0");
        std::os::unix::fs::symlink(target, link).unwrap();
        let found = GpioChips(tree.sysfs()).list().unwrap();
        assert_eq!(found[0].description, "GPIO chip of fe200000.gpio");
        assert!(
            found[0]
                .udev_rule
                .as_ref()
                .unwrap()
                .contains("pumice/gpio-fe200000.gpio")
        );
        let empty = FakeSysfs::new();
        assert_eq!(GpioChips(empty.sysfs()).list().unwrap(), []);
    }
}
