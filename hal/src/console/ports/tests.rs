use super::*;
use crate::discover::Access;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A sysfs and a /dev of our own.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs_err::create_dir_all(tree.path("sys/class/tty")).unwrap();
        fs_err::create_dir_all(tree.path("dev/serial/by-id")).unwrap();
        fs_err::create_dir_all(tree.path("dev/serial/by-path")).unwrap();
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// A port with a device link to a directory of sys/devices.
    fn port(&self, name: &str, device: &str) {
        let directory = self.path(&format!("sys/devices/{device}/tty/{name}"));
        fs_err::create_dir_all(&directory).unwrap();
        symlink(
            self.path(&format!("sys/devices/{device}")),
            directory.join("device"),
        )
        .unwrap();
        symlink(&directory, self.path(&format!("sys/class/tty/{name}"))).unwrap();
        self.file(&format!("dev/{name}"), "");
    }

    /// A port of a USB adapter at `place`.
    fn adapter(&self, name: &str, place: &str, interface: &str, serial: Option<&str>) {
        let usb = format!("sys/devices/usb1/{place}");
        self.file(&format!("{usb}/idVendor"), "0403\n");
        self.file(&format!("{usb}/idProduct"), "6001\n");
        self.file(&format!("{usb}/manufacturer"), "FTDI\n");
        self.file(&format!("{usb}/product"), "FT232R USB UART\n");
        if let Some(serial) = serial {
            self.file(&format!("{usb}/serial"), &format!("{serial}\n"));
        }
        let directory = format!("{place}:1.{interface}");
        self.file(
            &format!("{usb}/{directory}/bInterfaceNumber"),
            &format!("0{interface}\n"),
        );
        self.port(name, &format!("usb1/{place}/{directory}/{name}"));
    }

    fn link(&self, link: &str, name: &str) {
        symlink(
            self.path(&format!("dev/{name}")),
            self.path(&format!("dev/serial/{link}")),
        )
        .unwrap();
    }

    fn factory(&self) -> SerialFactory {
        SerialFactory::at(self.path("sys"), self.path("dev"))
    }
}

#[test]
fn ports_are_listed_under_names_that_stay() {
    let tree = Tree::new();
    tree.adapter("ttyUSB10", "1-2.3", "0", Some("A50285BI"));
    tree.adapter("ttyUSB2", "1-1", "1", None);
    tree.port("ttyS0", "pnp0/00:04");
    tree.file("sys/class/tty/ttyS0/type", "4\n");
    tree.port("ttyS1", "platform/serial8250");
    tree.file("sys/class/tty/ttyS1/type", "0\n");
    // No hardware: a pseudo-terminal, a virtual console.
    fs_err::create_dir_all(tree.path("sys/class/tty/tty1")).unwrap();
    tree.link("by-id/usb-FTDI_FT232R_A50285BI-if00-port0", "ttyUSB10");
    tree.link("by-path/pci-0-usb-0:2.3:1.0-port0", "ttyUSB10");
    tree.link("by-path/pci-0-usb-0:1:1.1-port0", "ttyUSB2");

    let found = tree.factory().list().unwrap();
    let nodes: Vec<_> = found
        .iter()
        .map(|found| found.node.clone().unwrap())
        .collect();
    let expected = ["ttyS0", "ttyUSB2", "ttyUSB10"].map(|name| tree.path("dev").join(name));
    assert_eq!(nodes, expected);

    assert!(
        found[0].warnings[0].contains("may change"),
        "{:?}",
        found[0]
    );
    assert_eq!(found[0].udev_rule, None);
    assert!(
        found[1].name.ends_with("by-path/pci-0-usb-0:1:1.1-port0"),
        "{:?}",
        found[1]
    );
    assert!(
        found[1]
            .udev_rule
            .as_ref()
            .unwrap()
            .contains("KERNELS==\"1-1\"")
    );
    let adapter = &found[2];
    assert!(
        adapter
            .name
            .ends_with("by-id/usb-FTDI_FT232R_A50285BI-if00-port0"),
        "{adapter:?}"
    );
    assert_eq!(adapter.description, "FTDI FT232R USB UART");
    assert_eq!(adapter.serial.as_deref(), Some("A50285BI"));
    assert_eq!(adapter.warnings, Vec::<String>::new());
    assert_eq!(
        adapter.udev_rule.as_deref().unwrap(),
        "SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"0403\", ATTRS{idProduct}==\"6001\", \
         ATTRS{serial}==\"A50285BI\", ENV{ID_USB_INTERFACE_NUM}==\"00\", \
         SYMLINK+=\"board/A50285BI-00\", GROUP=\"dialout\", MODE=\"0660\""
    );
}

