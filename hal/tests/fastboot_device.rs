//! Our client and a device that the rack plays, over TCP and UDP, on good days and bad ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fastboot_support;

use fastboot_support::{image, noise, soon};
use hal::{
    ErrorKind, HalError,
    fastboot::{Fastboot, Image, Progress, RebootTarget, Target, Transport, open},
};
use rack::fastboot_device::{Contents, Device, Fault, LinkFaults, TcpDevice, UdpDevice};
use std::{
    future::{Future, poll_fn},
    io::Cursor,
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time::{Instant, timeout},
};

const MIB: usize = 1 << 20;

type Client = Fastboot<Box<dyn Transport>>;

/// A device on either transport.
enum Served {
    Tcp(TcpDevice),
    Udp(UdpDevice),
}

impl Served {
    async fn tcp(device: Device) -> Self {
        Self::Tcp(TcpDevice::start(device).await.unwrap())
    }

    async fn udp(device: Device, faults: LinkFaults) -> Self {
        Self::Udp(UdpDevice::start(device, 1400, faults).await.unwrap())
    }

    fn contents(&self) -> &Contents {
        match self {
            Self::Tcp(device) => device.contents(),
            Self::Udp(device) => device.contents(),
        }
    }

    async fn client(&self) -> Client {
        let target = match self {
            Self::Tcp(device) => format!("tcp:{}", device.address()),
            Self::Udp(device) => format!("udp:{}", device.address()),
        };
        connect(&target).await.unwrap()
    }
}

async fn connect(target: &str) -> Result<Client, HalError> {
    let target: Target = target.parse()?;
    open(&target, soon()).await.map(Fastboot::new)
}

fn board(max_download: usize) -> Device {
    Device::new(max_download, &[("boot", 8 * MIB), ("rootfs", 8 * MIB)])
}

/// The same story over each transport.
async fn on_both<F: Future<Output = ()>>(max_download: usize, story: impl Fn(Served) -> F) {
    story(Served::tcp(board(max_download)).await).await;
    story(Served::udp(board(max_download), LinkFaults::default()).await).await;
}

#[tokio::test]
async fn variables_are_read() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        assert_eq!(client.getvar("product", soon()).await.unwrap(), "rack");
        assert_eq!(client.max_download(soon()).await.unwrap(), Some(1 << 20));
        device
            .contents()
            .set_variable("partition-size:boot", "0x800000");
        let all = client.getvar_all(soon()).await.unwrap();
        let size = ("partition-size:boot".to_owned(), "0x800000".to_owned());
        assert!(all.contains(&size), "{all:?}");
        let error = client.getvar("colour", soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandFailed);
        assert!(
            error
                .to_string()
                .ends_with("refused 'getvar:colour': unknown variable")
        );
    })
    .await;
}

#[tokio::test]
async fn images_of_every_kind_arrive_byte_for_byte() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        let small = image(1, 300_001);
        let flashed = Image::from_bytes("small", small.clone()).unwrap();
        client
            .flash("boot", &flashed, |_| {}, soon())
            .await
            .unwrap();
        let boot = device.contents().partition("boot").unwrap();
        assert_eq!(boot[..small.len()], small);
        assert!(boot[small.len()..].iter().all(|byte| *byte == 0xA5));

        // Larger than a download, with a last block that is not whole.
        let large = image(2, 5 * MIB + 1001);
        let flashed = Image::from_bytes("large", large.clone()).unwrap();
        let mut parts = Vec::new();
        let note = |event: Progress<'_>| {
            if let Progress::Part { number, of } = event {
                parts.push((number, of));
            }
        };
        client
            .flash("rootfs", &flashed, note, soon())
            .await
            .unwrap();
        let rootfs = device.contents().partition("rootfs").unwrap();
        assert!(rootfs[..large.len()] == large, "the large image differs");
        let of = parts.len();
        assert!(of > 2, "{parts:?}");
        assert!(
            parts
                .iter()
                .enumerate()
                .all(|(index, part)| *part == (index + 1, of))
        );
    })
    .await;
}

#[tokio::test]
async fn progress_and_lines_are_told_as_they_come() {
    on_both(8 * MIB, |device| async move {
        let mut client = device.client().await;
        let mut last = 0;
        let count = |event: Progress<'_>| {
            if let Progress::Sent { bytes, total } = event {
                assert!(bytes > last && bytes <= total && total == MIB as u64);
                last = bytes;
            }
        };
        let bytes = Cursor::new(noise(3, MIB));
        client
            .download(bytes, MIB as u64, count, soon())
            .await
            .unwrap();
        assert_eq!(last, MIB as u64);

        let mut lines = Vec::new();
        let collect = |event: Progress<'_>| {
            if let Progress::Info(line) = event {
                lines.push(line.to_owned());
            }
        };
        let reply = client.oem("say one two", collect, soon()).await.unwrap();
        assert_eq!(reply.lines, ["one", "two"]);
        assert_eq!(lines, reply.lines);
    })
    .await;
}

