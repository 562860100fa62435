//! PDUs with a command line or menus, against scripted devices that keep their outlets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "power_dialogue/apc.rs"]
mod apc;
#[path = "power_dialogue/command_lines.rs"]
mod command_lines;
mod pdu_simulator;
mod support;

use apc::{Apc, LAYOUTS};
use hal::{
    ErrorKind,
    lab::PduConfig,
    power::{PowerAction, PowerControl, PowerState, models::Models},
};
use pdu_simulator::{
    Answer, Device, Simulator, as_text, check_error, config, open, outlet, pdudaemon, power, soon,
    with_password,
};
use std::{collections::BTreeSet, fmt::Write, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    time::{Instant, interval},
};

/// A model with its device, and the outlet to try.
struct Case {
    model: &'static str,
    username: Option<&'static str>,
    simulator: Simulator,
    outlet: u32,
    /// The outlet's place in the device.
    index: usize,
}

fn case(model: &'static str, simulator: Simulator, outlet: u32) -> Case {
    Case {
        model,
        username: None,
        simulator,
        outlet,
        index: outlet as usize - 1,
    }
}

impl Case {
    fn config(&self) -> PduConfig {
        let mut config = with_password(config(self.model, &self.simulator.address), "s3cret");
        config.username = self.username.map(str::to_owned);
        config
    }
}

async fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for layout in LAYOUTS {
        for model in layout.models {
            cases.push(case(model, Simulator::tcp(Apc::new(layout)).await, 7));
        }
    }
    let tcp = Simulator::tcp;
    cases.push(case("apc8959", tcp(command_lines::apc8959()).await, 12));
    cases.push(case("gude1202", tcp(command_lines::gude(">")).await, 3));
    let mut with_login = case("gude1202", tcp(command_lines::gude_with_login()).await, 2);
    with_login.username = Some("admin");
    cases.push(with_login);
    cases.push(case("netio4", tcp(command_lines::netio()).await, 4));
    cases.push(case(
        "synnetbooter",
        tcp(command_lines::netbooter()).await,
        2,
    ));
    cases.push(case("siglent", tcp(command_lines::siglent()).await, 2));
    cases.push(case(
        "devantech_ds378",
        tcp(command_lines::devantech_ds(8)).await,
        8,
    ));
    cases.push(case(
        "devantech_ds2824",
        tcp(command_lines::devantech_ds(24)).await,
        24,
    ));
    for (model, count) in [
        ("NumatoUSB1", 1),
        ("NumatoUSB2", 2),
        ("NumatoUSB4", 4),
        ("NumatoUSB8", 8),
        ("NumatoUSB16", 16),
        ("NumatoUSB32", 32),
        ("NumatoUSB64", 64),
    ] {
        let device = command_lines::numato(count);
        cases.push(case(
            model,
            Simulator::serial(device),
            u32::try_from(count).unwrap(),
        ));
    }
    cases
}

#[tokio::test]
async fn every_model_switches_one_outlet_and_reads_it_back() {
    let mut tried = BTreeSet::new();
    let models = Models::built_in().unwrap();
    for case in cases().await {
        let name = case.model;
        let mut power = power(&case.config(), case.outlet);
        for action in [
            PowerAction::On,
            PowerAction::Off,
            PowerAction::Reset,
            PowerAction::On,
        ] {
            power
                .set(action, soon())
                .await
                .unwrap_or_else(|error| panic!("{name} {action}: {error}"));
            let on = action != PowerAction::Off;
            assert_eq!(case.simulator.is_on(case.index), on, "{name}");
            let others = case.simulator.outlets().iter().filter(|on| **on).count();
            assert_eq!(others, usize::from(on), "{name} moved another outlet");
            let state = power.state(soon()).await.unwrap();
            assert_eq!(
                state,
                Some(if on { PowerState::On } else { PowerState::Off }),
                "{name}"
            );
        }
        tried.insert(models.get(name).unwrap().name.clone());
    }
    let all = models
        .iter()
        .filter(|model| model.family.name == "dialogue");
    let all: BTreeSet<_> = all.map(|model| model.name.clone()).collect();
    assert_eq!(tried, all, "every row of the table has a device here");
}

