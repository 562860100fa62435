//! Debian's programs on the other side: `fastboot` flashes the rack's device, and the sparse
//! images of `img2simg` and `simg2img` are ours.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fastboot_support;

use fastboot_support::{image, installed, run, text, try_run};
use hal::fastboot::{
    Image,
    sparse::{Content, Layout},
};
use rack::fastboot_device::{Device, LinkFaults, TcpDevice, UdpDevice};
use std::{fs::File, io::Read, path::Path};

const MIB: usize = 1 << 20;

fn board(max_download: usize) -> Device {
    Device::new(max_download, &[("boot", 16 * MIB)])
}

/// What Debian's client does to a device, over any transport.
async fn flash_with_debian(target: &str, directory: &Path) -> Vec<u8> {
    let file = directory.join("raw.img");
    let bytes = image(11, 9 * MIB);
    fs_err::write(&file, &bytes).unwrap();
    let printed = run("fastboot", &["-s", target, "getvar", "product"]).await;
    assert!(printed.contains("product: rack"), "{printed}");
    run("fastboot", &["-s", target, "erase", "boot"]).await;
    let printed = run("fastboot", &["-s", target, "flash", "boot", text(&file)]).await;
    assert!(printed.contains("sparse"), "sent in one piece: {printed}");
    let (flashed, printed) = try_run("fastboot", &["-s", target, "flash", "no", text(&file)]).await;
    assert!(
        !flashed && printed.contains("cannot find partition"),
        "{printed}"
    );
    bytes
}

#[tokio::test]
async fn debians_client_flashes_our_device_over_udp() {
    if !installed("fastboot") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for packet_size in [1024, 8192] {
        let device = UdpDevice::start(board(2 * MIB), packet_size, LinkFaults::default()).await;
        let device = device.unwrap();
        let target = format!("udp:{}", device.address());
        let bytes = flash_with_debian(&target, directory.path()).await;
        let boot = device.contents().partition("boot").unwrap();
        assert!(boot[..bytes.len()] == bytes, "what was flashed differs");
    }
}

#[tokio::test]
async fn debians_client_flashes_our_device_over_tcp() {
    if !installed("fastboot") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let device = TcpDevice::start(board(2 * MIB)).await.unwrap();
    let target = format!("tcp:{}", device.address());
    let bytes = flash_with_debian(&target, directory.path()).await;
    let boot = device.contents().partition("boot").unwrap();
    assert!(boot[..bytes.len()] == bytes, "what was flashed differs");
}

#[tokio::test]
async fn debians_sparse_images_are_read_as_they_are_meant() {
    if !installed("img2simg") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (raw, sparse) = (
        directory.path().join("raw"),
        directory.path().join("sparse"),
    );
    for (seed, length) in [(21, 3 * MIB), (22, 4096), (23, 5 * MIB + 4096)] {
        let bytes = image(seed, length);
        fs_err::write(&raw, &bytes).unwrap();
        run("img2simg", &[text(&raw), text(&sparse)]).await;
        let source: File = fs_err::File::open(&sparse).unwrap().into_parts().0;
        let layout = Layout::of_sparse(&source).unwrap();
        let mut expanded = vec![0; layout.expanded() as usize];
        layout
            .expand(&source, |offset, bytes| {
                let start = offset as usize;
                expanded[start..start + bytes.len()].copy_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        assert!(expanded == bytes, "differs with seed {seed}");
    }
}

#[tokio::test]
async fn debian_reads_our_sparse_images() {
    if !installed("simg2img") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let raw = directory.path().join("raw");
    let bytes = image(31, 6 * MIB + 4096);
    fs_err::write(&raw, &bytes).unwrap();
    let downloads = Image::open(&raw)
        .unwrap()
        .downloads(Some(MIB as u64))
        .unwrap();
    assert!(downloads.len() > 2);
    let mut arguments = Vec::new();
    for (number, mut download) in downloads.into_iter().enumerate() {
        let mut part = Vec::new();
        download.reader.read_to_end(&mut part).unwrap();
        assert_eq!(part.len() as u64, download.size);
        let path = directory.path().join(format!("part{number}"));
        fs_err::write(&path, part).unwrap();
        arguments.push(text(&path).to_owned());
    }
    // It writes all parts over one file.
    let joined = directory.path().join("joined");
    arguments.push(text(&joined).to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run("simg2img", &arguments).await;
    assert!(
        fs_err::read(&joined).unwrap() == bytes,
        "what Debian expanded differs"
    );
}

#[tokio::test]
async fn both_find_the_same_blocks_worth_sending() {
    if !installed("img2simg") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (raw, sparse) = (
        directory.path().join("raw"),
        directory.path().join("sparse"),
    );
    let bytes = image(41, 4 * MIB);
    fs_err::write(&raw, &bytes).unwrap();
    run("img2simg", &[text(&raw), text(&sparse)]).await;
    let source: File = fs_err::File::open(&sparse).unwrap().into_parts().0;
    let blocks = |layout: &Layout| {
        let data = |content| matches!(content, Content::Data(_));
        let sent = layout.pieces().iter().filter(|piece| data(piece.content));
        sent.map(|piece| u64::from(piece.blocks)).sum::<u64>()
    };
    let theirs = blocks(&Layout::of_sparse(&source).unwrap());
    let ours = blocks(&Layout::of_raw(&bytes).unwrap());
    assert_eq!(ours, theirs);
}