#[tokio::test]
async fn everything_else_a_bootloader_does() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        client.erase("boot", |_| {}, soon()).await.unwrap();
        let boot = device.contents().partition("boot").unwrap();
        assert!(boot.iter().all(|byte| *byte == 0xFF));
        client.set_active("b", soon()).await.unwrap();
        let kernel = Image::from_bytes("kernel", noise(4, 10_000)).unwrap();
        client.boot(&kernel, |_| {}, soon()).await.unwrap();
        // The device left with that: the next command connects anew.
        client
            .reboot(RebootTarget::Bootloader, soon())
            .await
            .unwrap();
        client.continue_boot(soon()).await.unwrap();
        assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
        let commands = device.contents().commands();
        let expected = [
            "erase:boot",
            "set_active:b",
            "download:00002710",
            "boot",
            "reboot-bootloader",
            "continue",
            "getvar:version",
        ];
        assert_eq!(commands, expected);
    })
    .await;
}

#[tokio::test]
async fn what_a_device_staged_is_fetched() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        let bytes = noise(5, 100_000);
        let length = bytes.len() as u64;
        client
            .download(Cursor::new(bytes.clone()), length, |_| {}, soon())
            .await
            .unwrap();
        let mut fetched = Vec::new();
        let size = client
            .upload("upload", &mut fetched, 1 << 20, soon())
            .await
            .unwrap();
        assert_eq!(size, length);
        assert_eq!(fetched, bytes);
        assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    })
    .await;
}

#[tokio::test]
async fn refusals_leave_the_session_usable() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        let kernel = Image::from_bytes("kernel", vec![1; 5000]).unwrap();
        let error = client
            .flash("nowhere", &kernel, |_| {}, soon())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandFailed);
        assert!(
            error
                .to_string()
                .contains("'flash:nowhere': cannot find partition"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("getvar all"));
        let nothing = client
            .download(Cursor::new([]), 0, |_| {}, soon())
            .await
            .unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
        let too_much = vec![1; 2 * MIB];
        let size = too_much.len() as u64;
        let error = client
            .download(Cursor::new(too_much), size, |_| {}, soon())
            .await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::CommandFailed);
        assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    })
    .await;
}

/// The error of `getvar version` on a device with a fault.
async fn error_with(fault: Fault, within: Duration) -> (HalError, Served) {
    let device = Served::tcp(board(MIB)).await;
    let mut client = device.client().await;
    device.contents().set_fault(Some(fault));
    let start = Instant::now();
    let error = client.getvar("version", start + within).await.unwrap_err();
    assert!(
        start.elapsed() < within + Duration::from_secs(20),
        "{error}"
    );
    (error, device)
}

