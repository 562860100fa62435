//! A copy of `/sys` and `/dev` in a directory, for the tests of this crate.

use super::Sysfs;
use std::path::PathBuf;

pub(crate) struct FakeSysfs(tempfile::TempDir);

impl FakeSysfs {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for part in ["sys/bus/usb/devices", "sys/class/hidraw", "dev"] {
            fs_err::create_dir_all(directory.path().join(part)).unwrap();
        }
        Self(directory)
    }

    pub(crate) fn sysfs(&self) -> Sysfs {
        Sysfs::at(self.0.path().join("sys"), self.0.path().join("dev"))
    }

    pub(crate) fn sys(&self, path: &str) -> PathBuf {
        self.0.path().join("sys").join(path)
    }

    pub(crate) fn dev(&self, path: &str) -> PathBuf {
        self.0.path().join("dev").join(path)
    }

    /// Files of a directory below `sys`.
    pub(crate) fn attributes(&self, directory: &str, values: &[(&str, &str)]) {
        let directory = self.sys(directory);
        fs_err::create_dir_all(&directory).unwrap();
        for (name, value) in values {
            fs_err::write(directory.join(name), format!("{value}\n")).unwrap();
        }
    }

    pub(crate) fn node(&self, name: &str) {
        let path = self.dev(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "").unwrap();
    }

    /// A USB device with one interface of class `class`.
    pub(crate) fn usb(&self, path: &str, id: &str, serial: Option<&str>, class: [&str; 3]) {
        let (vendor, product) = id.split_once(':').unwrap();
        let address = path.bytes().map(u32::from).sum::<u32>() % 127;
        let address = address.to_string();
        let mut values = vec![
            ("busnum", "1"),
            ("devnum", address.as_str()),
            ("idVendor", vendor),
            ("idProduct", product),
            ("bDeviceClass", if class[0] == "09" { "09" } else { "00" }),
            ("speed", "480"),
            ("manufacturer", "ACME"),
            ("product", "Thing"),
        ];
        values.extend(serial.map(|serial| ("serial", serial)));
        let device = format!("bus/usb/devices/{path}");
        self.attributes(&device, &values);
        let interface = match path.strip_prefix("usb") {
            Some(bus) => format!("{device}/{bus}-0:1.0"),
            None => format!("{device}/{path}:1.0"),
        };
        let values = [
            ("bInterfaceNumber", "00"),
            ("bInterfaceClass", class[0]),
            ("bInterfaceSubClass", class[1]),
            ("bInterfaceProtocol", class[2]),
        ];
        self.attributes(&interface, &values);
    }
}

/// A HID switch, whose node is a file.
pub(crate) fn hid_switch(tree: &FakeSysfs, path: &str, id: &str, serial: Option<&str>, node: &str) {
    tree.usb(path, id, serial, ["03", "00", "00"]);
    let (vendor, product) = id.split_once(':').unwrap();
    let hid = format!("bus/usb/devices/{path}/{path}:1.0/0003:{vendor}:{product}.0001");
    let uevent = format!(
        "DRIVER=hid-generic\nHID_ID=0003:0000{vendor}:0000{product}\nHID_NAME=ACME Thing\nHID_UNIQ={}",
        serial.unwrap_or("")
    );
    tree.attributes(&hid, &[("uevent", &uevent)]);
    tree.attributes(&format!("{hid}/hidraw/{node}"), &[]);
    tree.attributes(&format!("class/hidraw/{node}"), &[]);
    let device = tree.sys(&format!("class/hidraw/{node}/device"));
    std::os::unix::fs::symlink(tree.sys(&hid), device).unwrap();
    tree.node(node);
}
