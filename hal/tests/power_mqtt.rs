//! Plugs behind an MQTT broker: a real mosquitto with a scripted Tasmota, and brokers that
//! misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

#[path = "power_mqtt/broker.rs"]
mod broker;
mod support;

use broker::{Broker, Plug, keep, obeys, silent, stuck};
use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::{PduConfig, Secret},
    power::{
        Outlet, OutletPower, OutletTiming, Pdu, PowerAction, PowerControl, PowerState, SharedPdu,
        models::Models,
    },
};
use proptest::prelude::*;
use std::{net::Ipv4Addr, time::Duration};
use support::soon;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

const PASSWORD: &str = "s3cret horse";

fn config(address: &str, timeout: Duration) -> PduConfig {
    PduConfig {
        name: "plug".to_owned(),
        model: "tasmota-mqtt".to_owned(),
        address: Some(address.to_owned()),
        username: Some("lab".to_owned()),
        password: Some(Secret::new(PASSWORD)),
        timeout: Some(timeout),
        options: toml::toml! { topic = "plug7" },
        ..PduConfig::default()
    }
}

fn open(config: &PduConfig) -> Box<dyn Pdu> {
    Models::built_in().unwrap().open(config).unwrap()
}

fn outlet(name: &str) -> Outlet {
    name.parse().unwrap()
}

fn power(config: &PduConfig, name: &str) -> OutletPower {
    let timing = OutletTiming {
        off_for: Duration::from_millis(10),
        settle: Duration::from_millis(200),
        ..OutletTiming::default()
    };
    let pdu = SharedPdu::new("plug", open(config));
    OutletPower::new(pdu, outlet(name), timing, EpochCounter::default())
}

fn check(error: &HalError, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.to_string().contains("PDU 'plug'"), "{error}");
    let all = format!("{error:?} {error} {:?}", error.hint());
    assert!(!all.contains(PASSWORD), "{all}");
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn plugs_are_switched_and_asked() {
    let Some(broker) = Broker::start().await else {
        return;
    };
    // One relay is POWER, each of several is POWER1, POWER2, …
    for (relay, name) in [("POWER", "1"), ("POWER1", "1"), ("POWER2", "2")] {
        let plug = Plug::start(&broker, relay, obeys).await;
        let mut power = power(&config(&broker.address, LONG), name);
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
        let topic = format!("cmnd/plug7/POWER{name}");
        assert_eq!(plug.heard(), [format!("{topic} ")]);
        power.set(PowerAction::On, soon()).await.unwrap();
        assert_eq!(plug.heard(), [format!("{topic} ON"), format!("{topic} ")]);
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
        power.set(PowerAction::Reset, soon()).await.unwrap();
        power.set(PowerAction::Off, soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
    }
}

#[tokio::test]
async fn what_a_plug_does_not_do_is_an_error() {
    let Some(broker) = Broker::start().await else {
        return;
    };
    let plug = Plug::start(&broker, "POWER", stuck).await;
    let mut outlet_power = power(&config(&broker.address, LONG), "1");
    let error = outlet_power.set(PowerAction::On, soon()).await.unwrap_err();
    check(&error, ErrorKind::Unconfirmed, "is still off");
    drop(plug);

    let plug = Plug::start(&broker, "POWER", silent).await;
    // What the broker kept from before does not speak for it.
    keep(&broker, "stat/plug7/POWER", "ON").await;
    let mut pdu = open(&config(&broker.address, SHORT));
    let (outlet, begun) = (outlet("1"), Instant::now());
    let error = pdu.switch(&outlet, PowerState::On, soon()).await;
    check(
        &error.unwrap_err(),
        ErrorKind::Unconfirmed,
        "the broker took 'on' for outlet 1, and the plug tells nothing on 'stat/plug7/POWER1' or",
    );
    let error = pdu.read(&outlet, soon()).await.unwrap_err();
    check(&error, ErrorKind::Timeout, "took the question");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(plug.heard(), ["cmnd/plug7/POWER1 ON", "cmnd/plug7/POWER1 "]);
    drop(plug);

    keep(&broker, "tele/plug7/LWT", "Offline").await;
    let mut pdu = open(&config(&broker.address, LONG));
    let error = pdu.switch(&outlet, PowerState::On, soon()).await;
    check(&error.unwrap_err(), ErrorKind::Closed, "the plug is gone");
    let error = pdu.read(&outlet, soon()).await.unwrap_err();
    check(&error, ErrorKind::Closed, "the plug is gone");
}

#[tokio::test]
async fn a_plug_of_any_make_is_described_by_topics() {
    let Some(broker) = Broker::start().await else {
        return;
    };
    let mut config = config(&broker.address, LONG);
    config.model = "mqtt".to_owned();
    config.options = toml::toml! {
        command = "cmnd/plug7/{outlet}"
        state = "stat/plug7/state"
    };
    let plug = Plug::start(&broker, "state", obeys).await;
    let mut pdu = open(&config);
    pdu.switch(&outlet("x"), PowerState::On, soon())
        .await
        .unwrap();
    assert_eq!(plug.heard(), ["cmnd/plug7/x ON"]);
    // Nobody asks this one, and the broker has kept nothing.
    assert_eq!(pdu.read(&outlet("x"), soon()).await.unwrap(), None);
    keep(&broker, "stat/plug7/state", "on").await;
    let state = pdu.read(&outlet("x"), soon()).await.unwrap();
    assert_eq!(state, Some(PowerState::On));
    // Without a state the broker's word has to do.
    config.options = toml::toml! { command = "cmnd/plug7/{outlet}" };
    let mut pdu = open(&config);
    pdu.switch(&outlet("x"), PowerState::Off, soon())
        .await
        .unwrap();
    assert_eq!(pdu.read(&outlet("x"), soon()).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_login_and_an_absent_broker_are_told_apart() {
    let Some(broker) = Broker::start().await else {
        return;
    };
    let mut wrong = config(&broker.address, LONG);
    wrong.username = Some("nobody".to_owned());
    let error = open(&wrong).read(&outlet("1"), soon()).await.unwrap_err();
    check(&error, ErrorKind::PermissionDenied, "refuses the login");
    let address = broker.address.clone();
    drop(broker);
    let error = open(&config(&address, LONG))
        .read(&outlet("1"), soon())
        .await;
    check(&error.unwrap_err(), ErrorKind::Closed, "connect");
}

#[test]
fn mistakes_in_the_lab_file_are_told_when_it_is_read() {
    let error = |change: fn(&mut PduConfig)| {
        let mut config = config("broker", LONG);
        change(&mut config);
        Models::built_in()
            .unwrap()
            .open(&config)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(|config| config.options.clear()).contains("option 'topic'"));
    assert!(error(|config| config.username = None).contains("needs a 'username'"));
    let unknown = error(|config| config.options = toml::toml! { topik = "x" });
    assert!(unknown.contains("topik"), "{unknown}");
}

/// A broker that says `bytes` to whatever it hears, and then keeps silent or hangs up.
async fn misbehaving(bytes: Vec<u8>, hangs_up: bool) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(&bytes).await;
        if !hangs_up {
            while stream
                .read(&mut buffer)
                .await
                .is_ok_and(|length| length > 0)
            {}
        }
    });
    address
}

