//! The TFTP server against a client of RFC 1350 and 7440 on a line that loses packets, and against
//! curl.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says when it is skipped"
)]

use dispatcher::bootfiles::{
    Outcome, Report, Root, Transfers,
    tftp::{Limits, TftpServer},
};
use hal::process::{Command, CommandLine};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout},
};

/// A server on a free port, and what it told of its transfers.
struct Served {
    address: SocketAddr,
    reports: Arc<Mutex<Vec<Report>>>,
    transfers: Transfers,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new(directory: &Path, limits: Limits) -> Self {
        let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
        let told = reports.clone();
        let transfers = Transfers::new(move |report| told.lock().unwrap().push(report));
        let root = Arc::new(Root::new(directory).unwrap());
        let any = "127.0.0.1:0".parse().unwrap();
        let server = TftpServer::bind(any, root, limits, transfers.clone())
            .await
            .unwrap();
        let address = server.local_address().unwrap();
        let server = tokio::spawn(server.serve());
        Self {
            address,
            reports,
            transfers,
            server,
        }
    }

    /// The next report: the last acknowledgement may still be on its way to the server.
    async fn next_report(&self) -> Report {
        loop {
            let report = self.reports.lock().unwrap().pop();
            match report {
                Some(report) => return report,
                None => tokio::task::yield_now().await,
            }
        }
    }

    fn last(&self) -> Report {
        self.reports.lock().unwrap().last().unwrap().clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Bytes that differ everywhere.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}

/// Random numbers of a seed (xorshift).
struct Random(u64);

impl Random {
    fn lose(&mut self, percent: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 100 < percent
    }
}

/// A client: loads `path` and loses `percent` of the packets in both directions.
async fn load(
    server: SocketAddr,
    path: &str,
    options: &[(&str, usize)],
    percent: u64,
) -> Result<Vec<u8>, String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut request = format!("\0\x01{path}\0octet\0").into_bytes();
    for (name, value) in options {
        request.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    socket.send_to(&request, server).await.unwrap();
    let (mut block_size, mut window) = (512, 1);
    let (mut file, mut have, mut unacknowledged) = (Vec::new(), 0u64, 0);
    let mut last_answer = request;
    let mut peer = server;
    let mut buffer = vec![0; 70_000];
    loop {
        let received = timeout(Duration::from_millis(300), socket.recv_from(&mut buffer)).await;
        let Ok(Ok((length, from))) = received else {
            socket.send_to(&last_answer, peer).await.unwrap();
            continue;
        };
        if random.lose(percent) {
            continue;
        }
        peer = from;
        match buffer[..length] {
            [0, 5, _, code, ref message @ ..] => {
                return Err(format!("{code} {}", String::from_utf8_lossy(message)));
            }
            [0, 6, ref granted @ ..] => {
                let mut fields = granted.split(|&byte| byte == 0);
                while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
                    let value = || std::str::from_utf8(value).unwrap().parse().unwrap();
                    match name {
                        b"blksize" => block_size = value(),
                        b"windowsize" => window = value(),
                        _ => {}
                    }
                }
                last_answer = vec![0, 4, 0, 0];
            }
            [0, 3, high, low, ref bytes @ ..] => {
                let number = u16::from_be_bytes([high, low]);
                let next = number == (have + 1) as u16;
                if next {
                    have += 1;
                    unacknowledged += 1;
                    file.extend_from_slice(bytes);
                }
                let done = next && bytes.len() < block_size;
                last_answer = vec![0, 4, (have >> 8) as u8, have as u8];
                if next && unacknowledged < window && !done {
                    continue;
                }
                unacknowledged = 0;
                if done {
                    socket.send_to(&last_answer, peer).await.unwrap();
                    return Ok(file);
                }
            }
            _ => panic!("{:?} is no packet for a client", &buffer[..length]),
        }
        if !random.lose(percent) {
            socket.send_to(&last_answer, peer).await.unwrap();
        }
    }
}

