//! SNMP PDUs: Debian's snmpd with a `pass` script as PDU, and agents that misbehave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "power_snmp/agents.rs"]
mod agents;
#[path = "power_snmp/snmpd.rs"]
mod snmpd;
mod support;

use agents::{agent, honest};
use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::{PduConfig, Secret},
    power::{
        Outlet, OutletPower, OutletTiming, Pdu, PowerAction, PowerControl, PowerState, SharedPdu,
        models::{Models, Tested},
    },
};
use snmpd::{MODELS, Snmpd};
use std::{fmt::Write, time::Duration};
use support::soon;
use tokio::time::Instant;

const PASSWORD: &str = "correct-horse";

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
    fs_err::write(snmpd.path("stuck"), "").unwrap();
    let mut power = snmpd.power(&snmpd.config("apc-rpdu"), "7");
    let error = power.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert_eq!(
        error.to_string(),
        "PDU 'rack1' accepted 'on' for outlet 7, and the outlet is still off"
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
