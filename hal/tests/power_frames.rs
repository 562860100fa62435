//! PDUs and relay boards that are talked to in frames, against scripted devices that keep their
//! outlets, and against pymodbus' server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "power_frames/boards.rs"]
mod boards;
mod pdu_simulator;
#[path = "power_frames/programs.rs"]
mod programs;
mod support;

use hal::{
    ErrorKind,
    lab::PduConfig,
    power::{PowerAction, PowerControl, PowerState, models::Models},
};
use pdu_simulator::{
    Answer, Device, Simulator, as_hexadecimal, check_error, config, open, outlet, power, soon,
    with_password,
};
use std::{collections::BTreeSet, fmt::Write, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpListener, time::Instant};
use tokio_serial::SerialPortBuilderExt;

/// A model with its device, and the outlet to try.
struct Case {
    model: &'static str,
    password: &'static str,
    simulator: Simulator,
    outlet: u32,
    /// The outlet's place in the device.
    index: usize,
}

fn case(model: &'static str, simulator: Simulator, outlet: u32, index: usize) -> Case {
    Case {
        model,
        password: "",
        simulator,
        outlet,
        index,
    }
}

impl Case {
    fn config(&self) -> PduConfig {
        with_password(config(self.model, &self.simulator.address), self.password)
    }
}

async fn cases() -> Vec<Case> {
    let tcp = |board: boards::Board| Simulator::tcp(board);
    let serial = |board: boards::Board| Simulator::serial(board);
    let mut cases = Vec::new();
    for (model, relays) in [
        ("devantech_eth002", 2),
        ("devantech_eth0621", 2),
        ("devantech_eth484", 4),
        ("devantech_eth008", 8),
        ("devantech_eth8020", 20),
    ] {
        let last = u32::try_from(relays).unwrap();
        cases.push(case(
            model,
            tcp(boards::devantech_eth(relays, "")).await,
            last,
            relays - 1,
        ));
        let closed = tcp(boards::devantech_eth(relays, "s3cret")).await;
        let mut closed = case(model, closed, last, relays - 1);
        closed.password = "s3cret";
        cases.push(closed);
    }
    for (model, relays) in [
        ("devantech_USB-RLY02", 2),
        ("devantech_USB-RLY04", 4),
        ("devantech_USB-RLY06", 6),
        ("devantech_USB-RLY08B", 8),
    ] {
        let last = u32::try_from(relays).unwrap();
        cases.push(case(
            model,
            serial(boards::devantech_usb(relays)),
            last,
            relays - 1,
        ));
    }
    cases.push(case("conrad197720", serial(boards::conrad(3)), 17, 17));
    cases.push(case("lcus", serial(boards::noyito()), 8, 7));
    cases.push(case("noyito8", serial(boards::noyito()), 8, 7));
    cases.push(case(
        "modbustcp",
        tcp(boards::modbus_tcp(300)).await,
        258,
        258,
    ));
    cases.push(case(
        "modbus-rtu",
        serial(boards::modbus_rtu(300)),
        258,
        258,
    ));
    cases.push(case("waveshare8", tcp(boards::modbus_tcp(8)).await, 7, 7));
    cases.push(case("waveshare16", tcp(boards::modbus_tcp(16)).await, 9, 9));
    cases.push(case(
        "waveshare30",
        tcp(boards::modbus_tcp(30)).await,
        29,
        29,
    ));
    let strip = Simulator::tcp(boards::TpLink::new(6, true)).await;
    cases.push(case("tplink", strip, 6, 5));
    let plug = Simulator::tcp(boards::TpLink::new(1, false)).await;
    cases.push(case("tplink", plug, 1, 0));
    let mut strip = case(
        "egpms",
        Simulator::tcp(boards::EgPms::new(b"s3cret  ")).await,
        3,
        2,
    );
    strip.password = "s3cret";
    cases.push(strip);
    cases
}

#[tokio::test]
async fn every_model_switches_one_outlet_and_reads_it_back() {
    let models = Models::built_in().unwrap();
    let mut tried = BTreeSet::new();
    for case in cases().await {
        let name = case.model;
        let reads_back = models.get(name).unwrap().reads_back();
        let mut power = power(&case.config(), case.outlet);
        for (action, on) in [(PowerAction::On, true), (PowerAction::Off, false)] {
            for _ in 0..2 {
                power
                    .set(action, soon())
                    .await
                    .unwrap_or_else(|error| panic!("{name} {action}: {error}"));
                case.simulator.take_heard().await;
                assert_eq!(case.simulator.is_on(case.index), on, "{name}");
                let others = case.simulator.outlets().iter().filter(|on| **on).count();
                assert_eq!(others, usize::from(on), "{name} moved another outlet");
            }
            let state = power.state(soon()).await.unwrap();
            let expected = if on { PowerState::On } else { PowerState::Off };
            assert_eq!(state, reads_back.then_some(expected), "{name}");
        }
        tried.insert(models.get(name).unwrap().name.clone());
    }
    // Their device is a control line, which a pseudo-terminal does not have.
    tried.extend(["serial-dtr".to_owned(), "serial-rts".to_owned()]);
    let all = models.iter().filter(|model| model.family.name == "frames");
    let all: BTreeSet<_> = all.map(|model| model.name.clone()).collect();
    assert_eq!(tried, all, "every row of the table has a device here");
}