#[tokio::test]
async fn nonsense_is_an_error_that_names_the_device() {
    let long = Duration::from_secs(60);
    for fault in [Fault::Garbage, Fault::LongInfo, Fault::EndlessInfo] {
        let (error, _device) = error_with(fault, long).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{fault:?}: {error}");
        assert!(error.to_string().contains("tcp:127.0.0.1:"), "{error}");
        assert!(error.to_string().len() < 400, "{fault:?}: {error}");
    }
    let (error, _device) = error_with(Fault::Silent, Duration::from_millis(300)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn nonsense_over_udp_too() {
    for fault in [Fault::Garbage, Fault::LongInfo, Fault::EndlessInfo] {
        let device = Served::udp(board(MIB), LinkFaults::default()).await;
        let mut client = device.client().await;
        device.contents().set_fault(Some(fault));
        let error = client.getvar("version", soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn lies_about_downloads_are_found() {
    on_both(MIB, |device| async move {
        let kernel = Image::from_bytes("kernel", vec![1; 5000]).unwrap();
        for (fault, kind) in [
            (Fault::WrongDataSize, ErrorKind::Protocol),
            (Fault::NoData, ErrorKind::Protocol),
            (Fault::DownloadFails, ErrorKind::CommandFailed),
        ] {
            let mut client = device.client().await;
            device.contents().set_fault(Some(fault));
            let error = client
                .flash("boot", &kernel, |_| {}, soon())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{fault:?}: {error}");
            if fault == Fault::WrongDataSize && matches!(device, Served::Udp(_)) {
                // It waits for data now, and would take anything for it.
                return;
            }
        }
        device.contents().set_fault(None);
        let mut client = device.client().await;
        assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    })
    .await;
}

#[tokio::test]
async fn a_device_that_vanishes_in_a_download_is_reported() {
    on_both(8 * MIB, |device| async move {
        let mut client = device.client().await;
        device.contents().set_fault(Some(Fault::Vanish(MIB)));
        let kernel = Image::from_bytes("kernel", noise(6, 4 * MIB)).unwrap();
        let error = client
            .flash("boot", &kernel, |_| {}, soon())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_source_that_ends_too_early_is_reported() {
    let device = Served::tcp(board(MIB)).await;
    let mut client = device.client().await;
    let short = Cursor::new(vec![0; 1000]);
    let error = client
        .download(short, 2000, |_| {}, soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // The device waits for the rest; a new connection cures that over TCP.
    assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
}

/// Gives its first bytes, and then nothing more until it is dropped by its owner.
struct Stuck(std::sync::mpsc::Receiver<()>, bool);

impl std::io::Read for Stuck {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.1, true) {
            let _ = self.0.recv();
            return Ok(0);
        }
        buffer.fill(7);
        Ok(buffer.len())
    }
}

#[tokio::test]
async fn a_cancelled_download_poisons_the_session() {
    for over_udp in [false, true] {
        let device = if over_udp {
            Served::udp(board(8 * MIB), LinkFaults::default()).await
        } else {
            Served::tcp(board(8 * MIB)).await
        };
        let mut client = device.client().await;
        let (release, stuck) = std::sync::mpsc::channel();
        let cancelled = client.download(Stuck(stuck, false), 4 * MIB as u64, |_| {}, soon());
        timeout(Duration::from_millis(300), cancelled)
            .await
            .unwrap_err();
        drop(release);
        let next = client.getvar("version", soon()).await;
        if over_udp {
            let error = next.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            assert_eq!(error.hint(), Some("reset the board"));
        } else {
            assert_eq!(next.unwrap(), "0.4");
        }
    }
}

#[tokio::test]
async fn a_download_whose_answer_nobody_awaited_poisons_the_session() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        // It sends the command when it is polled first, and is dropped then.
        let mut begun = Box::pin(client.download(Cursor::new(vec![0; 512]), 512, |_| {}, soon()));
        poll_fn(|cx| Poll::Ready(assert!(begun.as_mut().poll(cx).is_pending()))).await;
        drop(begun);
        let next = client.getvar("version", soon()).await;
        if matches!(device, Served::Udp(_)) {
            let error = next.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            assert_eq!(error.hint(), Some("reset the board"));
        } else {
            assert_eq!(next.unwrap(), "0.4");
        }
    })
    .await;
}

/// Over a network nothing shows that it took the command; over USB see the bench VM's tests.
#[tokio::test]
async fn a_reboot_that_is_not_answered_is_an_error() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        device.contents().set_fault(Some(Fault::HangUp));
        let left = client.reboot(RebootTarget::System, soon()).await;
        let error = left.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.to_string().contains(":127.0.0.1:"), "{error}");
        if matches!(device, Served::Tcp(_)) {
            // It is back.
            assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
        }
        assert_eq!(device.contents().commands()[0], "reboot");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_command_is_forgotten() {
    let device = Served::udp(board(MIB), LinkFaults::default()).await;
    let mut client = device.client().await;
    device.contents().set_fault(Some(Fault::EndlessInfo));
    let cancelled = client.getvar("version", soon());
    let _ = timeout(Duration::from_millis(5), cancelled).await;
    let error = client.getvar("version", soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_bad_link_loses_no_byte() {
    for seed in [1, 2, 3] {
        let faults = LinkFaults {
            seed,
            lost: 4,
            doubled: 10,
            late: 4,
        };
        let device = Served::udp(board(MIB / 4), faults).await;
        let mut client = device.client().await;
        let bytes = image(seed, MIB / 2);
        let flashed = Image::from_bytes("image", bytes.clone()).unwrap();
        client
            .flash("boot", &flashed, |_| {}, soon())
            .await
            .unwrap();
        let boot = device.contents().partition("boot").unwrap();
        assert!(boot[..bytes.len()] == bytes, "differs with seed {seed}");
        // Nothing was done twice.
        let commands = device.contents().commands();
        let downloads = commands
            .iter()
            .filter(|c| c.starts_with("download:"))
            .count();
        let flashes = commands.iter().filter(|c| *c == "flash:boot").count();
        assert_eq!(downloads, flashes, "seed {seed}: {commands:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_timeout_with_the_reason() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("udp:{}", taken.local_addr().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("tcp:{}", listener.local_addr().unwrap());
    drop(listener);
    for target in [silent, refused] {
        let parsed: Target = target.parse().unwrap();
        let start = Instant::now();
        let deadline = start + Duration::from_millis(400);
        let error = open(&parsed, deadline).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains(&target), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn something_else_that_answers_is_no_fastboot() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tcp:{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 16]).await;
    });
    let error = connect(&target).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("SSH-"), "{error}");
    server.abort();

    // A service that sends back what it gets.
    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = format!("udp:{}", echo.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = echo.recv_from(&mut buffer).await.unwrap();
            echo.send_to(&buffer[..length], from).await.unwrap();
        }
    });
    let error = connect(&target).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    server.abort();
}
