//! Our client and a real bootloader: U-Boot on the rack's arm64 board, over UDP.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, or says that it is skipped"
)]

mod fastboot_support;

use fastboot_support::{image, noise, soon};
use hal::{
    ErrorKind,
    fastboot::{Fastboot, Image, Progress, RebootTarget, open},
};
use rack::uboot::{UbootBoard, firmware};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

const MIB: usize = 1 << 20;

/// The board in fastboot, or `None` where it cannot run.
async fn board(directory: &Path) -> Option<UbootBoard> {
    if let Err(missing) = firmware() {
        eprintln!("SKIPPED (tier 2): {missing}");
        return None;
    }
    let board = UbootBoard::start(directory, soon()).await.unwrap();
    board.enter_fastboot(soon()).await.unwrap();
    Some(board)
}

#[tokio::test]
async fn uboot_is_flashed_erased_and_rebooted() {
    let directory = tempfile::tempdir().unwrap();
    let Some(board) = board(directory.path()).await else {
        return;
    };
    let target = board.target().parse().unwrap();
    let mut client = Fastboot::new(open(&target, soon()).await.unwrap());
    assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    assert_eq!(client.max_download(soon()).await.unwrap(), Some(1 << 28));
    let size = client.getvar("partition-size:boot", soon()).await.unwrap();
    assert_eq!(
        u64::from_str_radix(size.trim_start_matches("0x"), 16).unwrap(),
        16 << 20
    );

    // As it is, in one download.
    let bytes = noise(51, 8 * MIB);
    let raw = Image::from_bytes("raw", bytes.clone()).unwrap();
    client.flash("boot", &raw, |_| {}, soon()).await.unwrap();
    assert!(
        board.read("boot", bytes.len()).unwrap() == bytes,
        "boot differs"
    );

    // In many sparse images.
    let bytes = image(52, 16 * MIB);
    let large = Image::from_bytes("large", bytes.clone()).unwrap();
    let mut client = client.with_limit(2 * MIB as u64);
    let mut parts = 0;
    let count = |event: Progress<'_>| {
        if let Progress::Part { of, .. } = event {
            parts = of;
        }
    };
    client.flash("rootfs", &large, count, soon()).await.unwrap();
    assert!(parts > 4, "{parts} parts");
    assert!(
        board.read("rootfs", bytes.len()).unwrap() == bytes,
        "rootfs differs"
    );

    let error = client
        .flash("nowhere", &raw, |_| {}, soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandFailed, "{error}");
    assert!(error.to_string().contains("'flash:nowhere'"), "{error}");

    client.erase("boot", |_| {}, soon()).await.unwrap();
    let erased = board.read("boot", MIB).unwrap();
    assert!(erased.iter().all(|byte| *byte == 0 || *byte == 0xFF));

    client.reboot(RebootTarget::System, soon()).await.unwrap();
    board.enter_fastboot(soon()).await.unwrap();
    assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
}

#[tokio::test]
async fn a_board_that_is_switched_off_is_reported_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let Some(board) = board(directory.path()).await else {
        return;
    };
    let target = board.target().parse().unwrap();
    let mut client = Fastboot::new(open(&target, soon()).await.unwrap());
    let raw = Image::from_bytes("raw", noise(53, 8 * MIB)).unwrap();
    let mut board = Some(board);
    let cut = |event: Progress<'_>| {
        if let Progress::Sent { .. } = event {
            board.take();
        }
    };
    let start = Instant::now();
    let deadline = start + Duration::from_secs(5);
    let error = client.flash("boot", &raw, cut, deadline).await.unwrap_err();
    let gone = matches!(error.kind(), ErrorKind::Closed | ErrorKind::Timeout);
    assert!(gone, "{:?}: {error}", error.kind());
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(error.to_string().contains("udp:127.0.0.1"), "{error}");
}
