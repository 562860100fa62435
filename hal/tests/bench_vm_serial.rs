//! Serial ports with a real kernel's drivers: an FTDI adapter that QEMU emulates, and a CDC-ACM
//! port that the kernel's own gadget offers. What goes over the wire is read from `usbmon`.
//!
//! `hil/bench-vm/test` runs them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

mod bench_vm;
mod support;

use bench_vm::{
    gadget::{CONTROLLERS, Gadget},
    in_bench_vm,
    ports::{ADAPTER, Board, Port, carry, node_at, noise, open, run, speed},
    usbmon::Usbmon,
};
use hal::{
    ErrorKind,
    console::{
        Console, ConsoleTarget, DataBits, EpochCounter, LineControl, LineSettings, ModemLines,
        Parity, SerialFactory, StopBits,
    },
    discover::{Access, Factory, Found},
    process::{CommandLine, Running},
};
use std::{
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};
use support::{peers, soon, wait_for};
use tokio::time::Instant;

/// Speeds that no UART's divisor hits exactly.
const ODD_BAUD: u32 = 123_456;

/// Requests of FTDI's chips, all to the device. Source: the kernel's `ftdi_sio.h`.
mod ftdi {
    pub(crate) const KIND: u8 = 0x40;
    pub(crate) const MODEM_CONTROL: u8 = 1;
    pub(crate) const SET_DATA: u8 = 4;
    pub(crate) const BREAK: u16 = 1 << 14;
}

/// Requests of CDC-ACM, all to the interface. Source: USB PSTN 1.2, section 6.3.
mod cdc {
    pub(crate) const KIND: u8 = 0x21;
    pub(crate) const SET_LINE_CODING: u8 = 0x20;
    pub(crate) const SET_CONTROL_LINE_STATE: u8 = 0x22;
}

