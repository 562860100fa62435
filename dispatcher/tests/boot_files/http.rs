//! The HTTP server, against curl and against clients that no lab should have.

use super::{Told, pattern, program};
use dispatcher::bootfiles::{
    Outcome, Protocol, Root,
    http::{HttpServer, Limits},
};
use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

/// A server, and beside what it serves a secret.
struct Served {
    directory: TempDir,
    address: SocketAddr,
    told: Told,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(directory.path().join("served/job/kernel")).unwrap();
        fs_err::write(directory.path().join("secret"), "secret").unwrap();
        let told = Told::default();
        let root = Arc::new(Root::new(directory.path().join("served")).unwrap());
        let any = "127.0.0.1:0".parse().unwrap();
        let server = HttpServer::bind(any, root, limits, told.transfers()).await;
        let server = server.unwrap();
        Self {
            directory,
            address: server.local_address().unwrap(),
            told,
            server: tokio::spawn(server.serve()),
        }
    }

    fn file(&self, path: &str, content: &[u8]) {
        fs_err::write(self.directory.path().join("served").join(path), content).unwrap();
    }

    /// The answer to raw bytes, until the server closes the connection.
    async fn answer(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // A server that refuses early may reset.
        let _ = timeout(Duration::from_secs(20), read).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        self.answer(&request).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn curl_loads_files_parts_and_heads() {
    let served = Served::new(Limits::default()).await;
    let content = pattern(3_000_000);
    served.file("job/kernel/Image", &content);
    let url = served.url("/job/kernel/Image");
    let loaded = served.directory.path().join("loaded");
    let loaded_name = loaded.to_str().unwrap();
    for (range, expected) in [
        ("0-", &content[..]),
        ("10-10", &content[10..=10]),
        ("2999999-", &content[2_999_999..]),
        ("-1000", &content[2_999_000..]),
        ("1000000-99999999", &content[1_000_000..]),
    ] {
        let arguments = ["-sSf", "-r", range, "-o", loaded_name, &url];
        let Some((ok, printed)) = program("curl", &arguments).await else {
            return;
        };
        assert!(ok, "{printed}");
        assert!(fs_err::read(&loaded).unwrap() == expected, "{range}");
    }
    // Goes on where a transfer stopped.
    fs_err::write(&loaded, &content[..1_234_567]).unwrap();
    let (ok, printed) = program("curl", &["-sSf", "-C", "-", "-o", loaded_name, &url])
        .await
        .unwrap();
    assert!(ok, "{printed}");
    assert!(fs_err::read(&loaded).unwrap() == content);
    let reports = served.told.ended(6).await;
    assert_eq!(reports.len(), 6);
    for report in reports {
        assert_eq!(report.protocol, Protocol::Http);
        assert_eq!(report.outcome, Some(Outcome::Done), "{report}");
        assert_eq!(report.path, "/job/kernel/Image");
        assert_eq!(report.bytes, report.size);
    }
    let (ok, head) = program("curl", &["-sSfI", &url]).await.unwrap();
    assert!(ok, "{head}");
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-length: 3000000"), "{head}");
    assert!(head.contains("accept-ranges: bytes"), "{head}");
    assert!(!head.contains("date:"), "{head}");
    assert_eq!(served.told.all().len(), 6, "a HEAD is no transfer");
}

#[tokio::test]
async fn nothing_outside_the_root_is_served() {
    let served = Served::new(Limits::default()).await;
    served.file("job/kernel/Image", b"kernel");
    let root = served.directory.path().join("served");
    symlink("../secret", root.join("out")).unwrap();
    symlink(
        served.directory.path().join("secret"),
        root.join("absolute"),
    )
    .unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    for path in [
        "/../secret",
        "/job/../../secret",
        "/%2e%2e/secret",
        "/%2E%2E%2Fsecret",
        "/job/%2e%2e/..%2fsecret",
        "/out",
        "/absolute",
        "/magic/etc/passwd",
        "//../secret",
        "/job/kernel/Image/../../../../secret",
    ] {
        let answer = served.get(path, "").await;
        let refused = ["403", "404"].contains(&status(&answer));
        assert!(refused && !answer.contains("secret"), "{path}: {answer}");
    }
    for path in [
        "/",
        "/job",
        "/job/",
        "/none",
        "/job/kernel/Image%00",
        "/%2f",
    ] {
        let answer = served.get(path, "").await;
        assert_eq!(status(&answer), "404", "{path}: {answer}");
    }
    for path in ["/%", "/%zz", "/%ff"] {
        let answer = served.get(path, "").await;
        assert_eq!(status(&answer), "400", "{path}: {answer}");
    }
    assert_eq!(status(&served.get("/job/kernel/Ima%67e", "").await), "200");
    let refused = served.told.ended(17).await;
    let refused = refused
        .iter()
        .filter(|report| report.outcome != Some(Outcome::Done));
    assert_eq!(refused.count(), 16);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_or_hung_up_on() {
    let served = Served::new(Limits::default()).await;
    served.file("job/file", b"0123456789");
    let range = served.get("/job/file", "Range: bytes=10-\r\n").await;
    assert_eq!(status(&range), "416");
    assert!(
        range.to_lowercase().contains("content-range: bytes */10"),
        "{range}"
    );
    let ignored = served.get("/job/file", "Range: bytes=0-1,4-5\r\n").await;
    assert_eq!(status(&ignored), "200");
    let conditional = served
        .get("/job/file", "Range: bytes=0-1\r\nIf-Range: \"tag\"\r\n")
        .await;
    assert_eq!(status(&conditional), "200");
    let post =
        "POST /job/file HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    let post = served.answer(post).await;
    assert_eq!(status(&post), "405");
    assert!(post.to_lowercase().contains("allow: get, head"), "{post}");
    assert_eq!(
        status(&served.answer("\u{16}\u{3}\u{1} hello\r\n\r\n").await),
        "400"
    );
    let long = format!("X-Long: {}\r\n", "x".repeat(100_000));
    let long = served.get("/job/file", &long).await;
    assert!(!long.contains(" 200 "), "{long}");
    let many = "X-Many: 1\r\n".repeat(1000);
    let many = served.get("/job/file", &many).await;
    assert!(!many.contains(" 200 "), "{many}");
    let old = served.answer("GET /job/file HTTP/1.0\r\n\r\n").await;
    assert!(old.ends_with("\r\n\r\n0123456789"), "{old}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let served = Served::new(Limits::default()).await;
    served.file("job/file", b"0123456789");
    let request = "GET /job/file HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
    let last = "GET /job/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = served.answer(&format!("{request}{last}")).await;
    assert_eq!(answer.matches("0123456789").count(), 3, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 404").count(), 1, "{answer}");
}

#[tokio::test]
async fn fifty_clients_at_once_get_what_they_asked_for() {
    const CLIENTS: usize = 50;
    let served = Served::new(Limits::default()).await;
    let content = Arc::new(pattern(1_000_000));
    served.file("job/file", &content);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (address, content) = (served.address, content.clone());
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET /job/file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.ends_with(&content));
        });
    }
    clients.join_all().await;
    let reports = served.told.ended(CLIENTS).await;
    assert!(
        reports
            .iter()
            .all(|report| report.outcome == Some(Outcome::Done))
    );
}

