//! Serial ports with a real kernel's drivers: an FTDI adapter that QEMU emulates, and a CDC-ACM
//! port that the kernel's own gadget offers. What goes over the wire is read from `usbmon`.
//!
//! `hil/bench-vm/test` runs them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and what was measured is printed"
)]

mod bench_vm;
mod support;

use bench_vm::{
    gadget::{CONTROLLERS, Gadget},
    in_bench_vm,
    usbmon::Usbmon,
};
use hal::{
    ErrorKind,
    console::{
        Console, ConsoleExt, ConsoleTarget, DataBits, EpochCounter, LineSettings, ModemLines,
        Parity, Reopening, SerialConsole, SerialFactory, StopBits,
        reopen::{ReopenEvent, ReopenTiming, Returned, TargetOpener},
    },
    discover::{Access, Factory, Found},
    process::{Command, CommandLine, Running},
};
use std::{
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{peers, read_until, soon, wait_for};
use tokio::time::{Instant, timeout_at};

/// Speeds that no UART's divisor hits exactly.
const ODD_BAUD: u32 = 123_456;

const ADAPTER: &str = "/dev/ttyUSB0";

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

fn speed(baud: u32) -> LineSettings {
    LineSettings {
        baud: Some(baud),
        ..LineSettings::default()
    }
}

fn open(node: &Path, settings: &LineSettings) -> SerialConsole {
    SerialConsole::open(node, settings, EpochCounter::default()).unwrap()
}

/// How much may be on its way through the adapter. QEMU stands still, for good, when it writes
/// more than the socket to itself holds.
const ON_THE_WAY: usize = 16 << 10;

/// The far end of the adapter, which is no terminal: socat makes one of it.
struct Board {
    console: SerialConsole,
    _socat: Running,
    _directory: tempfile::TempDir,
}

impl Board {
    async fn of_adapter() -> Option<Self> {
        if !peers::have("socat") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("board");
        let line = CommandLine::new("socat")
            .arg("OPEN:/dev/virtio-ports/adapter")
            .arg(format!("PTY,link={},raw,echo=0", link.display()));
        let socat = peers::start(line, &directory.path().join("log"));
        wait_for(|| fs_err::metadata(&link)).await;
        Some(Self {
            console: open(&link, &speed(115_200)),
            _socat: socat,
            _directory: directory,
        })
    }
}

/// A port that the gadget offers.
struct Port {
    gadget: Gadget,
    node: PathBuf,
}

impl Port {
    async fn plug(controller: &'static str, serial: &str) -> Self {
        let gadget = Gadget::serial(controller, serial);
        let node = node_at(serial, 0).await;
        Self { gadget, node }
    }

    /// The board's side, whose speed the kernel leaves at 9600.
    fn board(&self) -> SerialConsole {
        open(&self.gadget.far_end(), &speed(9600))
    }
}

/// Waits for a port with this serial number that is none of the first ones.
async fn node_at(serial: &str, after: usize) -> PathBuf {
    wait_for(|| {
        let found = SerialFactory::default().list().unwrap();
        let mut fitting = found
            .iter()
            .filter(|port| port.serial.as_deref() == Some(serial));
        let node = fitting.nth(after).and_then(|port| port.node.clone());
        node.filter(|node| node.exists()).ok_or(found)
    })
    .await
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Types `bytes` at one end and reads them at the other.
async fn carry(from: &mut impl Console, to: &mut impl Console, bytes: &[u8]) {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(60);
    for (number, part) in bytes.chunks(ON_THE_WAY).enumerate() {
        let typing = from.write_all(part, deadline);
        let (typed, got) = tokio::join!(typing, take(to, part.len(), deadline));
        typed.unwrap();
        let differs = got.iter().zip(part).position(|(got, sent)| got != sent);
        assert_eq!((differs, got.len()), (None, part.len()), "part {number}");
    }
    let (length, name) = (bytes.len(), from.description());
    eprintln!("{length} bytes from {name} in {:.1?}", begun.elapsed());
}

/// Reads at least `length` bytes.
async fn take(console: &mut impl Console, length: usize, deadline: Instant) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = vec![0; 4096];
    while got.len() < length {
        let chunk = timeout_at(deadline, console.read(&mut buffer)).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("only {} of {length} came", got.len()));
        let chunk = chunk.unwrap();
        assert!(!chunk.is_end(), "it closed after {} bytes", got.len());
        got.extend_from_slice(&buffer[..chunk.length]);
    }
    got
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
async fn moves_lines(line: &mut dyn hal::console::LineControl, wire: &mut Usbmon) {
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
async fn carrier_becomes(line: &mut dyn hal::console::LineControl, on: bool) {
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

type Events = Arc<Mutex<Vec<ReopenEvent>>>;

async fn reopening(node: &Path) -> (Reopening, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let observer = Box::new(move |event| sink.lock().unwrap().push(event));
    let epoch = EpochCounter::default();
    let opener = Arc::new(TargetOpener {
        target: format!("serial://{}", node.display()).parse().unwrap(),
        epoch: epoch.clone(),
    });
    let timing = ReopenTiming {
        within: Duration::from_secs(25),
        pause: Duration::from_millis(20),
    };
    let console = Reopening::open(opener, timing, epoch, observer, soon()).await;
    (console.unwrap(), events)
}

/// The gap that was reported.
fn assert_gap(events: &Events, node: &Path) {
    let events = events.lock().unwrap();
    let [
        ReopenEvent::Closed { reason, .. },
        ReopenEvent::Reopened(gap),
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(*reason, format!("{} vanished", node.display()));
    assert_eq!(gap.returned, Returned::Same, "{gap:?}");
    assert!(gap.reopened_at > gap.closed_at);
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_boards_own_port_that_is_replugged_while_it_is_read_goes_on() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "REPLUG").await;
    let (mut console, events) = reopening(&port.node).await;
    let mut board = port.board();
    board.write_all(b"before", soon()).await.unwrap();
    read_until(&mut console, "before").await;
    let replug = async {
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(100)).await;
        port.gadget.unplug();
        drop(board);
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(300)).await;
        port.gadget.connect();
        let mut board = port.board();
        board.write_all(b"after", soon()).await.unwrap();
        board
    };
    let (seen, mut board) = tokio::join!(read_until(&mut console, "after"), replug);
    assert_eq!(seen, "after");
    assert_gap(&events, &port.node);
    console.write_all(b"typed", soon()).await.unwrap();
    read_until(&mut board, "typed").await;
}

/// The port of the hub into which the adapter is plugged.
fn power_of_adapter(on: bool) {
    let usb = SerialFactory::default().usb_of(Path::new(ADAPTER));
    let place = usb.map_or_else(|| "1-1".to_owned(), |usb| usb.place);
    let (bus, port) = place.split_once('-').unwrap();
    let switch = format!("/sys/bus/usb/devices/{bus}-0:1.0/usb{bus}-port{port}/disable");
    fs_err::write(switch, if on { "0" } else { "1" }).unwrap();
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn an_adapter_that_is_replugged_while_it_is_read_goes_on() {
    if !in_bench_vm() {
        return;
    }
    let (mut console, events) = reopening(Path::new(ADAPTER)).await;
    let Some(mut board) = Board::of_adapter().await else {
        return;
    };
    board.console.write_all(b"before", soon()).await.unwrap();
    read_until(&mut console, "before").await;
    let replug = async {
        power_of_adapter(false);
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(300)).await;
        power_of_adapter(true);
        wait_for(|| fs_err::metadata(ADAPTER)).await;
        // Until the adapter is set up again, what it gets is thrown away, as by a real one.
        while !events.lock().unwrap().iter().any(is_reopened) {
            tokio::time::sleep_until(Instant::now() + Duration::from_millis(10)).await;
        }
        board.console.write_all(b"after", soon()).await.unwrap();
    };
    let (seen, ()) = tokio::join!(read_until(&mut console, "after"), replug);
    assert_eq!(seen, "after");
    assert_gap(&events, Path::new(ADAPTER));
    console.write_all(b"typed", soon()).await.unwrap();
    read_until(&mut board.console, "typed").await;
}

fn is_reopened(event: &ReopenEvent) -> bool {
    matches!(event, ReopenEvent::Reopened(_))
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_port_that_stays_away_ends_at_the_callers_deadline() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "AWAY").await;
    let (mut console, events) = reopening(&port.node).await;
    let deadline = Instant::now() + Duration::from_secs(2);
    console.set_deadline(Some(deadline));
    port.gadget.unplug();
    let mut buffer = [0; 16];
    let chunk = timeout_at(soon(), console.read(&mut buffer)).await;
    assert!(chunk.unwrap().unwrap().is_end());
    let late = Instant::now().saturating_duration_since(deadline);
    assert!(late < Duration::from_secs(2), "{late:?} past the deadline");
    let error = console.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let node = port.node.display().to_string();
    assert!(error.to_string().contains(&node), "{error}");
    assert!(error.to_string().contains("did not come back"), "{error}");
    let last = events.lock().unwrap().pop();
    assert!(matches!(last, Some(ReopenEvent::GaveUp { .. })), "{last:?}");
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_board_that_does_not_read_costs_no_more_than_the_deadline() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "DEAF").await;
    // Nobody has the far end open: the gadget takes nothing.
    for closed in [true, false] {
        let mut console = open(&port.node, &speed(115_200));
        let deadline = Instant::now() + Duration::from_millis(500);
        let typed = console.write_all(&noise(1 << 20), deadline).await;
        let error = typed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("/dev/ttyACM"), "{error}");
        let begun = Instant::now();
        if closed {
            console.close(Duration::from_millis(500)).await.unwrap();
        }
        drop(console);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        // The kernel lets go of the port when it is unplugged, if not after half a minute.
        port.gadget.unplug();
        wait_for(|| {
            if port.node.exists() {
                Err("it is there")
            } else {
                Ok(())
            }
        })
        .await;
        port.gadget.connect();
        wait_for(|| fs_err::metadata(&port.node)).await;
    }
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_port_that_vanishes_while_it_is_written_is_closed_and_named() {
    if !in_bench_vm() {
        return;
    }
    let later = || tokio::time::sleep_until(Instant::now() + Duration::from_millis(300));
    let noise = noise(16 << 20);
    // A board that takes nothing.
    let port = Port::plug(CONTROLLERS[0], "STALLED").await;
    let mut console = open(&port.node, &speed(115_200));
    let unplug = async {
        later().await;
        port.gadget.unplug();
    };
    let (typed, ()) = tokio::join!(console.write_all(&noise, soon()), unplug);
    assert_vanished(typed.unwrap_err(), &port.node);
    drop((console, port));
    // An adapter in the middle of carrying.
    let mut console = open(Path::new(ADAPTER), &speed(3_000_000));
    let Some(mut board) = Board::of_adapter().await else {
        return;
    };
    carry(&mut console, &mut board.console, &noise[..ON_THE_WAY]).await;
    let typing = console.write_all(&noise[..4 * ON_THE_WAY], soon());
    let (typed, ()) = tokio::join!(typing, async { power_of_adapter(false) });
    power_of_adapter(true);
    assert_vanished(typed.unwrap_err(), Path::new(ADAPTER));
    drop(console);
    wait_for(|| fs_err::metadata(ADAPTER)).await;
}

