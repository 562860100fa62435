//! The daemon as its clients see it: over real connections on this host.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use power_daemon::{Limits, Tokens};
use std::time::Duration;
use support::{Daemon, PLENTY, talk, until};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const ON: &str = "/power/control/on?hostname=good&port=1";

#[tokio::test]
async fn what_was_done_is_answered_as_pdudaemon_does() {
    let daemon = Daemon::start().await;
    let ok = (200, "OK - accepted request\n".to_owned());
    for (path, done) in [
        (ON, &["good 1 on"][..]),
        ("/power/control/off?hostname=good&port=1", &["good 1 off"]),
        ("/power/control/on?alias=board1", &["good 3 on"]),
        (
            "/power/control/reboot?hostname=good&port=2&delay=0",
            &["good 2 off", "good 2 on"],
        ),
        (
            "/power/control/reboot?hostname=blind&port=2",
            &["blind 2 off", "blind 2 on"],
        ),
        (
            "/power/control/on?port=1&delay=0&hostname=good&other=1",
            &["good 1 on"],
        ),
    ] {
        daemon.log.lock().unwrap().clear();
        assert_eq!(daemon.get(path).await, ok, "{path}");
        assert_eq!(daemon.done(), done, "{path}");
    }
    daemon.end().await;
}

#[tokio::test]
async fn what_was_not_done_is_an_error_with_its_reason() {
    let daemon = Daemon::start().await;
    for (path, status, text) in [
        (
            "/power/control/on?hostname=lies&port=4",
            502,
            "the outlet is still off",
        ),
        (
            "/power/control/on?hostname=gone&port=4",
            502,
            "Failed: PDU 'gone' does not answer\nhint: is it",
        ),
        (
            "/power/control/on?hostname=odd&port=4",
            501,
            "cannot be used: no such model",
        ),
        (
            "/power/control/on?hostname=none&port=4",
            404,
            "has no PDU 'none' (it has: blind,",
        ),
        ("/power/control/on?alias=none", 404, "has no board 'none'"),
        (
            "/power/control/on?hostname=good&port=1%3Breboot",
            400,
            "Invalid request: '1;reboot'",
        ),
        (
            "/power/control/on?hostname=good&port=1&delay=x",
            400,
            "Invalid request: delay",
        ),
        (
            "/power/control/on?hostname=good",
            400,
            "Invalid request: port is missing",
        ),
        (
            "/power/control/on?hostname=good&port=1&alias=board1",
            400,
            "not both",
        ),
        (
            "/power/control/toggle?hostname=good&port=1",
            404,
            "404: Not Found",
        ),
        ("/", 404, "404: Not Found"),
    ] {
        let (is, body) = daemon.get(path).await;
        assert_eq!(is, status, "{path}: {body}");
        assert!(body.contains(text), "{path}: {body}");
        assert!(!body.contains("OK"), "{path}: {body}");
    }
    assert_eq!(daemon.done(), ["lies 4 on", "gone 4 on"]);
    daemon.end().await;
}