#[test]
fn twins_are_told_apart_by_their_place() {
    let tree = Tree::new();
    for (name, place) in [("ttyUSB0", "1-1"), ("ttyUSB1", "1-2")] {
        tree.adapter(name, place, "0", Some("0001"));
        tree.link(&format!("by-path/pci-0-usb-0:{place}:1.0-port0"), name);
    }
    // udev's link by serial number leads to one of them, whichever came last.
    tree.link("by-id/usb-Prolific_0001-if00-port0", "ttyUSB1");
    let found = tree.factory().list().unwrap();
    for (found, (place, other)) in found.iter().zip([("1-1", "ttyUSB1"), ("1-2", "ttyUSB0")]) {
        assert!(found.name.contains("by-path"), "{found:?}");
        assert!(found.warnings[0].contains(other), "{found:?}");
        let rule = found.udev_rule.as_deref().unwrap();
        assert!(rule.contains(&format!("KERNELS==\"{place}\"")), "{rule}");
        assert!(!rule.contains("ATTRS{serial}"), "{rule}");
    }
    // Two ports of one adapter are no twins.
    let tree = Tree::new();
    tree.adapter("ttyUSB0", "1-1", "0", Some("X"));
    tree.adapter("ttyUSB1", "1-1", "1", Some("X"));
    let twins = tree.factory().list().unwrap();
    assert!(
        twins
            .iter()
            .all(|found| found.udev_rule.as_ref().unwrap().contains("ATTRS{serial}"))
    );
}

#[test]
fn what_a_device_says_cannot_write_a_rule() {
    let tree = Tree::new();
    tree.adapter("ttyUSB0", "1-1", "0", Some("x\", RUN+=\"/bin/sh -c evil"));
    let rule = tree.factory().list().unwrap()[0].udev_rule.clone().unwrap();
    assert!(!rule.contains("RUN+="), "{rule}");
    assert!(
        rule.contains("ATTRS{serial}==\"x???RUN????bin?sh?-c?evil\""),
        "{rule}"
    );
}

#[test]
fn missing_access_is_data() {
    let tree = Tree::new();
    tree.adapter("ttyUSB0", "1-1", "0", None);
    let node = tree.path("dev/ttyUSB0");
    fs_err::set_permissions(&node, PermissionsExt::from_mode(0o000)).unwrap();
    let found = tree.factory().list().unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(found[0].access, Access::Granted);
        eprintln!("SKIPPED: root may open a node of mode 000");
    } else {
        assert!(matches!(&found[0].access, Access::Denied(hint) if hint.contains("0000")));
    }
    fs_err::remove_file(&node).unwrap();
    assert!(matches!(
        &tree.factory().list().unwrap()[0].access,
        Access::Denied(_)
    ));
}

#[test]
fn the_systems_own_ports_can_be_listed() {
    // Whatever there is: it must not fail, and each has a node.
    for found in SerialFactory::default().list().unwrap() {
        assert!(found.node.is_some(), "{found:?}");
    }
    assert!(
        SerialFactory::at("/no-such-directory", "/dev")
            .list()
            .is_err()
    );
}
