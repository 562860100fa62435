//! HTTP PDUs: the bytes of every row, and devices that misbehave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::{PduConfig, Secret},
    power::{
        Outlet, OutletPower, OutletTiming, Pdu, PowerAction, PowerControl, PowerState, SharedPdu,
        models::{Models, Tested},
    },
    process::{Command, CommandLine},
};
use std::{
    fmt::Write,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{soon, wait_for};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::Instant,
};

/// It needs escaping wherever it goes.
const PASSWORD: &str = "p&s/1 %";

/// A server that keeps every request and answers with what `answer` makes of it: the bytes of an
/// answer, or nothing and an open connection for ever.
struct Stub {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    async fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = requests.clone();
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heard, answer) = (heard.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    heard.lock().unwrap().push(request.clone());
                    match answer(&request) {
                        Some(bytes) => {
                            let _ = stream.write_all(&bytes).await;
                            let _ = stream.shutdown().await;
                        }
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    fn config(&self, model: &str) -> PduConfig {
        PduConfig {
            name: "rack1".to_owned(),
            model: model.to_owned(),
            address: Some(format!("http://{}", self.address)),
            username: Some("me".to_owned()),
            password: Some(Secret::new(PASSWORD)),
            timeout: Some(Duration::from_secs(20)),
            ..PduConfig::default()
        }
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
}

fn ok(body: &str) -> Option<Vec<u8>> {
    answer("200 OK", "", body)
}

fn answer(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .into_bytes(),
    )
}

fn open(config: &PduConfig) -> Box<dyn Pdu> {
    Models::built_in().unwrap().open(config).unwrap()
}

fn outlet(name: &str) -> Outlet {
    name.parse().unwrap()
}

/// What a device of `model` whose second outlet is on or off says, to whatever it is asked.
fn says(model: &str, on: bool) -> String {
    let bit = u8::from(on);
    let word = if on { "On" } else { "Off" };
    let lower = word.to_lowercase();
    let upper = word.to_uppercase();
    match model {
        "ip9850" => format!("<p>p61=0,p62={bit},p63=0,p64=0</p>"),
        "digipower" => format!("<p>0,1,2,3,4,5,6,7,8,9,0,{bit},0,0,0,0,0,0</p>"),
        "digitalloggers_http" => format!("<div id=\"state\">{:02x}</div>", 0xfd | bit << 1),
        "digitalloggers_restapi" => format!("[{on}]"),
        "eg_pms2_network" => {
            format!("<a href=\"login.html\">Log Out</a> var sockstates = [0,{bit},1,1];")
        }
        "esphome-http" => format!("{{\"id\":\"switch-2\",\"state\":\"{upper}\",\"value\":{on}}}"),
        "eth008" => format!("Status: 0{bit}000000"),
        "gude" => format!("<td>Power Port 1</td>OFF\n<td>Power Port 2</td><td>{upper}</td>"),
        "gude24" => {
            format!("<meta content=\"Power Port 1,0\">\n<meta content=\"Power Port 2,{bit}\">")
        }
        "gude8316" => {
            format!("<meta content=\"Power Port ,0\">\n<meta content=\"Power Port ,{bit}\">")
        }
        "gude8031" => format!("{{\"outputs\":[{{\"state\":0}},{{\"state\":{bit}}}]}}"),
        "home-assistant-http" => format!("{{\"entity_id\":\"switch.2\",\"state\":\"{lower}\"}}"),
        "intellinet" => format!("<response><outletStat2>{lower}</outletStat2></response>"),
        "lxa-iobus" => format!("{{\"code\":0,\"error_message\":\"\",\"result\":{bit}}}"),
        "lxa-tac" => format!("\"{word}\""),
        "lxa-tac-output" => on.to_string(),
        "mfi_mpower" => format!(
            "{{\"status\":\"success\",\"sensors\":[{{\"port\":1,\"output\":0}},{{\"port\":2,\"output\":{bit}}}]}}"
        ),
        "netio" => format!("<html>0 {bit} 1 1</html>"),
        "netiojson" => {
            format!("{{\"Outputs\":[{{\"ID\":1,\"State\":0}},{{\"ID\":2,\"State\":{bit}}}]}}")
        }
        "pe6216" => format!("<OutletRelay><02>{upper}</02></OutletRelay>"),
        "servertechpro2" => format!("{{\"id\":\"AA2\",\"state\":\"{word}\"}}"),
        "SERVO" => "<methodResponse><params></params></methodResponse>".to_owned(),
        "shelly_gen1" => format!("{{\"ison\":{on},\"has_timer\":false}}"),
        "shelly_gen2" => format!(
            "{{\"id\":1,\"result\":{{\"was_on\":{},\"output\":{on}}}}}",
            !on
        ),
        "tasmota" => format!("{{\"POWER2\":\"{upper}\"}}"),
        "sonoff_s20_tasmota" => format!("{{\"POWER\":\"{upper}\"}}"),
        "tinycontrol" => format!("<response><out1>1</out1><out2>{bit}</out2></response>"),
        "tinycontrol_tcpdu" => format!("{{\"out1\":1,\"out2\":{bit}}}"),
        "ubus" => {
            let status = if on { "Searching" } else { "Disabled" };
            format!(
                "{{\"id\":1,\"result\":[0,{{\"ports\":{{\"lan2\":{{\"status\":\"{status}\"}}}}}}]}}"
            )
        }
        _ => bit.to_string(),
    }
}

fn outlet_of(model: &str) -> Outlet {
    outlet(match model {
        "lxa-iobus" => "IOMux-1/out0",
        "lxa-tac" => "dut",
        "lxa-tac-output" => "output/out_0/asserted",
        "servertechpro2" => "AA2",
        "SERVO" => "power_state",
        "sonoff_s20_tasmota" => "1",
        _ => "2",
    })
}

/// A device of `model` that follows `state` and wants the login that its row sends.
async fn device(model: &str, state: Arc<Mutex<bool>>) -> Stub {
    let model = model.to_owned();
    Stub::start(move |request| {
        let digest = ["esphome-http", "digitalloggers_restapi", "shelly_gen2"];
        if digest.contains(&model.as_str()) && !request.contains("\r\nAuthorization: Digest ") {
            let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\", qop=\"auth\", \
                             algorithm=SHA-256\r\n";
            return answer("401 Unauthorized", challenge, "");
        }
        let cookie = if model == "mfi_mpower" {
            "Set-Cookie: SESSION=123; Path=/\r\n"
        } else {
            ""
        };
        answer("200 OK", cookie, &says(&model, *state.lock().unwrap()))
    })
    .await
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
async fn a_login_that_is_missing_is_asked_for() {
    let wants = |_: &str| {
        answer(
            "401 Unauthorized",
            "WWW-Authenticate: Digest nonce=\"1\"\r\n",
            "",
        )
    };
    let stub = Stub::start(wants).await;
    let mut config = stub.config("gude8031");
    (config.username, config.password) = (None, None);
    let error = open(&config).read(&outlet("1"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.hint().unwrap().starts_with("it needs a login"),
        "{:?}",
        error.hint()
    );
    assert_eq!(
        stub.taken().len(),
        1,
        "without a login there is nothing to try"
    );
    // With a wrong one it is tried once as the row says, and once as the device wants it.
    let error = open(&stub.config("gude8031"))
        .read(&outlet("1"), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(stub.taken().len(), 2);
    let refuses = |_: &str| ok("{\"WARNING\":\"Need user=<username>&password=<password>\"}");
    let stub = Stub::start(refuses).await;
    let error = open(&stub.config("tasmota"))
        .read(&outlet("1"), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test]
async fn a_login_page_that_refuses_stops_the_exchange() {
    let stub = Stub::start(|_| ok("wrong password: p&s/1 %")).await;
    let result = open(&stub.config("energenie"))
        .switch(&outlet("1"), PowerState::On, soon())
        .await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.hint().unwrap().contains("login"));
    check(&error);
    assert_eq!(stub.taken().len(), 1);
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

#[tokio::test]
async fn certificates() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let openssl = || CommandLine::new("openssl");
    let make = openssl()
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-subj", "/CN=pdu", "-days", "2", "-keyout"])
        .arg(path("key"))
        .arg("-out")
        .arg(path("certificate"));
    let Ok(made) = Command::new(make).output(soon()).await else {
        eprintln!("SKIPPED: no openssl here, to be a server with a certificate of its own");
        return;
    };
    assert!(made.exit.success());
    let print = openssl()
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(path("certificate"));
    let printed = Command::new(print).output(soon()).await.unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    let fingerprint = printed.trim().split_once('=').unwrap().1.to_owned();
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path("log"))
        .unwrap();
    let serve = openssl()
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-key"])
        .arg(path("key"))
        .arg("-cert")
        .arg(path("certificate"));
    let _server = Command::new(serve).spawn(Some(log)).unwrap();
    let address = wait_for(|| {
        let log = fs_err::read_to_string(path("log")).unwrap();
        let address = log
            .lines()
            .find_map(|line| line.strip_prefix("ACCEPT "))
            .map(str::to_owned);
        address.ok_or(log)
    })
    .await;

    let read = async |extra: toml::Table| {
        let mut config = Stub::start(|_| None).await.config("http");
        config.address = Some(format!("https://{address}"));
        config.options = toml::toml! {
            on = "GET /"
            off = "GET /"
            state = "GET /"
            show = { regex = "Protocol", on = "Protocol" }
        };
        config.options.extend(extra);
        open(&config).read(&outlet("1"), soon()).await
    };
    let error = read(toml::Table::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    let host_trusts_somebody = !error.to_string().contains("ca-certificates");
    if host_trusts_somebody {
        assert!(error.hint().unwrap().contains("'fingerprint'"), "{error}");
    }
    let on = Some(PowerState::On);
    assert_eq!(read(toml::toml! { insecure = true }).await.unwrap(), on);
    let own = toml::Table::from_iter([("fingerprint".to_owned(), fingerprint.clone().into())]);
    assert_eq!(read(own).await.unwrap(), on);
    let other = if fingerprint.starts_with('0') {
        '1'
    } else {
        '0'
    };
    let other = format!("{other}{}", &fingerprint[1..]);
    let other = toml::Table::from_iter([("fingerprint".to_owned(), other.into())]);
    let error = read(other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let seen = fingerprint.replace(':', "").to_lowercase();
    assert!(error.to_string().contains(&seen), "{error}");
}

#[tokio::test]
async fn https_to_a_server_without_it() {
    let stub = Stub::start(|_| ok("1")).await;
    let mut config = stub.config("gude8031");
    config.address = Some(format!("https://{}", stub.address));
    config.options = toml::toml! { insecure = true };
    let error = open(&config)
        .read(&outlet("1"), Instant::now() + Duration::from_secs(3))
        .await;
    let error = error.unwrap_err();
    check(&error);
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol | ErrorKind::Timeout | ErrorKind::Closed
        ),
        "{error}"
    );
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
