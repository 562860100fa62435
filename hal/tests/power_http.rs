//! HTTP PDUs: the bytes of every row, and devices that misbehave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "power_http/devices.rs"]
mod devices;
#[path = "power_http/login.rs"]
mod login;
#[path = "power_http/stub.rs"]
mod stub;
mod support;
#[path = "power_http/tls.rs"]
mod tls;

use devices::{device, outlet_of};
use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::PduConfig,
    power::{
        Outlet, OutletPower, OutletTiming, Pdu, PowerAction, PowerControl, PowerState, SharedPdu,
        models::{Models, Tested},
    },
};
use std::{
    fmt::Write,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};
use stub::{PASSWORD, Stub, answer, ok};
use support::soon;
use tokio::{net::TcpListener, time::Instant};

fn open(config: &PduConfig) -> Box<dyn Pdu> {
    Models::built_in().unwrap().open(config).unwrap()
}

fn outlet(name: &str) -> Outlet {
    name.parse().unwrap()
}

/// A request as it is to be seen by people: what changes with each run is left out.
fn shown(request: &str, address: &str) -> String {
    let request = request.replace(address, "PDU");
    let secrets = regex::Regex::new("(response|cnonce)=\"[0-9a-f]+\"").unwrap();
    let request = secrets.replace_all(&request, "$1=\"..\"");
    let version = concat!("pumice/", env!("CARGO_PKG_VERSION"));
    let request = request.replace(version, "pumice/VERSION");
    let boring = ["Accept: */*", "User-Agent: pumice/VERSION", "Host: PDU"];
    assert!(request.contains("User-Agent: pumice/VERSION") && request.contains("Host: PDU"));
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head
        .split("\r\n")
        .filter(|line| !boring.contains(line))
        .collect();
    lines.extend(body.lines());
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

fn options(model: &str) -> toml::Table {
    match model {
        "http" => toml::toml! {
            on = "GET /on/{outlet}"
            off = { request = "POST /off", json = { outlet = "{outlet}" } }
            state = "GET /state/{outlet}"
            show = { regex = "[01]" }
            login-query = "token={password}"
        },
        _ => toml::Table::new(),
    }
}

#[tokio::test]
async fn bytes_of_every_row() {
    let models = Models::built_in().unwrap();
    let mut table = String::new();
    for model in models.iter().filter(|model| model.family.name == "http") {
        let name = model.name.as_str();
        writeln!(table, "{name}").unwrap();
        let state = Arc::new(Mutex::new(false));
        let stub = device(name, state.clone()).await;
        let mut config = stub.config(name);
        config.options = options(name);
        match name {
            "rest" => config.address = Some(format!("{}/relay/{{index}}/value", stub.address)),
            "simplerest" => {
                config.address = Some(format!("{}/relay/{{index}}/{{value}}", stub.address));
            }
            _ => {}
        }
        let mut pdu = open(&config);
        let outlet = outlet_of(name);
        let mut note = |what: &str, requests: Vec<String>| {
            for request in requests {
                writeln!(table, "  {what}").unwrap();
                table.push_str(&shown(&request, &stub.address));
            }
        };
        for (to, on) in [(PowerState::On, true), (PowerState::Off, false)] {
            *state.lock().unwrap() = on;
            let switched = pdu.switch(&outlet, to, soon()).await;
            switched.unwrap_or_else(|error| panic!("{name} {to}: {error}"));
            note(&to.to_string(), stub.taken());
            let read = pdu.read(&outlet, soon()).await;
            let read = read.unwrap_or_else(|error| panic!("{name} state: {error}"));
            // The generic model reads back by its options alone.
            let reads_back = model.reads_back() || name == "http";
            assert_eq!(read, reads_back.then_some(to), "{name}");
            let requests = stub.taken();
            if on {
                note("state", requests);
            }
        }
        if pdu.reboot(&outlet, soon()).await.unwrap() {
            note("reboot", stub.taken());
        }
    }
    insta::assert_snapshot!("http_bytes", table);
}

#[test]
fn no_row_claims_more_than_bytes() {
    let models = Models::built_in().unwrap();
    for model in models.iter().filter(|model| model.family.name == "http") {
        assert!(matches!(model.tested, Tested::Bytes(_)), "{}", model.name);
    }
}

/// The error of one request to a device that behaves like this, which may not take long nor show
/// a password.
async fn error_of(model: &str, stub: &Stub, deadline: Duration) -> HalError {
    let begun = Instant::now();
    let config = stub.config(model);
    let result = open(&config).read(&outlet("2"), begun + deadline).await;
    let error = result.unwrap_err();
    assert!(
        begun.elapsed() < deadline + Duration::from_secs(5),
        "{error}"
    );
    check(&error);
    error
}

fn check(error: &HalError) {
    assert_eq!(error.subject(), "rack1", "{error}");
    assert!(error.to_string().starts_with("PDU 'rack1'"), "{error}");
    let all = format!("{error:?} {error} {:?}", error.hint());
    for secret in [PASSWORD, "p%26s", "bWU6cCZz"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[tokio::test]
async fn devices_that_misbehave_are_errors_of_the_right_kind() {
    type Behaviour = fn(&str) -> Option<Vec<u8>>;
    let cases: [(&str, Behaviour, ErrorKind, &str); 12] = [
        (
            "silent",
            |_| None,
            ErrorKind::Timeout,
            "does not answer within",
        ),
        ("closing", |_| Some(vec![]), ErrorKind::Closed, ""),
        (
            "garbage",
            |_| Some(b"\x00\xff login: ".to_vec()),
            ErrorKind::Protocol,
            "HTTP",
        ),
        (
            "another page",
            |_| ok("<html>Welcome</html>"),
            ErrorKind::Protocol,
            "it is no JSON",
        ),
        (
            "no such key",
            |_| ok("{\"outputs\":[]}"),
            ErrorKind::Protocol,
            "/outputs/{outlet-1}/state",
        ),
        (
            "another word",
            |_| ok("{\"outputs\":[0,{\"state\":7}]}"),
            ErrorKind::Protocol,
            "'7' means",
        ),
        (
            "huge",
            |_| ok(&"x".repeat(300_000)),
            ErrorKind::Protocol,
            "longer than 256 KiB",
        ),
        (
            "login",
            |_| {
                answer(
                    "401 Unauthorized",
                    "WWW-Authenticate: Basic realm=\"x\"\r\n",
                    "",
                )
            },
            ErrorKind::PermissionDenied,
            "it answers 401",
        ),
        (
            "forbidden",
            |_| answer("403 Forbidden", "", ""),
            ErrorKind::PermissionDenied,
            "403",
        ),
        (
            "missing",
            |_| answer("404 Not Found", "", ""),
            ErrorKind::InvalidInput,
            "404",
        ),
        (
            "broken",
            |_| answer("500 Oops", "", "no p&s/1 % today"),
            ErrorKind::CommandFailed,
            "it answers 500: no … today",
        ),
        (
            "elsewhere",
            |_| {
                answer(
                    "302 Found",
                    "Location: http://192.0.2.9/?p=p%26s%2F1%20%25\r\n",
                    "",
                )
            },
            ErrorKind::Protocol,
            "redirects to http://192.0.2.9/",
        ),
    ];
    for (name, behaviour, kind, text) in cases {
        let stub = Stub::start(behaviour).await;
        let deadline = match kind {
            ErrorKind::Timeout => Duration::from_millis(200),
            _ => Duration::from_secs(20),
        };
        let error = error_of("gude8031", &stub, deadline).await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_slow_body_ends_with_the_deadline_too() {
    let slow = |_: &str| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec());
    let stub = Stub::start(slow).await;
    let error = error_of("gude8031", &stub, Duration::from_secs(10)).await;
    assert!(
        matches!(error.kind(), ErrorKind::Closed | ErrorKind::Protocol),
        "{error}"
    );
    let endless =
        |_: &str| Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello".to_vec());
    let stub = Stub::start(endless).await;
    let error = error_of("gude8031", &stub, Duration::from_secs(10)).await;
    assert!(
        matches!(error.kind(), ErrorKind::Closed | ErrorKind::Protocol),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut stub = Stub::start(|_| None).await;
    stub.address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = error_of("gude8031", &stub, Duration::from_secs(20)).await;
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let mut config = stub.config("gude8031");
    config.address = Some("no-such-host.invalid".to_owned());
    let error = open(&config).read(&outlet("1"), soon()).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Timeout),
        "{error}"
    );
    check(&error);
}

#[tokio::test]
async fn a_device_may_redirect_within_itself() {
    let stub = Stub::start(|request| match request.starts_with("GET /moved") {
        true => ok("{\"outputs\":[{\"state\":1}]}"),
        false => answer("302 Found", "Location: /moved\r\n", ""),
    })
    .await;
    let state = open(&stub.config("gude8031"))
        .read(&outlet("1"), soon())
        .await
        .unwrap();
    assert_eq!(state, Some(PowerState::On));
    let rounds = Stub::start(|_| answer("302 Found", "Location: /round\r\n", "")).await;
    let error = error_of("gude8031", &rounds, Duration::from_secs(20)).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(rounds.taken().len(), 4);
}

#[tokio::test]
async fn answers_that_say_no_are_no() {
    for (model, body, text) in [
        (
            "netiojson",
            "{\"Outputs\":[{\"ID\":2,\"State\":0}]}",
            "it says '0', not '1'",
        ),
        (
            "tasmota",
            "{\"Command\":\"Unknown\"}",
            "it has no '/POWER{outlet}'",
        ),
        ("ubus", "{\"result\":[6]}", "it says '6', not '0'"),
        ("shelly_gen2", "{\"error\":{\"code\":-105}}", "it has no"),
        ("lxa-iobus", "{\"code\":1}", "it says '1', not '0'"),
        ("eth008", "Status: 00000000", "it says '0', not '1'"),
        (
            "SERVO",
            "<methodResponse><fault/></methodResponse>",
            "it lacks",
        ),
    ] {
        let stub = Stub::start(move |_| ok(body)).await;
        let outlet = if model == "lxa-iobus" {
            outlet("a/2")
        } else if model == "SERVO" {
            outlet("1")
        } else {
            outlet("2")
        };
        let result = open(&stub.config(model))
            .switch(&outlet, PowerState::On, soon())
            .await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{model}: {error}");
        assert!(error.to_string().contains(text), "{model}: {error}");
    }
}

#[tokio::test]
async fn an_outlet_that_says_ok_and_stays_is_unconfirmed() {
    let stub = Stub::start(|_| ok("{\"outputs\":[{\"state\":0}]}")).await;
    let timing = OutletTiming {
        settle: Duration::from_millis(50),
        poll: Duration::from_millis(10),
        ..OutletTiming::default()
    };
    let pdu = SharedPdu::new("rack1", open(&stub.config("gude8031")));
    let mut power = OutletPower::new(pdu, outlet("1"), timing, EpochCounter::default());
    let error = power.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert_eq!(
        error.to_string(),
        "PDU 'rack1' accepted 'on' for outlet 1, and the outlet is still off"
    );
    power.set(PowerAction::Off, soon()).await.unwrap();
}

#[tokio::test]
async fn an_outlet_that_is_about_to_move_is_asked_again() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let stub = Stub::start(move |_| {
        *count.lock().unwrap() += 1;
        let word = if *count.lock().unwrap() < 3 {
            "PENDING"
        } else {
            "ON"
        };
        ok(&format!("<01>{word}</01>"))
    })
    .await;
    let state = open(&stub.config("pe6216"))
        .read(&outlet("1"), soon())
        .await
        .unwrap();
    assert_eq!((state, *asked.lock().unwrap()), (Some(PowerState::On), 3));
    let stuck = Stub::start(|_| ok("<01>PENDING</01>")).await;
    let mut config = stuck.config("pe6216");
    config.timeout = Some(Duration::from_millis(500));
    let error = open(&config).read(&outlet("1"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn mistakes_in_a_lab_file_are_explained() {
    let cases = [
        (
            "http",
            "192.0.2.1",
            toml::Table::new(),
            "needs the option 'on'",
        ),
        (
            "gude",
            "192.0.2.1",
            toml::toml! { onn = "GET /" },
            "unknown field `onn`",
        ),
        (
            "gude",
            "192.0.2.1",
            toml::toml! { on = "FETCH /" },
            "is no request",
        ),
        (
            "gude",
            "192.0.2.1",
            toml::toml! { on = "GET /{outlt}" },
            "no placeholder '{outlt}'",
        ),
        (
            "gude",
            "192.0.2.1",
            toml::toml! { fingerprint = "xy" },
            "no fingerprint",
        ),
        (
            "gude",
            "ftp://192.0.2.1",
            toml::Table::new(),
            "neither http nor https",
        ),
        (
            "gude",
            "http://me:secret@192.0.2.1",
            toml::Table::new(),
            "has a login in it",
        ),
        ("gude", "a b", toml::Table::new(), "is no address"),
    ];
    for (model, address, options, expected) in cases {
        let config = PduConfig {
            name: "rack1".to_owned(),
            model: model.to_owned(),
            address: Some(address.to_owned()),
            options,
            ..PduConfig::default()
        };
        let error = Models::built_in().unwrap().open(&config).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains(expected),
            "{error}, expected {expected}"
        );
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn outlets_that_do_not_exist_send_nothing() {
    let stub = Stub::start(|_| ok("1")).await;
    for (model, name) in [("gude", "9"), ("shelly_gen1", "x"), ("lxa-iobus", "1")] {
        let result = open(&stub.config(model))
            .switch(&outlet(name), PowerState::On, soon())
            .await;
        assert_eq!(
            result.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{model}"
        );
    }
    assert!(stub.taken().is_empty());
}
