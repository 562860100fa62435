//! Every byte that the built-in rows send, and the finding of devices in a copy of `/sys`.

use super::steps::Step;
use super::*;
use crate::{
    process::{Command, CommandLine},
    usb::tests_support::{FakeSysfs, hid_switch},
};
use std::fmt::Write;

fn rows() -> Vec<(String, Row)> {
    let table: toml::Table = toml::from_str(HID.table).unwrap();
    let models = table["model"].as_table().unwrap();
    let parse = |(name, row): (&String, &toml::Value)| {
        let mut row = row.as_table().unwrap().clone();
        for common in ["aliases", "description", "tested"] {
            row.remove(common);
        }
        (name.clone(), Row::parse(row).unwrap())
    };
    models.iter().map(parse).collect()
}

fn row(name: &str) -> Row {
    let mut rows = rows().into_iter();
    rows.find(|(each, _)| each == name).unwrap().1
}

#[test]
fn every_byte_of_every_row() {
    let mut all = String::new();
    for (name, row) in rows() {
        for outlet in 1..=row.outlets {
            for to in [PowerState::On, PowerState::Off] {
                for step in row.switch_steps(outlet, 2, to).unwrap() {
                    writeln!(all, "{name} {outlet} {to}: {step}").unwrap();
                }
            }
            for step in row.read_steps(outlet, 2).unwrap().unwrap_or_default() {
                writeln!(all, "{name} {outlet} ?: {step}").unwrap();
            }
        }
        if let Some(identity) = &row.identity {
            for step in identity.steps(2).unwrap().into_iter().flatten() {
                writeln!(all, "{name} serial: {step}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn answers_are_read_as_the_devices_mean_them() {
    let state = |name: &str, outlet, answer: &[u8]| row(name).state(outlet, answer);
    let relays = [0, b'A', b'B', b'C', b'D', b'E', 0, 0, 0b101];
    assert_eq!(state("vusbhid", 1, &relays), Ok(PowerState::On));
    assert_eq!(state("vusbhid", 2, &relays), Ok(PowerState::Off));
    assert_eq!(state("vusbhid", 3, &relays), Ok(PowerState::On));
    assert!(
        state("vusbhid", 1, &relays[..5])
            .unwrap_err()
            .contains("5 bytes")
    );
    assert_eq!(state("ykush", 2, &[1, 0x12]), Ok(PowerState::On));
    assert_eq!(state("ykush", 2, &[1, 0x02]), Ok(PowerState::Off));
    assert_eq!(
        state("energenie-eg-pms", 4, &[12, 3, 0, 0, 0]),
        Ok(PowerState::On)
    );
    assert_eq!(
        state("energenie-eg-pms", 4, &[12, 0, 0, 0, 0]),
        Ok(PowerState::Off)
    );
}

#[test]
fn serial_numbers_inside_are_read_as_their_owners_write_them() {
    let serial = |name: &str, answers: &[Vec<u8>]| row(name).identity.unwrap().serial(answers);
    let answer = vec![0, b'B', b'I', b'T', b'F', b'T', 0, 0, 1];
    assert_eq!(serial("vusbhid", &[answer]).as_deref(), Some("BITFT"));
    let answer = vec![1, 0x0f, 0x2c, 0x31, 0xc4];
    assert_eq!(
        serial("energenie-eg-pms", &[answer]).as_deref(),
        Some("01:0f:2c:31:c4")
    );
    let digits: Vec<_> = b"00A0F12"
        .iter()
        .map(|digit| vec![0, 0, 0, 0, 8, *digit])
        .collect();
    let cleware = serial("cleware-usb-switch-4", &digits).unwrap();
    assert!(same_serial(&cleware, "a0f12"), "{cleware}");
    assert_eq!(serial("vusbhid", &[vec![0]]), None);
}

#[test]
fn mistakes_in_rows_are_told() {
    let error = |row: &str| Row::parse(toml::from_str(row).unwrap()).unwrap_err();
    let row = |on: &str| {
        format!("usb = ['16c0:05df']\noutlets = 8\nvia = 'hidraw'\noff = {{}}\non = {on}")
    };
    assert!(error(&row("{ ouput = '00' }")).contains("unknown field `ouput`"));
    assert_eq!(
        error(&row("{ output = '{n*100}' }")),
        "a byte of its report would be 300"
    );
    assert!(error(&row("{ output = '00', feature = '00' }")).contains("one of"));
    let control = "{ control = { type = 0x21, request = 9, value = '1' } }";
    assert!(error(&row(control)).contains("does not go through Hidraw"));
    assert!(error(&row("{ output = '00', length = 9999 }")).contains("1025 at most"));
}

/// What pdudaemon's driver sends for each outlet on and off; `None` where it is not installed.
async fn pdudaemon(module: &str, driver: &str, outlets: u32) -> Option<Vec<String>> {
    // Debian's interpreter may not be the first on the path.
    for python in ["/usr/bin/python3", "python3"] {
        let line = CommandLine::new(python)
            .args(["-c", include_str!("pdudaemon.py"), module, driver, "BITFT"])
            .arg(outlets.to_string());
        let deadline = Instant::now() + Duration::from_secs(60);
        let Ok(output) = Command::new(line).output(deadline).await else {
            continue;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.exit.success() {
            let printed = String::from_utf8(output.stdout).unwrap();
            return Some(printed.lines().map(str::to_owned).collect());
        }
        assert!(said.contains("No module named 'pdudaemon'"), "{said}");
    }
    eprintln!("SKIPPED: pdudaemon is not installed");
    None
}

/// What a row sends for each outlet on and off.
fn ours(name: &str, outlets: u32) -> Vec<String> {
    let row = row(name);
    let mut sent = Vec::new();
    for outlet in 1..=outlets {
        for to in [PowerState::On, PowerState::Off] {
            let steps = row.switch_steps(outlet, 0, to).unwrap();
            sent.extend(
                steps
                    .iter()
                    .filter(|step| !step.reads_input())
                    .map(Step::to_string),
            );
        }
    }
    sent
}

#[tokio::test]
async fn bytes_are_those_that_pdudaemon_sends() {
    for (name, module, driver, outlets) in [
        ("cleware-usb-switch-4", "cleware", "ClewareUsbSwitch4", 4),
        ("cleware-usb-switch-8", "cleware", "ClewareUsbSwitch8", 8),
        ("energenie-eg-pms", "energenieusb", "EG-PMS", 4),
    ] {
        if let Some(theirs) = pdudaemon(module, driver, outlets).await {
            assert_eq!(ours(name, outlets), theirs, "{name}");
        }
    }
}

/// The kernel sends a feature report to the interface (0x21), pdudaemon past it to the device
/// (0x20), and not the zeros at its end: the boards look at request and data alone.
#[tokio::test]
async fn bytes_to_relays_differ_from_those_of_pdudaemon_in_padding_only() {
    let Some(theirs) = pdudaemon("vusbhid", "vusbhid", 8).await else {
        return;
    };
    let theirs: Vec<_> = theirs
        .iter()
        .map(|sent| sent.replace("control 20 09 value 0300 index 0000 data", "set-feature 00"))
        .map(|sent| format!("{sent} 00*6"))
        .collect();
    assert_eq!(ours("vusbhid", 8), theirs);
}

/// pdudaemon sends the command twice, the first as the number of a report that the hub does not
/// have, and pykush and we a whole report whose number is 0; and it knows three ports of four.
#[tokio::test]
async fn bytes_to_yepkit_hubs_differ_from_those_of_pdudaemon_in_the_frame_only() {
    for (name, driver, outlets) in [("ykush", "YKUSH", 3), ("ykushxs", "YKUSHXS", 1)] {
        let Some(theirs) = pdudaemon("ykush", driver, outlets).await else {
            return;
        };
        let command = |sent: &String| sent.split(' ').nth(1).unwrap().to_owned();
        let theirs: Vec<_> = theirs
            .iter()
            .map(|sent| format!("write 00 {} 00*63", command(sent)))
            .collect();
        assert_eq!(ours(name, outlets), theirs, "{name}");
    }
}

fn pdu(tree: &FakeSysfs, name: &str, address: &str) -> HidPdu {
    let row = Arc::new(row(name));
    let which: UsbMatch = if address.is_empty() {
        UsbMatch::default()
    } else {
        address.parse().unwrap()
    };
    HidPdu {
        name: "relays".to_owned(),
        timeout: crate::lab::REQUEST_TIMEOUT,
        inverted: false,
        target: Arc::new(Target {
            which: which.with_ids(&row.ids),
            row,
            sysfs: tree.sysfs(),
            exchange: Mutex::new(()),
        }),
    }
}

async fn switch_on(pdu: &mut HidPdu, outlet: &str) -> Result<(), HalError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    pdu.switch(&outlet.parse().unwrap(), PowerState::On, deadline)
        .await
}

#[tokio::test]
async fn a_report_reaches_the_device_that_is_meant() {
    let tree = FakeSysfs::new();
    hid_switch(&tree, "1-1.2", "5131:2007", Some("A"), "hidraw0");
    hid_switch(&tree, "1-1.3", "5131:2007", Some("B"), "hidraw1");
    switch_on(&mut pdu(&tree, "lc-us8", "serial=B"), "3")
        .await
        .unwrap();
    assert_eq!(fs_err::read(tree.dev("hidraw0")).unwrap(), b"");
    assert_eq!(
        fs_err::read(tree.dev("hidraw1")).unwrap(),
        [0, 0xa0, 3, 1, 0xa4]
    );
}

#[tokio::test]
async fn two_with_one_serial_number_are_an_error_that_lists_both() {
    let tree = FakeSysfs::new();
    hid_switch(&tree, "1-1.2", "5131:2007", Some("A"), "hidraw0");
    hid_switch(&tree, "1-1.10", "5131:2007", Some("A"), "hidraw1");
    let error = switch_on(&mut pdu(&tree, "lc-us8", "serial=A"), "1")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("2 devices match"), "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("path=1-1.2") && hint.contains("path=1-1.10"),
        "{hint}"
    );
    switch_on(&mut pdu(&tree, "lc-us8", "serial=A,path=1-1.10"), "1")
        .await
        .unwrap();
    assert_eq!(
        fs_err::read(tree.dev("hidraw1")).unwrap(),
        [0, 0xa0, 1, 1, 0xa2]
    );
}

#[tokio::test]
async fn devices_that_are_not_there_and_outlets_that_do_not_exist_are_named() {
    let tree = FakeSysfs::new();
    let mut relays = pdu(&tree, "vusbhid", "");
    let error = switch_on(&mut relays, "1").await.unwrap_err();
    assert_eq!(error.to_string(), "no USB device matches id=16c0:05df");
    let error = switch_on(&mut relays, "9").await.unwrap_err();
    assert_eq!(error.to_string(), "PDU 'relays' has no outlet '9'");
    // The ids are shared by everything that was ever made with V-USB.
    hid_switch(&tree, "1-1", "16c0:05df", None, "hidraw0");
    let error = switch_on(&mut relays, "1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// What a device does that is no HID device at all (a file here) is an error with its name.
#[tokio::test]
async fn a_device_that_refuses_a_report_is_named() {
    let tree = FakeSysfs::new();
    hid_switch(&tree, "1-1", "04d8:f0cd", Some("YK1"), "hidraw0");
    let error = switch_on(&mut pdu(&tree, "ykushxs", ""), "1")
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Closed,
        "a file ends where a device waits: {error}"
    );
    assert!(error.to_string().contains("04d8:f0cd"), "{error}");
}

#[tokio::test]
async fn inverted_contacts_are_switched_the_other_way() {
    let tree = FakeSysfs::new();
    hid_switch(&tree, "1-1", "5131:2007", None, "hidraw0");
    let mut relays = pdu(&tree, "lc-us8", "");
    relays.inverted = true;
    switch_on(&mut relays, "1").await.unwrap();
    assert_eq!(
        fs_err::read(tree.dev("hidraw0")).unwrap(),
        [0, 0xa0, 1, 0, 0xa1]
    );
}
