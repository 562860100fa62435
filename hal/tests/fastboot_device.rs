//! Our client and a device that the rack plays, over TCP and UDP, on good days and bad ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fastboot_support;

use fastboot_support::{
    image, noise,
    served::{MIB, Served, board, connect, on_both},
    soon,
};
use hal::{
    ErrorKind, HalError,
    fastboot::{Image, Progress, RebootTarget, Target, open},
};
use rack::fastboot_device::{Fault, LinkFaults};
use std::{io::Cursor, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time::Instant,
};

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
