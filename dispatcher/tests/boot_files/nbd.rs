//! The server of block devices, against QEMU's and libnbd's clients and ones that misbehave.

use super::{Told, pattern, program};
use dispatcher::bootfiles::{
    Outcome, Protocol,
    nbd::{Export, Limits, NbdServer},
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

struct Served {
    directory: TempDir,
    image: PathBuf,
    address: SocketAddr,
    told: Told,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new(content: &[u8], limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        fs_err::write(&image, content).unwrap();
        let export = Export::open(&image).unwrap();
        let told = Told::default();
        let any = "127.0.0.1:0".parse().unwrap();
        let server = NbdServer::bind(any, export, limits, told.transfers()).await;
        let server = server.unwrap();
        Self {
            directory,
            image,
            address: server.local_address().unwrap(),
            told,
            server: tokio::spawn(server.serve()),
        }
    }

    fn url(&self, export: &str) -> String {
        format!("nbd://{}/{export}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tokio::test]
async fn qemu_lists_reads_and_writes_the_image() {
    let content = pattern(4 << 20);
    let served = Served::new(&content, Limits::default()).await;
    let port = served.address.port().to_string();
    let arguments = ["--list", "-b", "127.0.0.1", "-p", &port];
    let Some((ok, list)) = program("qemu-nbd", &arguments).await else {
        return;
    };
    assert!(ok && list.contains("nbdroot"), "{list}");
    assert!(list.contains("4194304") && list.contains("trim"), "{list}");
    let copy = served.directory.path().join("copy");
    for export in ["", "nbdroot"] {
        let url = served.url(export);
        let arguments = ["convert", "-O", "raw", &url, copy.to_str().unwrap()];
        let (ok, printed) = program("qemu-img", &arguments).await.unwrap();
        assert!(ok, "{printed}");
        assert!(fs_err::read(&copy).unwrap() == content);
    }
    let Some((ok, printed)) = program(
        "qemu-io",
        &[
            "-f",
            "raw",
            "-c",
            "write -P 0x5a 1M 64k",
            "-c",
            "write -z 2M 64k",
            "-c",
            "discard 3M 64k",
            "-c",
            "flush",
            "-c",
            "read -P 0x5a 1M 64k",
            &served.url(""),
        ],
    )
    .await
    else {
        return;
    };
    assert!(ok && !printed.contains("failed"), "{printed}");
    let mut expected = content;
    expected[1 << 20..(1 << 20) + (64 << 10)].fill(0x5a);
    expected[2 << 20..(2 << 20) + (64 << 10)].fill(0);
    expected[3 << 20..(3 << 20) + (64 << 10)].fill(0);
    assert!(fs_err::read(&served.image).unwrap() == expected);
    let (ok, printed) = program("qemu-img", &["info", &served.url("other")])
        .await
        .unwrap();
    assert!(!ok && printed.contains("nbdroot"), "{printed}");
    let reports = served.told.ended(1).await;
    assert!(
        reports
            .iter()
            .all(|report| report.protocol == Protocol::Nbd)
    );
    assert!(
        reports.iter().any(|report| report.bytes >= 4 << 20),
        "{reports:?}"
    );
}

#[tokio::test]
async fn libnbd_copies_the_image_over_many_connections() {
    let content = pattern(16 << 20);
    let served = Served::new(&content, Limits::default()).await;
    let Some((ok, printed)) = program("nbdinfo", &[&served.url("")]).await else {
        return;
    };
    assert!(ok && printed.contains("can_multi_conn: true"), "{printed}");
    let copy = served.directory.path().join("copy");
    let copy_name = copy.to_str().unwrap();
    let (ok, printed) = program("nbdcopy", &["--connections=4", &served.url(""), copy_name])
        .await
        .unwrap();
    assert!(ok, "{printed}");
    assert!(fs_err::read(&copy).unwrap() == content);
    let changed: Vec<u8> = content.iter().rev().copied().collect();
    fs_err::write(&copy, &changed).unwrap();
    let (ok, printed) = program("nbdcopy", &["--connections=4", copy_name, &served.url("")])
        .await
        .unwrap();
    assert!(ok, "{printed}");
    assert!(fs_err::read(&served.image).unwrap() == changed);
}

/// The bytes by which a client of the old kind takes the device.
fn take_device() -> Vec<u8> {
    let mut bytes = 3_u32.to_be_bytes().to_vec();
    bytes.extend(*b"IHAVEOPT");
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes());
    bytes
}

#[tokio::test]
async fn clients_that_go_or_stall_hold_nobody_up() {
    let limits = Limits {
        connections: 1,
        negotiation: Duration::from_millis(300),
        patience: Duration::from_millis(300),
    };
    let served = Served::new(&[7; 4096], limits).await;
    // One that says nothing, one that stops in the middle of a request, one that goes, garbage.
    let mut half = take_device();
    half.extend([0x25, 0x60]);
    let mut garbage = take_device();
    garbage.extend([0xff; 64]);
    for bytes in [Vec::new(), half, garbage] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut rest = Vec::new();
        let hung_up = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(hung_up.is_ok(), "the server waits for ever");
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(&take_device()).await.unwrap();
    let mut greeting = [0; 18 + 10];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting[18..26], 4096_u64.to_be_bytes());
    drop(stream);
    let outcomes: Vec<_> = served
        .told
        .ended(4)
        .await
        .into_iter()
        .map(|report| report.outcome.unwrap())
        .collect();
    assert!(matches!(outcomes[0], Outcome::Refused(_)), "{outcomes:?}");
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
    assert!(outcomes[1..].iter().all(failed), "{outcomes:?}");
}

#[test]
fn only_files_are_images() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Export::open(directory.path()).is_err());
    let none = Export::open(&directory.path().join("none")).unwrap_err();
    assert!(none.to_string().contains("none"), "{none}");
}