async fn carries_all(port: &mut impl Console, board: &mut impl Console) {
    let all: Vec<u8> = (0..=255).collect();
    carry(port, board, &all).await;
    carry(board, port, &all).await;
    let megabyte = noise(1 << 20);
    carry(port, board, &megabyte).await;
    carry(board, port, &megabyte).await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn every_byte_passes_an_adapter_at_an_odd_speed() {
    if !in_bench_vm() {
        return;
    }
    let Some(mut board) = Board::of_adapter().await else {
        return;
    };
    let mut port = open(Path::new(ADAPTER), &speed(ODD_BAUD));
    carries_all(&mut port, &mut board.console).await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn every_byte_passes_a_boards_own_port_at_an_odd_speed() {
    if in_bench_vm() {
        let port = Port::plug(CONTROLLERS[0], "BYTES").await;
        let mut board = port.board();
        carries_all(&mut open(&port.node, &speed(ODD_BAUD)), &mut board).await;
    }
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn speed_and_frame_go_over_the_wire() {
    if !in_bench_vm() {
        return;
    }
    let settings = LineSettings {
        baud: Some(57_600),
        data_bits: Some(DataBits::Seven),
        parity: Some(Parity::Even),
        stop_bits: Some(StopBits::Two),
        ..LineSettings::default()
    };
    let mut wire = Usbmon::listen();
    let adapter = open(Path::new(ADAPTER), &settings);
    // Seven bits, even parity in bits 8 to 10, two stop bits in 11 and 12.
    let frame = 7 | (2 << 8) | (2 << 11);
    wire.next(|sent| (sent.kind, sent.request, sent.value) == (ftdi::KIND, ftdi::SET_DATA, frame))
        .await;
    drop(adapter);
    let port = Port::plug(CONTROLLERS[0], "FRAME").await;
    let _console = open(&port.node, &settings);
    // The speed in four bytes, two stop bits, even parity, seven bits.
    wire.next(|sent| {
        (sent.kind, sent.request) == (cdc::KIND, cdc::SET_LINE_CODING)
            && sent.data == "00e10000020207"
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn an_adapters_lines_and_break_go_over_the_wire() {
    if !in_bench_vm() {
        return;
    }
    let mut wire = Usbmon::listen();
    let mut console = open(Path::new(ADAPTER), &speed(115_200));
    let line = console.line_control().unwrap();
    moves_lines(line, &mut wire).await;
    // QEMU shows these where the other side has no lines of its own, as a socket.
    let plugged = ModemLines {
        cts: true,
        dsr: true,
        carrier: true,
        ring: false,
    };
    assert_eq!(line.modem_lines().await.unwrap(), plugged);
}

/// DTR, RTS and BREAK of an FTDI adapter: the low byte is the line, the high one says which.
async fn moves_lines(line: &mut dyn LineControl, wire: &mut Usbmon) {
    for (set, value) in [(false, 0x0100), (true, 0x0101)] {
        line.set_dtr(set).await.unwrap();
        sent(wire, ftdi::MODEM_CONTROL, |sent| {
            sent & 0x0101 == value && sent & 0x0100 != 0
        })
        .await;
    }
    for (set, value) in [(false, 0x0200), (true, 0x0202)] {
        line.set_rts(set).await.unwrap();
        sent(wire, ftdi::MODEM_CONTROL, |sent| {
            sent & 0x0202 == value && sent & 0x0200 != 0
        })
        .await;
    }
    line.send_break(Duration::from_millis(100)).await.unwrap();
    sent(wire, ftdi::SET_DATA, |sent| sent & ftdi::BREAK != 0).await;
    sent(wire, ftdi::SET_DATA, |sent| sent & ftdi::BREAK == 0).await;
}

async fn sent(wire: &mut Usbmon, request: u8, value: impl Fn(u16) -> bool) {
    wire.next(|sent| (sent.kind, sent.request) == (ftdi::KIND, request) && value(sent.value))
        .await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn lines_and_break_of_a_console_server_go_over_the_wire() {
    if !in_bench_vm() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let accepter = "telnet(rfc2217),tcp,127.0.0.1,PORT";
    let server = peers::ser2net_of(accepter, Path::new(ADAPTER), directory.path()).await;
    let Some((_server, port)) = server else {
        return;
    };
    let target: ConsoleTarget = format!("rfc2217://127.0.0.1:{port}?baud=9600")
        .parse()
        .unwrap();
    let mut wire = Usbmon::listen();
    let mut console = target.open(EpochCounter::default(), soon()).await.unwrap();
    let line = console.line_control().unwrap();
    moves_lines(line, &mut wire).await;
    let seen = line.modem_lines().await.unwrap();
    assert!(
        seen.cts && seen.dsr && seen.carrier && !seen.ring,
        "{seen:?}"
    );
    let Some(mut board) = Board::of_adapter().await else {
        return;
    };
    let all: Vec<u8> = (0..=255).collect();
    carry(&mut console, &mut board.console, &all).await;
    carry(&mut board.console, &mut console, &all).await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_boards_own_port_shows_whether_the_board_is_there() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "LINES").await;
    let mut wire = Usbmon::listen();
    let settings = LineSettings {
        dtr: Some(false),
        ..speed(115_200)
    };
    let mut console = open(&port.node, &settings);
    let line = console.line_control().unwrap();
    line.set_rts(false).await.unwrap();
    line.set_dtr(true).await.unwrap();
    // Bit 0 is DTR, bit 1 RTS. Opening raises both.
    for state in [3, 2, 0, 1] {
        wire.next(|sent| {
            let which = (sent.kind, sent.request, sent.value);
            which == (cdc::KIND, cdc::SET_CONTROL_LINE_STATE, state)
        })
        .await;
    }
    assert!(!line.modem_lines().await.unwrap().carrier);
    let board = port.board();
    carrier_becomes(line, true).await;
    drop(board);
    carrier_becomes(line, false).await;
    // The gadget's function has no BREAK, and refuses it.
    let error = line.send_break(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("/dev/ttyACM"), "{error}");
}

/// The gadget moves DSR and carrier together.
async fn carrier_becomes(line: &mut dyn LineControl, on: bool) {
    let deadline = soon();
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        let lines = line.modem_lines().await.unwrap();
        if (lines.carrier, lines.dsr) == (on, on) {
            return;
        }
        assert!(Instant::now() < deadline, "{lines:?}");
        ticks.tick().await;
    }
}

/// Debian's udev, which gives the ports their names.
struct Udev {
    _daemon: Running,
    _directory: tempfile::TempDir,
}

const UDEV: &str = "/lib/systemd/systemd-udevd";

/// Rules for this run of the machine; they hide those of the same name.
const RULES: &str = "/run/udev/rules.d";

impl Udev {
    async fn start() -> Self {
        // Of rules only those that name ports: a host's other ones start what they like. The
        // mounts are gone with the machine.
        for rules in ["/etc/udev/rules.d", RULES] {
            fs_err::create_dir_all(rules).unwrap();
            run("mount", &["-t", "tmpfs", "tmpfs", rules]).await;
        }
        for rule in fs_err::read_dir("/usr/lib/udev/rules.d").unwrap() {
            let name = rule.unwrap().file_name();
            let kept = ["50-udev-default.rules", "60-serial.rules"];
            if !kept.iter().any(|kept| name == *kept) {
                std::os::unix::fs::symlink("/dev/null", Path::new(RULES).join(name)).unwrap();
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let daemon = peers::start(CommandLine::new(UDEV), &directory.path().join("log"));
        wait_for(|| fs_err::metadata("/run/udev/control")).await;
        Self {
            _daemon: daemon,
            _directory: directory,
        }
    }

    /// Names the ports that were there before it, or before a rule.
    async fn name(&self, nodes: &[&Path]) {
        let mut trigger = vec!["trigger", "--action=add", "--settle"];
        trigger.extend(nodes.iter().map(|node| node.to_str().unwrap()));
        run("udevadm", &trigger).await;
    }
}

fn listed<'a>(found: &'a [Found], node: &Path) -> &'a Found {
    let listed = found.iter().find(|port| port.node.as_deref() == Some(node));
    listed.unwrap_or_else(|| panic!("{} is not in {found:?}", node.display()))
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn ports_are_listed_with_names_that_stay_and_rules_that_work() {
    if !in_bench_vm() {
        return;
    }
    if !Path::new(UDEV).exists() {
        eprintln!("SKIPPED: udev is not installed; see tools/packages");
        return;
    }
    let first = Port::plug(CONTROLLERS[0], "ONLY1").await;
    let udev = Udev::start().await;
    let adapter = Path::new(ADAPTER);
    udev.name(&[adapter, &first.node]).await;
    let factory = SerialFactory::default();
    let found = factory.list().unwrap();
    for (node, product) in [(adapter, "QEMU"), (first.node.as_path(), "Test port")] {
        let port = listed(&found, node);
        assert!(port.name.starts_with("/dev/serial/by-id/usb-"), "{port:?}");
        assert_eq!(fs_err::canonicalize(&port.name).unwrap(), node);
        assert!(port.description.contains(product), "{port:?}");
        assert_eq!(port.access, Access::Granted);
        assert!(port.warnings.is_empty(), "{port:?}");
    }
    // Now there are two with one number: the place tells them apart.
    let second = Gadget::serial(CONTROLLERS[1], "ONLY1");
    let second_node = node_at("ONLY1", 1).await;
    udev.name(&[&first.node, &second_node]).await;
    let found = factory.list().unwrap();
    let (one, two) = (listed(&found, &first.node), listed(&found, &second_node));
    for (port, node) in [(one, &first.node), (two, &second_node)] {
        assert!(port.name.starts_with("/dev/serial/by-path/"), "{port:?}");
        assert_eq!(fs_err::canonicalize(&port.name).unwrap(), *node);
        assert!(port.warnings[0].contains("same serial number"), "{port:?}");
    }
    assert_ne!(one.name, two.name);
    // The rules do what they are shown for.
    let rules: String = found
        .iter()
        .filter_map(|port| port.udev_rule.as_deref())
        .fold(String::new(), |all, rule| all + rule + "\n");
    fs_err::write("/run/udev/rules.d/99-boards.rules", &rules).unwrap();
    run("udevadm", &["control", "--reload"]).await;
    udev.name(&[adapter, &first.node, &second_node]).await;
    for port in [listed(&found, adapter), one, two] {
        let rule = port.udev_rule.as_ref().unwrap();
        let (_, link) = rule.split_once("SYMLINK+=\"").unwrap();
        let link = Path::new("/dev").join(link.split('"').next().unwrap());
        let node = fs_err::canonicalize(&link)
            .unwrap_or_else(|error| panic!("{error}; the rules:\n{rules}"));
        assert_eq!(Some(node.as_path()), port.node.as_deref(), "{rule}");
        let metadata = fs_err::metadata(&node).unwrap();
        assert!(metadata.file_type().is_char_device());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o660, "{rule}");
        assert_ne!(metadata.gid(), 0, "{rule}");
    }
    fs_err::remove_file("/run/udev/rules.d/99-boards.rules").unwrap();
    drop(second);
}