fn assert_vanished(error: hal::HalError, node: &Path) {
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert_eq!(error.to_string(), format!("{} vanished", node.display()));
}

/// Names the node for the part of a test that runs as another user.
const NODE_VARIABLE: &str = "PUMICE_TEST_NODE";

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_real_port_without_permission_names_the_group_that_has_it() {
    if let Some(node) = std::env::var_os(NODE_VARIABLE) {
        let node = Path::new(&node);
        let settings = LineSettings::default();
        let opened = SerialConsole::open(node, &settings, EpochCounter::default());
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        let hint = error.hint().unwrap();
        assert_eq!(hint, "add this user to group 'dialout' and log in again");
        let listed = SerialFactory::default().list().unwrap();
        let found = listed
            .iter()
            .find(|found| found.node.as_deref() == Some(node));
        assert_eq!(found.unwrap().access, Access::Denied(hint.to_owned()));
        println!("the group was named");
        return;
    }
    if !in_bench_vm() {
        return;
    }
    let before = fs_err::metadata(ADAPTER).unwrap();
    run("chgrp", &["dialout", ADAPTER]).await;
    fs_err::set_permissions(ADAPTER, PermissionsExt::from_mode(0o660)).unwrap();
    let line = CommandLine::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "a_real_port_without_permission_names_the_group_that_has_it",
            "--nocapture",
        ]);
    let output = Command::new(line)
        .env(NODE_VARIABLE, ADAPTER)
        .output(soon())
        .await
        .unwrap();
    fs_err::set_permissions(ADAPTER, before.permissions()).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("the group was named"), "{printed}{errors}");
}

async fn run(program: &str, arguments: &[&str]) {
    let line = CommandLine::new(program).args(arguments.iter().copied());
    let output = Command::new(line)
        // The bench's root is not the one of its first process.
        .env("SYSTEMD_IGNORE_CHROOT", "1")
        .output(soon())
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.exit.success(), "{program} {arguments:?}: {errors}");
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
        // Only the rules that name ports: a host's other ones start what they like.
        fs_err::create_dir_all(RULES).unwrap();
        for rule in fs_err::read_dir("/usr/lib/udev/rules.d").unwrap() {
            let name = rule.unwrap().file_name();
            let kept = ["50-udev-default.rules", "60-serial.rules"];
            if !kept.iter().any(|kept| name == *kept) {
                let _ = std::os::unix::fs::symlink("/dev/null", Path::new(RULES).join(name));
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