#[tokio::test]
async fn clients_that_stall_are_hung_up_on() {
    let limits = Limits {
        connections: 2,
        head_within: Duration::from_millis(300),
        patience: Duration::from_millis(300),
        ..Limits::default()
    };
    let served = Served::new(limits).await;
    // More than the buffers of a connection hold.
    served.file("job/large", &vec![7; 64 << 20]);
    served.file("job/file", b"0123456789");
    let mut reads_nothing = TcpStream::connect(served.address).await.unwrap();
    let request = b"GET /job/large HTTP/1.1\r\nHost: x\r\n\r\n";
    reads_nothing.write_all(request).await.unwrap();
    let mut asks_slowly = TcpStream::connect(served.address).await.unwrap();
    asks_slowly.write_all(b"GET /job/").await.unwrap();
    // Both connections are taken: the third client is served when they were given up.
    let begun = Instant::now();
    let answer = served.get("/job/file", "").await;
    assert!(answer.ends_with("0123456789"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let reports = served.told.ended(2).await;
    let stalled = reports.iter().find(|report| report.path == "/job/large");
    let outcome = stalled.unwrap().outcome.clone().unwrap();
    assert_eq!(
        outcome,
        Outcome::Failed("the client stopped reading".to_owned())
    );
    let text = stalled.unwrap().to_string();
    assert!(
        text.starts_with("HTTP: /job/large to 127.0.0.1, "),
        "{text}"
    );
}