#[tokio::test]
async fn brokers_that_misbehave_are_errors_of_the_right_kind() {
    let welcome = b"\x20\x02\0\0".to_vec();
    let after = |more: &[u8]| [&welcome, more].concat();
    let flood = b"\x90\x04\0\x01\0\0".repeat(20_000);
    for (name, bytes, hangs_up, kind, text) in [
        ("silent", vec![], false, ErrorKind::Timeout, "its greeting"),
        ("closing", vec![], true, ErrorKind::Closed, "its greeting"),
        (
            "web server",
            b"HTTP/1.1 400 Bad\r\n".to_vec(),
            false,
            ErrorKind::Protocol,
            "MQTT",
        ),
        (
            "version",
            b"\x20\x02\0\x01".to_vec(),
            false,
            ErrorKind::Unsupported,
            "3.1.1",
        ),
        (
            "unavailable",
            b"\x20\x02\0\x03".to_vec(),
            false,
            ErrorKind::Busy,
            "not available",
        ),
        (
            "login",
            b"\x20\x02\0\x05".to_vec(),
            false,
            ErrorKind::PermissionDenied,
            "login",
        ),
        (
            "code",
            b"\x20\x02\0\x63".to_vec(),
            false,
            ErrorKind::Protocol,
            "code 99",
        ),
        (
            "pong first",
            b"\xD0\0".to_vec(),
            false,
            ErrorKind::Protocol,
            "before it greets",
        ),
        (
            "topics",
            after(b"\x90\x04\0\x01\x80\x80"),
            false,
            ErrorKind::PermissionDenied,
            "stat/plug7/POWER",
        ),
        (
            "twice",
            after(&welcome),
            false,
            ErrorKind::Protocol,
            "greets in the middle",
        ),
        (
            "long",
            after(b"\x30\xFF\xFF\x7F"),
            false,
            ErrorKind::Protocol,
            "longer than any plug's",
        ),
        (
            "endless",
            after(&flood),
            false,
            ErrorKind::Protocol,
            "does not stop talking",
        ),
    ] {
        let address = misbehaving(bytes, hangs_up).await;
        let timeout = if kind == ErrorKind::Timeout {
            SHORT
        } else {
            LONG
        };
        let mut pdu = open(&config(&address, timeout));
        let error = pdu.read(&outlet("1"), soon()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        check(&error, kind, text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_broker_says_ends_in_time(
        welcome: bool,
        granted: bool,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut said = Vec::new();
            if welcome {
                said.extend(b"\x20\x02\0\0");
            }
            if welcome && granted {
                said.extend(b"\x90\x05\0\x01\0\0\0");
            }
            said.extend(&bytes);
            let address = misbehaving(said, true).await;
            let begun = Instant::now();
            let mut pdu = open(&config(&address, LONG));
            // No random bytes are the state of this plug.
            pdu.read(&outlet("1"), soon()).await.unwrap_err();
            assert!(begun.elapsed() < LONG);
        });
    }
}