#[tokio::test]
async fn the_status_is_what_the_pdu_shows() {
    let daemon = Daemon::start().await;
    daemon.get(ON).await;
    for (query, answer) in [
        (
            "hostname=good&port=1",
            r#"{"hostname":"good","port":"1","state":"on"}"#,
        ),
        ("alias=board1", r#"{"alias":"board1","state":"off"}"#),
        (
            "hostname=blind&port=1",
            r#"{"hostname":"blind","port":"1","state":"unknown"}"#,
        ),
    ] {
        let path = format!("/power/status?{query}");
        assert_eq!(daemon.get(&path).await, (200, format!("{answer}\n")));
    }
    let (status, body) = daemon.get("/power/status?alias=none").await;
    assert_eq!(status, 404);
    assert!(
        body.starts_with(r#"{"error":"lab.toml has no board 'none'"#),
        "{body}"
    );
    daemon.end().await;
}

#[tokio::test]
async fn only_get_switches() {
    let daemon = Daemon::start().await;
    for method in ["HEAD", "POST", "PUT", "OPTIONS"] {
        let request = format!("{method} {ON} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
        let answer = talk(daemon.http, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
    }
    let page = "Sec-Fetch-Site: cross-site\r\n";
    assert_eq!(daemon.get_with(ON, page).await.0, 403);
    assert_eq!(daemon.done(), [""; 0]);
    daemon.end().await;
}

#[tokio::test]
async fn with_tokens_nothing_is_done_without_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), "correct-horse-battery\n").unwrap();
    let tokens = Tokens::from_file(file.path()).unwrap();
    let daemon = Daemon::with(Limits::default(), tokens).await;
    for (path, header) in [
        (ON.to_owned(), ""),
        (
            ON.to_owned(),
            "Authorization: Bearer wrong-horse-battery1\r\n",
        ),
        (
            ON.to_owned(),
            "Authorization: Basic correct-horse-battery\r\n",
        ),
        (format!("{ON}&token=correct-horse-batter"), ""),
        ("/power/status?alias=board1".to_owned(), ""),
        ("/else".to_owned(), ""),
    ] {
        let (status, body) = daemon.get_with(&path, header).await;
        assert_eq!(status, 401, "{path}: {body}");
    }
    assert_eq!(daemon.done(), [""; 0]);
    let header = "Authorization: bearer correct-horse-battery\r\n";
    assert_eq!(daemon.get_with(ON, header).await.0, 200);
    let path = format!("{ON}&token=correct-horse-battery");
    assert_eq!(daemon.get(&path).await.0, 200);
    assert_eq!(daemon.get("/healthz").await, (200, "ok\n".to_owned()));
    for event in daemon.events.lock().unwrap().iter() {
        assert!(!event.contains("horse"), "{event}");
    }
    daemon.end().await;
}

#[tokio::test]
async fn requests_to_one_pdu_are_bounded_and_those_to_others_go_on() {
    let limits = Limits {
        queue: 2,
        ..Limits::default()
    };
    let daemon = Daemon::with(limits, Tokens::default()).await;
    let taken = daemon.gate.acquire_many(PLENTY as u32).await.unwrap();
    let waiting = async {
        let rest = async {
            until(|| daemon.events.lock().unwrap().len() == 2).await;
            let third = daemon.get("/power/control/on?hostname=good&port=3").await;
            let other = daemon.get("/power/status?hostname=blind&port=1").await;
            drop(taken);
            (third, other)
        };
        tokio::join!(
            daemon.get("/power/control/on?hostname=good&port=1"),
            daemon.get("/power/control/on?hostname=good&port=2"),
            rest
        )
    };
    let (first, second, (third, other)) = waiting.await;
    assert_eq!((first.0, second.0), (200, 200));
    assert_eq!(third.0, 429, "{}", third.1);
    assert!(
        third.1.contains("2 requests wait for PDU 'good' already"),
        "{}",
        third.1
    );
    assert_eq!(other.0, 200);
    daemon.end().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_an_error() {
    let limits = Limits {
        timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let daemon = Daemon::with(limits, Tokens::default()).await;
    // A PDU that answers after a second holds the others up.
    let held = "/power/control/reboot?hostname=good&port=1&delay=1";
    let (first, second) = tokio::join!(daemon.get(held), async {
        until(|| daemon.done().len() == 1).await;
        daemon.get(ON).await
    });
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(second.0, 503, "{}", second.1);
    assert!(
        second.1.contains("outlet 1 of PDU 'good' is still busy"),
        "{}",
        second.1
    );
    daemon.end().await;
}

#[tokio::test]
async fn an_on_that_comes_during_a_reboot_is_done_after_it() {
    let daemon = Daemon::start().await;
    let reboot = "/power/control/reboot?hostname=good&port=1&delay=1";
    let (first, second) = tokio::join!(daemon.get(reboot), async {
        until(|| daemon.done().len() == 1).await;
        daemon.get("/power/control/off?hostname=good&port=1").await
    });
    assert_eq!((first.0, second.0), (200, 200));
    assert_eq!(daemon.done(), ["good 1 off", "good 1 on", "good 1 off"]);
    daemon.end().await;
}

#[tokio::test]
async fn what_was_begun_is_done_when_the_client_leaves_and_when_the_daemon_ends() {
    let daemon = Daemon::start().await;
    let mut client = TcpStream::connect(daemon.http).await.unwrap();
    let request =
        "GET /power/control/reboot?hostname=good&port=1&delay=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    until(|| daemon.done().len() == 1).await;
    drop(client);
    let log = daemon.log.clone();
    daemon.stop();
    daemon.end().await;
    assert_eq!(*log.lock().unwrap(), ["good 1 off", "good 1 on"]);
}

#[tokio::test]
async fn heads_that_are_too_long_or_no_http_end_the_connection() {
    let daemon = Daemon::start().await;
    let long = format!("{ON}&x={}", "x".repeat(100_000));
    let (status, _) = daemon.get(&long).await;
    assert!([0, 414, 431].contains(&status), "{status}");
    let many = "X: y\r\n".repeat(100);
    let (status, _) = daemon.get_with(ON, &many).await;
    assert_eq!(status, 431);
    let answer = talk(daemon.http, b"\x16\x03\x01\x02\x00\x01\r\n\r\n").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    assert_eq!(daemon.done(), [""; 0]);
    assert_eq!(daemon.get("/healthz").await.0, 200);
    daemon.end().await;
}

#[tokio::test]
async fn lines_of_pduclient_are_answered_by_ack_and_nack() {
    let daemon = Daemon::start().await;
    for (line, answer) in [
        ("good 1 on", "ack\n"),
        ("good 1 off\n", "ack\n"),
        ("good 2 reboot 0", "ack\n"),
        ("lies 1 on", "nack\n"),
        ("none 1 on", "nack\n"),
        ("good 1 toggle", "nack\n"),
        ("good 1\n", "nack\n"),
        ("good 1 on\ngood 2 on\n", "nack\n"),
        ("\u{e9}\u{0}\n", "nack\n"),
    ] {
        assert_eq!(talk(daemon.line, line.as_bytes()).await, answer, "{line:?}");
    }
    let done = daemon.done();
    assert_eq!(
        done,
        [
            "good 1 on",
            "good 1 off",
            "good 2 off",
            "good 2 on",
            "lies 1 on"
        ]
    );
    let flood = vec![b'x'; 1 << 20];
    assert!(["nack\n", ""].contains(&talk(daemon.line, &flood).await.as_str()));
    daemon.end().await;
}

#[tokio::test]
async fn a_line_that_the_network_cut_is_one_request() {
    let daemon = Daemon::start().await;
    let mut client = TcpStream::connect(daemon.line).await.unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(b"good 1").await.unwrap();
    tokio::task::yield_now().await;
    client.write_all(b"2 on\n").await.unwrap();
    until(|| !daemon.done().is_empty()).await;
    assert_eq!(daemon.done(), ["good 12 on"]);
    daemon.end().await;
}