#[tokio::test]
async fn the_bytes_of_every_model() {
    let mut text = String::new();
    for case in cases().await {
        let mut pdu = open(&case.config());
        let outlet = outlet(case.outlet);
        pdu.switch(&outlet, PowerState::On, soon()).await.unwrap();
        let on = case.simulator.take_heard().await;
        pdu.switch(&outlet, PowerState::Off, soon()).await.unwrap();
        let off = case.simulator.take_heard().await;
        pdu.read(&outlet, soon()).await.unwrap();
        let state = case.simulator.take_heard().await;
        writeln!(text, "{} outlet {outlet}", case.model).unwrap();
        for (what, bytes) in [("on", on), ("off", off), ("state", state)] {
            writeln!(text, "  {what:<5} {}", as_text(&bytes)).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_pdu_that_reboots_by_itself_is_asked_to() {
    let simulator = Simulator::tcp(command_lines::apc8959()).await;
    let mut pdu = open(&with_password(
        config("apc8959", &simulator.address),
        "s3cret",
    ));
    assert!(pdu.reboot(&outlet(3), soon()).await.unwrap());
    assert!(simulator.is_on(2));
    let simulator = Simulator::tcp(command_lines::netio()).await;
    let mut pdu = open(&with_password(
        config("netio4", &simulator.address),
        "s3cret",
    ));
    assert!(!pdu.reboot(&outlet(3), soon()).await.unwrap());
}

#[tokio::test]
async fn a_pdu_that_does_not_greet_is_talked_to_all_the_same() {
    let simulator = Simulator::tcp(command_lines::gude("")).await;
    power(&config("gude1202", &simulator.address), 1)
        .set(PowerAction::On, soon())
        .await
        .unwrap();
    assert!(simulator.is_on(0));
}

/// Switches outlet 9 of a PDU with eight: in its menu, 9 is "all outlets".
#[tokio::test]
async fn the_entry_for_all_outlets_is_no_outlet() {
    for layout in LAYOUTS.iter().filter(|layout| layout.models != ["apc7952"]) {
        let mut apc = Apc::new(layout);
        let count = u32::try_from(apc.outlets().len()).unwrap();
        let simulator = Simulator::tcp(apc).await;
        let mut pdu = open(&with_password(
            config(layout.models[0], &simulator.address),
            "s3cret",
        ));
        for none in [0, count + 1, count + 2] {
            let result = pdu.switch(&outlet(none), PowerState::On, soon()).await;
            check_error(
                result,
                ErrorKind::InvalidInput,
                &format!("no outlet '{none}'"),
            );
        }
        assert!(simulator.outlets().iter().all(|on| !on));
    }
}

#[tokio::test]
async fn an_outlet_that_is_not_there_is_named() {
    for (model, simulator) in [
        ("apc8959", Simulator::tcp(command_lines::apc8959()).await),
        ("gude1202", Simulator::tcp(command_lines::gude(">")).await),
        ("netio4", Simulator::tcp(command_lines::netio()).await),
        (
            "synnetbooter",
            Simulator::tcp(command_lines::netbooter()).await,
        ),
        ("siglent", Simulator::tcp(command_lines::siglent()).await),
        ("NumatoUSB2", Simulator::serial(command_lines::numato(2))),
    ] {
        let mut pdu = open(&with_password(config(model, &simulator.address), "s3cret"));
        for name in ["40", "relay_a"] {
            let outlet = name.parse().unwrap();
            let result = pdu.switch(&outlet, PowerState::On, soon()).await;
            check_error(
                result,
                ErrorKind::InvalidInput,
                &format!("no outlet '{name}'"),
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_and_not_shown() {
    let mut cases = cases().await;
    cases.retain(|case| case.username.is_some() || case.model != "gude1202");
    cases.retain(|case| {
        ["apc7900", "apc8959", "gude1202", "netio4", "synnetbooter"].contains(&case.model)
    });
    assert_eq!(cases.len(), 5);
    for case in cases {
        let mut config = with_password(case.config(), "s3cret?");
        config.timeout = Some(Duration::from_secs(5));
        let result = open(&config)
            .switch(&outlet(1), PowerState::On, soon())
            .await;
        check_error(result, ErrorKind::PermissionDenied, "refused");
        assert!(!case.simulator.is_on(0), "{}", case.model);
    }
}

#[tokio::test]
async fn a_session_of_somebody_else_is_named() {
    let mut apc = Apc::new(&LAYOUTS[0]);
    apc.taken = true;
    let simulator = Simulator::tcp(apc).await;
    let result = open(&config("apc7900", &simulator.address))
        .read(&outlet(1), soon())
        .await;
    check_error(result, ErrorKind::Busy, "somebody else logged in");
}

#[tokio::test]
async fn a_pdu_that_says_yes_and_does_nothing_is_unconfirmed() {
    let mut apc = Apc::new(&LAYOUTS[1]);
    apc.lies = true;
    let mut netio = command_lines::netio();
    netio.talk.lies = true;
    for (model, simulator) in [
        ("apc7952", Simulator::tcp(apc).await),
        ("netio4", Simulator::tcp(netio).await),
    ] {
        let config = with_password(config(model, &simulator.address), "s3cret");
        let result = power(&config, 2).set(PowerAction::On, soon()).await;
        check_error(result, ErrorKind::Unconfirmed, "outlet 2");
    }
}

/// Says one thing, whatever it hears.
struct Parrot(&'static [u8], bool);

impl Device for Parrot {
    fn connect(&mut self) -> Vec<u8> {
        self.0.to_vec()
    }

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
    let result = open(&config)
        .switch(&outlet(1), PowerState::On, soon())
        .await;
    check_error(result, kind, part);
    assert!(begun.elapsed() < Duration::from_secs(10), "{model} hung");
}

#[tokio::test]
async fn silence_garbage_and_hanging_up_are_errors_in_time() {
    for model in [
        "apc7952",
        "apc8959",
        "netio4",
        "synnetbooter",
        "siglent",
        "devantech_ds378",
    ] {
        let silent = Simulator::tcp(Parrot(b"", false)).await;
        in_a_second(model, &silent.address, ErrorKind::Timeout, "in time").await;
        let garbage = Simulator::tcp(Parrot(b"\x00\xfe\x80garbage\xff\xfa\x01", false)).await;
        in_a_second(model, &garbage.address, ErrorKind::Protocol, "garbage").await;
        let closing = Simulator::tcp(Parrot(b"Welcome s3cret\r\n", true)).await;
        let connected = ["netio4", "siglent", "devantech_ds378"].contains(&model);
        let kind = if connected {
            ErrorKind::Closed
        } else {
            ErrorKind::Protocol
        };
        in_a_second(model, &closing.address, kind, "Welcome").await;
    }
    let terminal = Simulator::serial(Parrot(b"", false));
    in_a_second(
        "NumatoUSB4",
        &terminal.address,
        ErrorKind::Timeout,
        "in time",
    )
    .await;
}

#[tokio::test]
async fn a_pdu_that_is_not_there_is_an_error_in_time() {
    let free = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    in_a_second("apc8959", &free.to_string(), ErrorKind::Closed, "refused").await;
    in_a_second("NumatoUSB4", "/dev/no-such-tty", ErrorKind::NotFound, "").await;
}

/// Serves every connection with `bytes` each `every`, without end.
async fn endless(bytes: &'static [u8], every: Duration) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut ticks = interval(every);
            while stream.write_all(bytes).await.is_ok() {
                ticks.tick().await;
            }
        }
    });
    address
}

#[tokio::test]
async fn slow_and_endless_answers_are_bounded() {
    let slow = endless(b"U", Duration::from_millis(200)).await;
    in_a_second("apc7952", &slow, ErrorKind::Timeout, "in time").await;
    let flood = endless(&[b'x'; 8192], Duration::from_nanos(1)).await;
    let mut config = config("apc7952", &flood);
    config.timeout = Some(Duration::from_secs(20));
    let result = open(&config).read(&outlet(1), soon()).await;
    check_error(result, ErrorKind::Protocol, "does not stop talking");
}

#[tokio::test]
async fn a_cancelled_request_leaves_a_pdu_that_answers() {
    let simulator = Simulator::tcp(Apc::new(&LAYOUTS[1])).await;
    let mut pdu = open(&with_password(
        config("apc7952", &simulator.address),
        "s3cret",
    ));
    for polls in 1..6 {
        let outlet = outlet(1);
        let request = pdu.switch(&outlet, PowerState::On, soon());
        let cut = Duration::from_millis(polls * 3);
        let _ = tokio::time::timeout(cut, request).await;
    }
    pdu.switch(&outlet(2), PowerState::On, soon())
        .await
        .unwrap();
    assert_eq!(
        pdu.read(&outlet(2), soon()).await.unwrap(),
        Some(PowerState::On)
    );
}

#[test]
fn what_cannot_be_opened_is_said_before_anybody_connects() {
    let models = Models::built_in().unwrap();
    let error = |config: PduConfig| models.open(&config).err().unwrap().to_string();
    let no_address = PduConfig {
        address: None,
        ..config("apc7952", "")
    };
    assert!(error(no_address).contains("needs 'address'"));
    assert!(error(config("apc7952", "/dev/ttyS0")).contains("'baud'"));
    assert!(error(config("NumatoUSB4", "rack1")).contains("names no port"));
    let typed = with_password(config("apc7952", "rack1"), "a\rb");
    assert!(error(typed).contains("control character"));
    let mut unknown = config("apc7952", "rack1");
    unknown.options = "colour = 1".parse().unwrap();
    assert!(error(unknown).contains("colour"));
}

#[tokio::test]
async fn pdudaemon_drives_the_same_devices() {
    for case in cases().await {
        let model = case.model;
        // The scripted devices were compared with these of its drivers so far.
        if !["apc7900"].contains(&model) {
            continue;
        }
        let module = model;
        let address = &case.simulator.address;
        let settings = match address.rsplit_once(':') {
            Some((host, port)) => {
                let port: u16 = port.parse().unwrap();
                let username = if module.starts_with("apc") {
                    "apc"
                } else {
                    "admin"
                };
                serde_json::json!({
                    "hostname": host, "telnetport": port, "username": username, "password": "s3cret",
                })
            }
            None => serde_json::json!({ "hostname": "board", "device": address }),
        };
        if !pdudaemon(module, model, settings, "on", case.outlet).await {
            return;
        }
        case.simulator.take_heard().await;
        assert!(case.simulator.is_on(case.index), "{model}");
    }
}
