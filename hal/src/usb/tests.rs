//! Finding devices in a copy of `/sys`.

use super::{tests_support::*, *};
use crate::error::ErrorKind;
use proptest::prelude::*;
use std::{path::Path, time::Duration};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn a_device_is_read_with_its_interfaces_and_nodes() {
    let tree = FakeSysfs::new();
    tree.usb(
        "1-1.4",
        "0424:4041",
        Some("00048.00643"),
        ["08", "06", "50"],
    );
    let interface = "bus/usb/devices/1-1.4/1-1.4:1.0";
    tree.attributes(
        &format!("{interface}/host3/target3:0:0/3:0:0:0/block/sda/sda1"),
        &[],
    );
    tree.attributes(
        &format!("{interface}/host3/target3:0:0/3:0:0:0/scsi_generic/sg2"),
        &[],
    );
    let driver = tree.sys(interface).join("driver");
    std::os::unix::fs::symlink("../../../../drivers/usb-storage", driver).unwrap();
    let devices = tree.sysfs().usb_devices().unwrap();
    let [device] = &devices[..] else {
        panic!("{devices:?}");
    };
    assert_eq!((device.vendor, device.product), (0x0424, 0x4041));
    assert_eq!(device.describe(), "ACME Thing (0424:4041) at 1-1.4");
    assert_eq!(device.parent().as_deref(), Some("1-1"));
    assert_eq!(device.interfaces[0].class, [8, 6, 0x50]);
    assert_eq!(device.interfaces[0].driver.as_deref(), Some("usb-storage"));
    assert!(device.node.starts_with(tree.dev("bus/usb/001")));
    let nodes: Vec<&Path> = device.nodes(NodeKind::ScsiGeneric).collect();
    assert_eq!(nodes, [tree.dev("sg2")]);
    let disks: Vec<&Path> = device.nodes(NodeKind::Block).collect();
    assert_eq!(disks, [tree.dev("sda")]);
}

#[test]
fn paths_are_in_the_order_of_their_numbers() {
    let tree = FakeSysfs::new();
    for path in ["1-1.10", "1-1.9", "usb1", "1-1"] {
        tree.usb(path, "1d6b:0002", None, ["09", "00", "00"]);
    }
    let devices = tree.sysfs().usb_devices().unwrap();
    let paths: Vec<_> = devices.iter().map(|device| device.path.as_str()).collect();
    assert_eq!(paths, ["usb1", "1-1", "1-1.9", "1-1.10"]);
    assert_eq!(devices[1].parent().as_deref(), Some("usb1"));
    assert_eq!(devices[0].parent(), None);
}

#[test]
fn a_kernel_without_usb_has_no_devices() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Sysfs::at(empty.path(), "/dev").usb_devices().unwrap(), []);
    assert_eq!(Sysfs::at(empty.path(), "/dev").hid_devices(), []);
}

#[test]
fn words_of_a_device_cannot_steer_a_terminal() {
    let tree = FakeSysfs::new();
    tree.usb("1-1", "0424:4041", Some("\x1b[2Jx"), ["08", "06", "50"]);
    let device = tree.sysfs().usb_device("1-1").unwrap();
    assert_eq!(device.serial.as_deref(), Some("\u{fffd}[2Jx"));
    assert_eq!(tree.sysfs().usb_device("../devices/1-1"), None);
}

#[test]
fn both_halves_of_a_usb_3_socket_are_found() {
    let tree = FakeSysfs::new();
    tree.usb("1-1", "2109:2813", None, ["09", "00", "02"]);
    let ports = "bus/usb/devices/1-1/1-1:1.0";
    tree.attributes(&format!("{ports}/1-1-port1"), &[("disable", "0")]);
    tree.attributes(&format!("{ports}/1-1-port2"), &[]);
    let peer = tree.sys(&format!("{ports}/1-1-port1/peer"));
    std::os::unix::fs::symlink("../../../2-1/2-1:1.0/2-1-port1", peer).unwrap();
    let found = tree.sysfs().hub_ports("1-1");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].peer, Some(("2-1".to_owned(), 1)));
    assert!(found[0].switch.is_some() && found[1].switch.is_none());
}

#[test]
fn which_device_is_read_and_shown_alike() {
    for text in [
        "id=04d8:f2f7,serial=YK20001,path=1-1.4",
        "path=usb2",
        "serial=a b",
    ] {
        assert_eq!(text.parse::<UsbMatch>().unwrap().to_string(), text);
    }
    let plain = |text: &str| text.parse::<UsbMatch>().unwrap();
    assert_eq!(plain("1-1.4").path.as_deref(), Some("1-1.4"));
    assert_eq!(plain("YK20001").serial.as_deref(), Some("YK20001"));
    for bad in [
        "",
        "id=4d8:f2f7",
        "path=../..",
        "path=1-1.4/x",
        "serial=",
        "who=me",
        "a\nb",
    ] {
        let error = bad.parse::<UsbMatch>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_match_or_refused(text in ".{0,40}") {
        if let Ok(which) = text.parse::<UsbMatch>() {
            prop_assert_eq!(which.to_string().parse::<UsbMatch>().unwrap(), which);
        }
    }
}

#[tokio::test]
async fn a_device_that_enumerates_again_is_waited_for() {
    let tree = FakeSysfs::new();
    let which: UsbMatch = "serial=A".parse().unwrap();
    let sysfs = tree.sysfs();
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(120);
    let error = which.wait(&sysfs, deadline).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() >= Duration::from_millis(120));
    let waiting = which.wait(&sysfs, soon());
    let plugging = async {
        tokio::task::yield_now().await;
        tree.usb("1-2", "18d1:4ee0", Some("A"), ["ff", "42", "03"]);
    };
    let (found, ()) = tokio::join!(waiting, plugging);
    assert_eq!(found.unwrap().path, "1-2");
    let leaving = which.wait_gone(&sysfs, soon());
    let unplugging = async {
        tokio::task::yield_now().await;
        fs_err::remove_dir_all(tree.sys("bus/usb/devices/1-2")).unwrap();
    };
    let (gone, ()) = tokio::join!(leaving, unplugging);
    gone.unwrap();
}

#[tokio::test]
async fn two_boards_with_one_serial_number_do_not_wait_for_the_deadline() {
    let tree = FakeSysfs::new();
    tree.usb("1-2", "18d1:4ee0", Some("A"), ["ff", "42", "03"]);
    tree.usb("1-3", "18d1:4ee0", Some("A"), ["ff", "42", "03"]);
    let which: UsbMatch = "serial=A".parse().unwrap();
    let error = which.wait(&tree.sysfs(), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "2 devices match serial=A: ACME Thing (18d1:4ee0) at 1-2, ACME Thing (18d1:4ee0) at 1-3"
    );
    assert_eq!(
        error.hint(),
        Some("say which by its path: path=1-2 or path=1-3")
    );
}
