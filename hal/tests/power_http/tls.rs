//! Devices behind https: certificates of their own, and those that do not speak it.

use super::{
    check, open, outlet,
    stub::{Stub, ok},
    support::{soon, wait_for},
};
use hal::{
    ErrorKind,
    power::PowerState,
    process::{Command, CommandLine},
};
use std::time::Duration;
use tokio::time::Instant;

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
