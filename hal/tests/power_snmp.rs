//! SNMP PDUs: Debian's snmpd with a `pass` script as PDU, and agents that misbehave.
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
    process::{Command, CommandLine, Running},
};
use std::{fmt::Write, net::Ipv4Addr, path::Path, time::Duration};
use support::soon;
use tokio::{net::UdpSocket, time::Instant};

const PASSWORD: &str = "correct-horse";

/// The script that snmpd asks about variables: one file for each, and a table of what setting one
/// does to another.
const SCRIPT: &str = r#"
dir=$1 verb=$2 oid=$3 type=$4 value=$5
case $verb in
-g)
    [ -f "$dir/$oid" ] || exit 0
    printf '%s\ninteger\n%s\n' "$oid" "$(cat "$dir/$oid")" ;;
-s)
    [ -f "$dir/$oid" ] || { echo not-writable; exit 0; }
    [ ! -f "$dir/stuck" ] || { echo DONE; exit 0; }
    moved=
    while read -r from set to show; do
        [ "$oid $value" = "$from $set" ] || continue
        echo "$show" > "$dir/$to"; moved=1
    done < "$dir/moves"
    [ "$moved" ] || echo "$value" > "$dir/$oid"
    echo DONE ;;
esac
"#;

/// The variables and values of a model's outlet, as its agent has them.
struct Emulated {
    model: &'static str,
    outlet: &'static str,
    on: (&'static str, i64),
    off: (&'static str, i64),
    state: &'static str,
    /// What the state shows when it is on and off.
    shows: (i64, i64),
}

const MODELS: [Emulated; 10] = [
    emulated(
        "apc-rpdu",
        "7",
        ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7",
        (1, 2),
    ),
    emulated(
        "apc-masterswitch",
        "3",
        ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.3",
        (1, 2),
    ),
    emulated(
        "cyberpower81001",
        "8",
        ".1.3.6.1.4.1.3808.1.1.3.3.3.1.1.4.8",
        (1, 2),
    ),
    Emulated {
        state: ".1.3.6.1.4.1.3808.1.1.5.6.3.1.3.12",
        shows: (1, 2),
        ..emulated(
            "cyberpower-ats",
            "12",
            ".1.3.6.1.4.1.3808.1.1.5.6.5.1.3.12",
            (2, 3),
        )
    },
    Emulated {
        off: (".1.3.6.1.4.1.534.6.6.7.6.6.1.3.0.16", 1),
        state: ".1.3.6.1.4.1.534.6.6.7.6.6.1.2.0.16",
        shows: (1, 0),
        ..emulated("eaton", "16", ".1.3.6.1.4.1.534.6.6.7.6.6.1.4.0.16", (1, 1))
    },
    Emulated {
        state: ".1.3.6.1.4.1.13742.6.4.1.2.1.3.1.2",
        shows: (7, 8),
        ..emulated("raritan", "2", ".1.3.6.1.4.1.13742.6.4.1.2.1.2.1.2", (1, 0))
    },
    Emulated {
        state: ".1.3.6.1.4.1.1718.3.2.3.1.10.1.3.2",
        shows: (5, 4),
        ..emulated("sentry", "18", ".1.3.6.1.4.1.1718.3.2.3.1.11.1.3.2", (1, 2))
    },
    emulated("poe", "24", ".1.3.6.1.2.1.105.1.1.1.3.1.24", (1, 2)),
    emulated("gude8210", "1", ".1.3.6.1.4.1.28507.1.1.2.2.1.3.1", (1, 0)),
    emulated("snmp", "5", ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.5", (1, 2)),
];

const fn emulated(
    model: &'static str,
    outlet: &'static str,
    oid: &'static str,
    (on, off): (i64, i64),
) -> Emulated {
    Emulated {
        model,
        outlet,
        on: (oid, on),
        off: (oid, off),
        state: oid,
        shows: (on, off),
    }
}

/// An snmpd of our own, with its variables in files.
struct Snmpd {
    directory: tempfile::TempDir,
    address: String,
    _process: Running,
}

impl Snmpd {
    /// `None`, loudly, where it is not installed.
    async fn start() -> Option<Self> {
        let program = ["/usr/sbin/snmpd", "/usr/bin/snmpd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!("SKIPPED: no snmpd here (tools/packages test installs it)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        // Snmpd takes no socket of ours: a port that was free a moment ago has to do.
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        fs_err::write(path.join("pass.sh"), SCRIPT).unwrap();
        fs_err::write(path.join("moves"), moves()).unwrap();
        fs_err::write(path.join("snmpd.conf"), configuration(path, &address)).unwrap();
        for model in &MODELS {
            for (oid, value) in [
                (model.on.0, 0),
                (model.off.0, 0),
                (model.state, model.shows.1),
            ] {
                fs_err::write(path.join(oid), value.to_string()).unwrap();
            }
        }
        let line = CommandLine::new(program)
            .args(["-f", "-Lf"])
            .arg(path.join("log"))
            .args(["-C", "-c"])
            .arg(path.join("snmpd.conf"));
        let process = Command::new(line)
            .env("SNMP_PERSISTENT_DIR", path.join("persistent"))
            .env("SNMPCONFPATH", path)
            .spawn(None)
            .unwrap();
        let snmpd = Self {
            directory,
            address,
            _process: process,
        };
        snmpd.wait().await;
        Some(snmpd)
    }

    /// Waits until it answers.
    async fn wait(&self) {
        let end = soon();
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let mut pdu = open(&self.config("apc-rpdu"));
            let deadline = Instant::now() + Duration::from_millis(500);
            match pdu.read(&outlet("7"), deadline).await {
                Ok(_) => return,
                Err(error) if Instant::now() > end => {
                    panic!("snmpd never came: {error}, {}", self.file("log"))
                }
                Err(_) => {}
            }
        }
    }

    fn file(&self, name: &str) -> String {
        fs_err::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    fn config(&self, model: &str) -> PduConfig {
        config(model, &self.address)
    }

    fn power(&self, config: &PduConfig, outlet: &str) -> OutletPower {
        power(open(config), outlet)
    }
}

fn moves() -> String {
    let mut moves = String::new();
    for model in &MODELS {
        let Emulated {
            on,
            off,
            state,
            shows,
            ..
        } = model;
        writeln!(moves, "{} {} {state} {}", on.0, on.1, shows.0).unwrap();
        writeln!(moves, "{} {} {state} {}", off.0, off.1, shows.1).unwrap();
    }
    moves
}

fn configuration(directory: &Path, address: &str) -> String {
    let directory = directory.display();
    let mut text = format!(
        "agentAddress udp:{address}\n\
         rwcommunity private\nrwcommunity public\nrocommunity looker\n\
         createUser both SHA {PASSWORD} AES {PASSWORD}\n\
         createUser old MD5 {PASSWORD} DES {PASSWORD}\n\
         createUser modern SHA-512 {PASSWORD} AES {PASSWORD}\n\
         createUser signed SHA-256 {PASSWORD}\n\
         createUser plain\n\
         rwuser both priv\nrwuser old priv\nrwuser modern priv\nrwuser signed auth\n\
         rwuser plain noauth\n"
    );
    for root in [
        "1.3.6.1.4.1.318",
        "1.3.6.1.4.1.3808",
        "1.3.6.1.4.1.534",
        "1.3.6.1.4.1.13742",
        "1.3.6.1.4.1.1718",
        "1.3.6.1.4.1.28507",
        "1.3.6.1.2.1.105",
    ] {
        writeln!(text, "pass .{root} /bin/sh {directory}/pass.sh {directory}").unwrap();
    }
    text
}

fn config(model: &str, address: &str) -> PduConfig {
    PduConfig {
        name: "rack1".to_owned(),
        model: model.to_owned(),
        address: Some(address.to_owned()),
        options: if model.starts_with("snmp") {
            generic()
        } else {
            toml::Table::new()
        },
        ..PduConfig::default()
    }
}

/// The options of the generic models: the APC MasterSwitch once more.
fn generic() -> toml::Table {
    toml::toml! {
        oid = "1.3.6.1.4.1.318.1.1.4.4.2.1.3.*"
        state-oid = "1.3.6.1.4.1.318.1.1.4.4.2.1.3.{outlet}"
        on = 1
        off = 2
    }
}

fn open(config: &PduConfig) -> Box<dyn Pdu> {
    Models::built_in().unwrap().open(config).unwrap()
}

fn outlet(name: &str) -> Outlet {
    name.parse().unwrap()
}

fn power(pdu: Box<dyn Pdu>, name: &str) -> OutletPower {
    let timing = OutletTiming {
        off_for: Duration::ZERO,
        settle: Duration::from_millis(200),
        poll: Duration::from_millis(20),
    };
    OutletPower::new(
        SharedPdu::new("rack1", pdu),
        outlet(name),
        timing,
        EpochCounter::default(),
    )
}

/// The error's kind, its text and hint in one line.
fn told(error: &HalError) -> String {
    let hint = error.hint().unwrap_or_default();
    format!("{error} ({hint})")
}

#[tokio::test]
async fn every_model_switches_a_real_agent_and_reads_it_back() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    for model in &MODELS {
        for version in ["1", "2c"] {
            let mut config = snmpd.config(model.model);
            config.options.insert("version".to_owned(), version.into());
            let mut power = snmpd.power(&config, model.outlet);
            for (action, state, shows) in [
                (PowerAction::On, PowerState::On, model.shows.0),
                (PowerAction::Off, PowerState::Off, model.shows.1),
                (PowerAction::Reset, PowerState::On, model.shows.0),
            ] {
                let what = format!("{} version {version}: {action}", model.model);
                power
                    .set(action, soon())
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(power.state(soon()).await.unwrap(), Some(state), "{what}");
                assert_eq!(snmpd.file(model.state).trim(), shows.to_string(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_pdu_reboots_by_itself_when_asked() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    let mut pdu = open(&snmpd.config("apc-rpdu"));
    assert!(pdu.reboot(&outlet("7"), soon()).await.unwrap());
    assert_eq!(snmpd.file(MODELS[0].state).trim(), "3");
}

fn user(snmpd: &Snmpd, name: &str, options: toml::Table) -> PduConfig {
    let mut config = snmpd.config("apc-masterswitch");
    config.username = Some(name.to_owned());
    config.password = Some(Secret::new(PASSWORD));
    config.options = options;
    config.options.insert("version".to_owned(), "3".into());
    config
}

#[tokio::test]
async fn version_3_with_every_protection() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    let cases = [
        ("both", toml::toml! { privacy = "aes" }),
        (
            "old",
            toml::toml! { auth = "md5"
            privacy = "des" },
        ),
        (
            "modern",
            toml::toml! { auth = "sha512"
            privacy-password = "correct-horse" },
        ),
        ("signed", toml::toml! { auth = "sha-256" }),
        ("plain", toml::Table::new()),
    ];
    for (name, options) in cases {
        let mut config = user(&snmpd, name, options);
        if name == "plain" {
            config.password = None;
        }
        let mut power = snmpd.power(&config, "3");
        for action in [PowerAction::On, PowerAction::Off] {
            let set = power.set(action, soon()).await;
            set.unwrap_or_else(|error| panic!("{name} {action}: {}", told(&error)));
        }
        assert_eq!(snmpd.file(MODELS[1].state).trim(), "2", "{name}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_says_so_and_shows_no_password() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    let wrong = |config: &mut PduConfig| config.password = Some(Secret::new("wrong-horse"));
    let mut cases = vec![
        (
            user(&snmpd, "nobody", toml::Table::new()),
            "it knows no such user",
        ),
        (
            user(&snmpd, "both", toml::Table::new()),
            "the password for signing is wrong",
        ),
        (
            user(
                &snmpd,
                "signed",
                toml::toml! { auth = "sha256"
                privacy = "aes" },
            ),
            "it does not offer this kind of protection to this user",
        ),
    ];
    wrong(&mut cases[1].0);
    for (config, expected) in cases {
        let deadline = Instant::now() + Duration::from_secs(5);
        let error = open(&config)
            .read(&outlet("3"), deadline)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "{error}, expected {expected}"
        );
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(!format!("{error:?}{error}").contains("horse"), "{error:?}");
    }
    // Net-SNMP drops what it cannot decrypt without a word.
    let mut config = user(
        &snmpd,
        "both",
        toml::toml! { privacy-password = "wrong-horse" },
    );
    config.timeout = Some(Duration::from_millis(300));
    let error = open(&config).read(&outlet("3"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        error.hint().unwrap().contains("'privacy-password'"),
        "{}",
        told(&error)
    );
    // The user exists and is known, and may not do without encryption.
    let config = user(&snmpd, "both", toml::Table::new());
    let error = open(&config).read(&outlet("3"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test]
async fn wrong_communities_and_outlets_are_told_apart() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    for version in ["1", "2c"] {
        let mut config = snmpd.config("apc-rpdu");
        config.options.insert("version".to_owned(), version.into());
        let error = open(&config).read(&outlet("9"), soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let expected = format!(
            "PDU 'rack1' at {}: has no variable 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.9",
            snmpd.address
        );
        assert_eq!(error.to_string(), expected);

        config.password = Some(Secret::new("looker"));
        let mut pdu = open(&config);
        assert_eq!(
            pdu.read(&outlet("7"), soon()).await.unwrap(),
            Some(PowerState::Off)
        );
        let error = pdu
            .switch(&outlet("7"), PowerState::On, soon())
            .await
            .unwrap_err();
        let kind = match version {
            // Version 1 has one word for both.
            "1" => ErrorKind::InvalidInput,
            _ => ErrorKind::PermissionDenied,
        };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(told(&error).contains("may not"), "{}", told(&error));

        config.password = Some(Secret::new("sesame"));
        config.timeout = Some(Duration::from_millis(300));
        let error = open(&config).read(&outlet("7"), soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(
            error.hint().unwrap().contains("community"),
            "{}",
            told(&error)
        );
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    }
}

#[tokio::test]
async fn an_outlet_that_says_ok_and_stays_is_unconfirmed() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    fs_err::write(snmpd.directory.path().join("stuck"), "").unwrap();
    let mut power = snmpd.power(&snmpd.config("apc-rpdu"), "7");
    let error = power.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert_eq!(
        error.to_string(),
        "PDU 'rack1' accepted 'on' for outlet 7, and the outlet is still off"
    );
}

/// An agent that answers each datagram with what `answer` makes of it.
async fn agent(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for datagram in answer(&buffer[..length]) {
                let _ = socket.send_to(&datagram, from).await;
            }
        }
    });
    address
}

/// The answer of an honest agent to a request of version 1: itself, with another tag.
fn honest(request: &[u8]) -> Vec<u8> {
    let mut answer = request.to_vec();
    let tag = answer
        .iter()
        .position(|byte| [0xa0, 0xa3].contains(byte))
        .unwrap();
    answer[tag] = 0xa2;
    answer
}

/// The same with the byte at `distance` from the tag of the PDU changed.
fn changed(request: &[u8], distance: usize, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut answer = honest(request);
    let tag = answer.iter().position(|byte| *byte == 0xa2).unwrap();
    answer[tag + distance] = change(answer[tag + distance]);
    answer
}

async fn switch_error(address: &str) -> HalError {
    let mut config = config("apc-rpdu", address);
    config.timeout = Some(Duration::from_millis(300));
    config.password = Some(Secret::new("sesame"));
    let begun = Instant::now();
    let result = open(&config)
        .switch(&outlet("7"), PowerState::On, soon())
        .await;
    let error = result.unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{error} took {:?}",
        begun.elapsed()
    );
    assert_eq!(error.subject(), "rack1");
    assert!(error.to_string().contains("PDU 'rack1'"), "{error}");
    assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    error
}

#[tokio::test]
async fn agents_that_misbehave_are_errors_of_the_right_kind() {
    type Answer = fn(&[u8]) -> Vec<Vec<u8>>;
    let cases: [(&str, Answer, ErrorKind, &str); 9] = [
        (
            "silence",
            |_| vec![],
            ErrorKind::Timeout,
            "does not answer within 0.3 s",
        ),
        (
            "garbage",
            |_| vec![b"HTTP/1.1 200 OK".to_vec()],
            ErrorKind::Protocol,
            "no SNMP",
        ),
        (
            "nothing",
            |_| vec![vec![]],
            ErrorKind::Protocol,
            "it ends too early",
        ),
        (
            "huge",
            |_| vec![vec![0x30; 60_000]],
            ErrorKind::Protocol,
            "no SNMP",
        ),
        (
            "another id",
            |request| vec![changed(request, 7, |byte| byte ^ 1)],
            ErrorKind::Protocol,
            "the request's id differs",
        ),
        (
            "noSuchName",
            |request| vec![changed(request, 10, |_| 2)],
            ErrorKind::InvalidInput,
            "has no variable 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7",
        ),
        (
            "genErr",
            |request| vec![changed(request, 10, |_| 5)],
            ErrorKind::CommandFailed,
            "with genErr",
        ),
        (
            "another value",
            |request| {
                let mut answer = honest(request);
                *answer.last_mut().unwrap() = 2;
                vec![answer]
            },
            ErrorKind::Protocol,
            "to another value",
        ),
        (
            "another outlet",
            |request| {
                let mut answer = honest(request);
                let at = answer.len() - 4;
                answer[at] = 8;
                vec![answer]
            },
            ErrorKind::Protocol,
            "was asked about 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7",
        ),
    ];
    for (name, answer, kind, text) in cases {
        let error = switch_error(&agent(answer).await).await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let closed = socket.local_addr().unwrap().to_string();
    drop(socket);
    assert_eq!(switch_error(&closed).await.kind(), ErrorKind::Closed);
    let error = switch_error("no-such-host.invalid").await;
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Timeout),
        "{error}"
    );
}

#[tokio::test]
async fn a_late_answer_to_an_earlier_request_is_passed_over() {
    let address =
        agent(|request| vec![changed(request, 7, |byte| byte ^ 1), honest(request)]).await;
    let mut pdu = open(&config("apc-rpdu", &address));
    pdu.switch(&outlet("7"), PowerState::On, soon())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again_but_no_reboot_is() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    let address = agent(|request| match HEARD.fetch_add(1, Ordering::SeqCst) {
        0 => vec![],
        _ => vec![honest(request)],
    })
    .await;
    let mut config = config("apc-rpdu", &address);
    config.timeout = Some(Duration::from_millis(2500));
    let mut pdu = open(&config);
    pdu.switch(&outlet("7"), PowerState::On, soon())
        .await
        .unwrap();
    assert_eq!(HEARD.load(Ordering::SeqCst), 2);
    HEARD.store(0, Ordering::SeqCst);
    let error = pdu.reboot(&outlet("7"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(HEARD.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_state_without_meaning_is_no_guess() {
    let address = agent(|request| {
        let mut answer = honest(request);
        let length = answer.len();
        // NULL becomes INTEGER: one byte more, in every length around it.
        answer.truncate(length - 2);
        answer.extend([2, 1, 9]);
        let tag = answer.iter().position(|byte| *byte == 0xa2).unwrap();
        for at in [1, tag + 1, tag + 15, tag + 17] {
            answer[at] += 1;
        }
        vec![answer]
    })
    .await;
    let mut pdu = open(&config("apc-rpdu", &address));
    let error = pdu.read(&outlet("7"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "PDU 'rack1': the state of outlet 7 is Integer(9), which means neither on nor off"
    );
}

/// The bytes of one request, with the request's id as `..`.
async fn bytes_of<F>(
    address: &str,
    ask: impl FnOnce(Box<dyn Pdu>) -> F,
    config: &PduConfig,
    heard: &mut tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>,
) -> String
where
    F: Future<Output = bool>,
{
    assert_eq!(config.address.as_deref(), Some(address));
    if !ask(open(config)).await {
        return "-".to_owned();
    }
    let mut bytes = heard.recv().await.unwrap();
    let tag = bytes
        .iter()
        .position(|byte| [0xa0, 0xa3].contains(byte))
        .unwrap();
    bytes[tag + 4..tag + 8].fill(0xee);
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .replace("eeeeeeee", "........")
}

#[tokio::test]
async fn bytes_of_every_row() {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let address = agent(move |request| {
        sender.send(request.to_vec()).unwrap();
        vec![honest(request)]
    })
    .await;
    let models = Models::built_in().unwrap();
    let mut table = String::new();
    for model in models.iter().filter(|model| model.family.name == "snmp") {
        let mut config = config(&model.name, &address);
        if model.name == "snmp3" {
            // Every byte of version 3 depends on the engine and the time; snmpd judges those.
            continue;
        }
        config.timeout = Some(Duration::from_secs(20));
        writeln!(table, "{}", model.name).unwrap();
        let switch = |to| {
            async move |mut pdu: Box<dyn Pdu>| {
                pdu.switch(&outlet("4"), to, soon()).await.unwrap();
                true
            }
        };
        let on = bytes_of(&address, switch(PowerState::On), &config, &mut heard).await;
        let off = bytes_of(&address, switch(PowerState::Off), &config, &mut heard).await;
        let reboot = async |mut pdu: Box<dyn Pdu>| pdu.reboot(&outlet("4"), soon()).await.unwrap();
        let reboot = bytes_of(&address, reboot, &config, &mut heard).await;
        // The answer repeats the question, and says nothing: the question is what counts.
        let read =
            async |mut pdu: Box<dyn Pdu>| !matches!(pdu.read(&outlet("4"), soon()).await, Ok(None));
        let state = bytes_of(&address, read, &config, &mut heard).await;
        for (what, bytes) in [
            ("on", on),
            ("off", off),
            ("reboot", reboot),
            ("state", state),
        ] {
            writeln!(table, "  {what:6} {bytes}").unwrap();
        }
    }
    insta::assert_snapshot!("snmp_bytes", table);
}

#[test]
fn rows_that_claim_a_program_were_tested_with_it() {
    let models = Models::built_in().unwrap();
    for model in models.iter().filter(|model| model.family.name == "snmp") {
        let here = MODELS.iter().any(|emulated| emulated.model == model.name);
        let claims = matches!(model.tested, Tested::Program(_));
        assert_eq!(claims, here || model.name == "snmp3", "{}", model.name);
    }
}

#[test]
fn mistakes_in_a_lab_file_are_explained() {
    let cases = [
        (toml::toml! { oidd = "1.3.6" }, "unknown field `oidd`"),
        (toml::toml! { oid = "1.3.six" }, "is no OID"),
        (
            toml::toml! { on = 1
            off = 2 },
            "needs the option 'oid'",
        ),
        (toml::toml! { oid = "1.3.*" }, "needs the option 'on'"),
        (toml::toml! { version = "4" }, "no version of SNMP"),
        (toml::toml! { version = "3" }, "needs 'username'"),
        (
            toml::toml! { controlpoint = "sysUpTime" },
            "is not known by its name",
        ),
        (toml::toml! { auth = "crc32" }, "does not sign"),
    ];
    for (options, expected) in cases {
        let mut config = config("snmp", "192.0.2.1");
        let complete = !expected.starts_with("needs the option");
        config.options = if complete {
            generic()
        } else {
            toml::Table::new()
        };
        config.options.extend(options);
        let error = Models::built_in().unwrap().open(&config).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("PDU 'rack1'"), "{error}");
        assert!(
            error.to_string().contains(expected),
            "{error}, expected {expected}"
        );
    }
}

#[tokio::test]
async fn settings_of_pdudaemon_are_understood() {
    let Some(snmpd) = Snmpd::start().await else {
        return;
    };
    let mut config = snmpd.config("snmpv1");
    config.options = toml::toml! {
        mib = "PowerNet-MIB"
        community = "private"
        controlpoint = "sPDUOutletCtl"
        onsetting = "outletOn"
        offsetting = "outletOff"
    };
    let mut power = snmpd.power(&config, "5");
    power.set(PowerAction::On, soon()).await.unwrap();
    assert_eq!(snmpd.file(MODELS[9].state).trim(), "1");

    let mut config = snmpd.config("snmpv3");
    config.options = toml::toml! {
        username = "old"
        authpassphrase = "correct-horse"
        privpassphrase = "correct-horse"
        oid = "1.3.6.1.4.1.318.1.1.4.4.2.1.3.*"
        onsetting = "1"
        offsetting = "2"
    };
    open(&config)
        .switch(&outlet("5"), PowerState::Off, soon())
        .await
        .unwrap();
    assert_eq!(snmpd.file(MODELS[9].state).trim(), "2");
}