#[tokio::test]
async fn the_bytes_of_every_model() {
    let mut text = String::new();
    for case in cases().await {
        let mut pdu = open(&case.config());
        let outlet = outlet(case.outlet);
        writeln!(text, "{} outlet {outlet}", case.model).unwrap();
        for (what, to) in [("on", PowerState::On), ("off", PowerState::Off)] {
            pdu.switch(&outlet, to, soon()).await.unwrap();
            let heard = case.simulator.take_heard().await;
            writeln!(text, "  {what:<5} {}", as_hexadecimal(&heard)).unwrap();
        }
        if pdu.read(&outlet, soon()).await.unwrap().is_some() {
            let heard = case.simulator.take_heard().await;
            writeln!(text, "  state {}", as_hexadecimal(&heard)).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_relay_may_be_wired_the_other_way_round() {
    let simulator = Simulator::tcp(boards::devantech_eth(8, "")).await;
    let mut config = config("devantech_eth008", &simulator.address);
    config.options = "logic = 'NC'".parse().unwrap();
    let mut power = power(&config, 1);
    power.set(PowerAction::Off, soon()).await.unwrap();
    assert!(simulator.is_on(0));
    assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
    power.set(PowerAction::On, soon()).await.unwrap();
    assert!(!simulator.is_on(0));
}

#[tokio::test]
async fn options_change_what_is_sent() {
    let simulator = Simulator::tcp(boards::modbus_tcp(8)).await;
    let mut unit = config("modbustcp", &simulator.address);
    unit.options = "unit = 17".parse().unwrap();
    open(&unit)
        .switch(&outlet(0), PowerState::On, soon())
        .await
        .unwrap();
    let heard = simulator.take_heard().await;
    assert_eq!(heard[6], 17);
    let models = Models::built_in().unwrap();
    for (options, part) in [
        ("unit = 70000", "0 to 65535"),
        ("speed = 1", "unknown 'speed'"),
        ("logic = 'XY'", "NO"),
    ] {
        unit.options = options.parse().unwrap();
        let error = models.open(&unit).err().unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_strip_is_found_by_name_too() {
    let simulator = Simulator::tcp(boards::TpLink::new(6, true)).await;
    let mut pdu = open(&config("tplink", &simulator.address));
    pdu.switch(&"bench_2".parse().unwrap(), PowerState::On, soon())
        .await
        .unwrap();
    pdu.switch(&"80A04".parse().unwrap(), PowerState::On, soon())
        .await
        .unwrap();
    assert_eq!(
        simulator.outlets(),
        [false, false, true, false, true, false]
    );
}

#[tokio::test]
async fn an_outlet_that_is_not_there_is_named() {
    for (model, simulator, none) in [
        (
            "devantech_eth8020",
            Simulator::tcp(boards::devantech_eth(20, "")).await,
            21,
        ),
        (
            "devantech_USB-RLY02",
            Simulator::serial(boards::devantech_usb(2)),
            3,
        ),
        ("conrad197720", Simulator::serial(boards::conrad(1)), 8),
        ("modbustcp", Simulator::tcp(boards::modbus_tcp(8)).await, 8),
        ("modbus-rtu", Simulator::serial(boards::modbus_rtu(8)), 8),
        (
            "tplink",
            Simulator::tcp(boards::TpLink::new(6, true)).await,
            7,
        ),
        (
            "tplink",
            Simulator::tcp(boards::TpLink::new(1, false)).await,
            2,
        ),
        (
            "egpms",
            Simulator::tcp(boards::EgPms::new(b"        ")).await,
            5,
        ),
    ] {
        let mut pdu = open(&config(model, &simulator.address));
        let result = pdu.switch(&outlet(none), PowerState::On, soon()).await;
        check_error(result, ErrorKind::InvalidInput, " has no ");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_and_not_shown() {
    let eth = Simulator::tcp(boards::devantech_eth(8, "apple")).await;
    let wrong = with_password(config("devantech_eth008", &eth.address), "s3cret");
    let result = open(&wrong)
        .switch(&outlet(1), PowerState::On, soon())
        .await;
    check_error(result, ErrorKind::PermissionDenied, "refused the password");
    let none = config("devantech_eth008", &eth.address);
    let result = open(&none).switch(&outlet(1), PowerState::On, soon()).await;
    check_error(result, ErrorKind::CommandFailed, "does it want a password");
    let strip = Simulator::tcp(boards::EgPms::new(b"apple   ")).await;
    let mut wrong = with_password(config("egpms", &strip.address), "s3cret");
    wrong.timeout = Some(Duration::from_millis(500));
    let result = open(&wrong)
        .switch(&outlet(1), PowerState::On, soon())
        .await;
    check_error(result, ErrorKind::PermissionDenied, "refused the password");
}

#[tokio::test]
async fn a_board_that_says_yes_and_does_nothing_is_unconfirmed() {
    let mut eth = boards::devantech_eth(8, "");
    let mut modbus = boards::modbus_tcp(8);
    let mut usb = boards::devantech_usb(2);
    for board in [&mut eth, &mut modbus, &mut usb] {
        board.relays.lies = true;
    }
    for (model, simulator) in [
        ("devantech_eth008", Simulator::tcp(eth).await),
        ("modbustcp", Simulator::tcp(modbus).await),
        ("devantech_USB-RLY02", Simulator::serial(usb)),
    ] {
        let result = power(&config(model, &simulator.address), 1)
            .set(PowerAction::On, soon())
            .await;
        check_error(result, ErrorKind::Unconfirmed, "outlet 1");
    }
}

/// Says one thing, whatever it hears.
struct Parrot(&'static [u8], bool);

impl Device for Parrot {
    fn hear(&mut self, _: &[u8]) -> Answer {
        Answer {
            bytes: self.0.to_vec(),
            close: self.1,
        }
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        unreachable!("it has none")
    }
}

/// Asks with a second's time, and checks that it did not take much more.
async fn in_a_second(model: &str, address: &str, kind: ErrorKind, part: &str) {
    let begun = Instant::now();
    let mut config = with_password(config(model, address), "s3cret");
    config.timeout = Some(Duration::from_secs(1));
    let result = open(&config).read(&outlet(1), soon()).await;
    check_error(result, kind, part);
    assert!(begun.elapsed() < Duration::from_secs(10), "{model} hung");
}

const ASKED: &[&str] = &[
    "devantech_eth008",
    "conrad197720",
    "modbustcp",
    "modbus-rtu",
    "tplink",
];

#[tokio::test]
async fn silence_garbage_and_hanging_up_are_errors_in_time() {
    for model in ASKED {
        let silent = Simulator::tcp(Parrot(b"", false)).await;
        in_a_second(model, &silent.address, ErrorKind::Timeout, "in time").await;
        let garbage = Simulator::tcp(Parrot(b"\xeegarbage", false)).await;
        in_a_second(model, &garbage.address, ErrorKind::Protocol, "").await;
        let closing = Simulator::tcp(Parrot(b"", true)).await;
        in_a_second(model, &closing.address, ErrorKind::Closed, "closed").await;
    }
    let closing = Simulator::tcp(Parrot(&[1, 2], true)).await;
    in_a_second("egpms", &closing.address, ErrorKind::Closed, "closed").await;
    let huge = Simulator::tcp(Parrot(&[0x7f, 0xff, 0xff, 0xff, 0], false)).await;
    in_a_second("tplink", &huge.address, ErrorKind::Protocol, "announces").await;
    let odd = Simulator::serial(Parrot(&[1, 1, 1, 1, 1, 1, 1, 7], false));
    let result = open(&config("noyito8", &odd.address))
        .read(&outlet(8), soon())
        .await;
    check_error(result, ErrorKind::Protocol, "tells no state");
}

#[tokio::test]
async fn a_board_that_is_not_there_is_an_error_in_time() {
    let free = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for model in ASKED {
        in_a_second(model, &free.to_string(), ErrorKind::Closed, "refused").await;
    }
    in_a_second(
        "noyito8",
        "/dev/no-such-tty",
        ErrorKind::NotFound,
        "no-such-tty",
    )
    .await;
    let terminal = Simulator::serial(Parrot(b"", false));
    in_a_second("noyito8", &terminal.address, ErrorKind::Timeout, "in time").await;
    let _user = tokio_serial::new(&terminal.address, 9600)
        .open_native_async()
        .unwrap();
    in_a_second("noyito8", &terminal.address, ErrorKind::Busy, "in use").await;
}

#[tokio::test]
async fn a_strip_that_never_stops_is_bounded() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The frame that a chain of Conrad's cards may send any number of times, one per card.
        while stream
            .write_all(&[254, 1, 0, 255].repeat(1024))
            .await
            .is_ok()
        {}
    });
    let result = open(&config("conrad197720", &address))
        .read(&outlet(1), soon())
        .await;
    check_error(result, ErrorKind::Protocol, "does not stop talking");
}

#[tokio::test]
async fn a_port_without_control_lines_says_so() {
    let terminal = Simulator::serial(Parrot(b"", false));
    for model in ["serial-rts", "serial-dtr"] {
        let mut pdu = open(&config(model, &terminal.address));
        let result = pdu.switch(&outlet(1), PowerState::On, soon()).await;
        check_error(result, ErrorKind::Unsupported, &model[7..].to_uppercase());
    }
}