#[tokio::test]
async fn files_arrive_whole_with_all_options() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::new(directory.path(), Limits::default()).await;
    for length in [0, 1, 511, 512, 513, 1468 * 16, 5_000_000] {
        let content = pattern(length);
        fs_err::write(directory.path().join("file"), &content).unwrap();
        let all: [&[(&str, usize)]; 4] = [
            &[],
            &[("blksize", 1468)],
            &[("blksize", 9000), ("windowsize", 16), ("tsize", 0)],
            &[("blksize", 8), ("windowsize", 400), ("timeout", 1)],
        ];
        for options in all {
            let loaded = load(served.address, "/file", options, 0).await.unwrap();
            assert!(loaded == content, "{length} bytes with {options:?}");
            let report = served.next_report().await;
            assert_eq!(report.outcome, Some(Outcome::Done), "{report}");
            assert_eq!(report.bytes, length as u64);
        }
    }
}

#[tokio::test]
async fn lost_packets_are_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let content = pattern(400_000);
    fs_err::write(directory.path().join("Image"), &content).unwrap();
    let served = Served::new(directory.path(), Limits::default()).await;
    for window in [1, 16] {
        let options = [("blksize", 1468), ("windowsize", window)];
        let loaded = load(served.address, "Image", &options, 5).await.unwrap();
        assert!(loaded == content, "with window {window}");
    }
    let sent_again: u64 = served
        .transfers
        .reports()
        .iter()
        .map(|r| r.retransmitted)
        .sum();
    assert!(sent_again > 0);
}

#[tokio::test]
async fn many_clients_load_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let content = pattern(300_000);
    fs_err::write(directory.path().join("Image"), &content).unwrap();
    let served = Served::new(directory.path(), Limits::default()).await;
    let options = [("blksize", 1468), ("windowsize", 4)];
    let clients = (0..50).map(|_| load(served.address, "Image", &options, 0));
    for loaded in futures_util::future::join_all(clients).await {
        assert!(loaded.unwrap() == content);
    }
}

#[tokio::test]
async fn what_is_not_served_is_refused_and_told() {
    let outside = tempfile::tempdir().unwrap();
    fs_err::write(outside.path().join("secret"), "secret").unwrap();
    let inside = outside.path().join("served");
    fs_err::create_dir(&inside).unwrap();
    let served = Served::new(&inside, Limits::default()).await;
    for (path, answer) in [
        ("none", "1 there is no such file\0"),
        ("../secret", "2 access denied\0"),
    ] {
        assert_eq!(
            load(served.address, path, &[], 0).await.unwrap_err(),
            answer
        );
    }
    let told = served.last().to_string();
    assert_eq!(told, "TFTP: ../secret to 127.0.0.1 refused: access denied");
}

#[tokio::test]
async fn a_client_that_falls_silent_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("Image"), pattern(100_000)).unwrap();
    let limits = Limits {
        patience: Duration::from_millis(400),
        ..Limits::default()
    };
    let served = Served::new(directory.path(), limits).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(b"\0\x01Image\0octet\0", served.address)
        .await
        .unwrap();
    let mut buffer = [0; 600];
    let (_, peer) = socket.recv_from(&mut buffer).await.unwrap();
    socket.send_to(&[0, 4, 0, 1], peer).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while served.reports.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "never given up");
        // Its retransmissions come as long as it hopes.
        let _ = timeout(Duration::from_millis(100), socket.recv_from(&mut buffer)).await;
    }
    let report = served.last();
    assert_eq!((report.bytes, report.size), (512, 100_000));
    assert!(report.retransmitted > 0, "{report}");
    assert!(
        matches!(report.outcome, Some(Outcome::Failed(_))),
        "{report}"
    );
}

#[tokio::test]
async fn curl_loads_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let content = pattern(200_000);
    fs_err::write(directory.path().join("Image"), &content).unwrap();
    let served = Served::new(directory.path(), Limits::default()).await;
    let loaded = directory.path().join("loaded");
    let url = format!("tftp://{}/Image", served.address);
    let arguments = [
        "-sS",
        "--tftp-blksize",
        "1400",
        "-o",
        loaded.to_str().unwrap(),
        &url,
    ];
    let command = Command::new(CommandLine::new("curl").args(arguments));
    let deadline = Instant::now() + Duration::from_secs(30);
    let said = |line: &[u8]| eprintln!("{}", String::from_utf8_lossy(line));
    match command.run(deadline, said).await {
        Ok(exit) => assert!(exit.success()),
        Err(error) if error.kind() == hal::ErrorKind::NotFound => {
            eprintln!("SKIPPED: curl is not installed");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    assert!(fs_err::read(&loaded).unwrap() == content);
}
