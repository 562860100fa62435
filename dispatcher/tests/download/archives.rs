//! Compressed files and archives, as the real tools make them and cut or crafted.

use crate::{
    lab::{Lab, compressed, kernel, noise, read, through},
    server::Server,
};
use job::FaultClass;
use plan::step::Download;

/// Compression, program, options.
const TOOLS: [(&str, &str, &[&str]); 6] = [
    ("gz", "gzip", &["-c", "-9"]),
    ("bz2", "bzip2", &["-c"]),
    ("xz", "xz", &["-c", "-6"]),
    ("xz", "xz", &["-c", "-0", "--check=crc32"]),
    ("zstd", "zstd", &["-c", "-q", "-3"]),
    ("zstd", "zstd", &["-c", "-q", "-19", "--long=27"]),
];

fn image() -> Vec<u8> {
    let mut image = noise(200_000);
    image.extend(vec![0; 500_000]);
    image.extend(noise(1000));
    image
}

#[tokio::test]
async fn files_of_every_tool_are_decompressed_while_they_come() {
    for (compression, program, options) in TOOLS {
        let Some(bytes) = through(program, options, &image()) else {
            eprintln!("SKIPPED: {program} is not installed");
            continue;
        };
        // Twice in a row is one file, for all of these tools.
        let twice = [bytes.clone(), bytes].concat();
        let server = Server::file(twice.clone()).await;
        for lab in [Lab::new(), Lab::with_cache()] {
            let download = compressed(server.url("/image.img.suffix"), compression);
            for _ in 0..2 {
                let fetched = lab.fetch(&download).await.unwrap();
                assert_eq!(
                    fetched.path,
                    lab.deploy().join("kernel/image.img"),
                    "{compression}"
                );
                assert!(
                    read(&fetched.path) == [image(), image()].concat(),
                    "{program}"
                );
                assert_eq!(
                    fetched.size,
                    twice.len() as u64,
                    "the size is that of the file served"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_file_to_be_left_compressed_is_left() {
    let bytes = through("gzip", &["-c"], b"ramdisk").expect("gzip is everywhere");
    let server = Server::file(bytes.clone()).await;
    let lab = Lab::new();
    let mut download = compressed(server.url("/ramdisk.cpio.gz"), "gz");
    download.decompress = false;
    let fetched = lab.fetch(&download).await.unwrap();
    assert_eq!(fetched.path, lab.deploy().join("kernel/ramdisk.cpio.gz"));
    assert_eq!(read(&fetched.path), bytes);
}

#[tokio::test]
async fn a_truncated_file_is_the_jobs_fault() {
    for (compression, program, options) in TOOLS {
        let Some(bytes) = through(program, options, &image()) else {
            continue;
        };
        let server = Server::file(&bytes[..bytes.len() - 20]).await;
        for lab in [Lab::new(), Lab::with_cache()] {
            let download = compressed(server.url("/rootfs.img.suffix"), compression);
            let fault = lab.fault(&download, FaultClass::Job).await;
            assert!(
                fault.message.contains("/rootfs.img.suffix"),
                "{}",
                fault.message
            );
            assert!(
                fault.message.contains("ends in the middle"),
                "{program}: {}",
                fault.message
            );
        }
    }
}

#[tokio::test]
async fn a_page_instead_of_an_archive_is_the_jobs_fault() {
    let server = Server::file("<!doctype html><title>Sign in</title>".repeat(50)).await;
    for compression in ["gz", "bz2", "xz", "zstd", "zip"] {
        let download = compressed(server.url("/rootfs"), compression);
        let fault = Lab::new().fault(&download, FaultClass::Job).await;
        assert!(fault.hint.is_some(), "{fault:?}");
    }
    let fault = Lab::new()
        .fault(&compressed(server.url("/x"), "rar"), FaultClass::Job)
        .await;
    assert!(
        fault.message.contains("rar") && fault.message.contains("zstd"),
        "{}",
        fault.message
    );
}

#[tokio::test]
async fn a_decompression_bomb_is_bounded() {
    for (compression, program, options) in TOOLS {
        let Some(bytes) = through(program, options, &vec![0; 3_000_000]) else {
            continue;
        };
        let server = Server::file(bytes).await;
        let mut lab = Lab::with_cache();
        lab.options.limits.decompressed_bytes = 2_000_000;
        let fault = lab
            .fault(
                &compressed(server.url("/bomb"), compression),
                FaultClass::Job,
            )
            .await;
        assert!(
            fault.message.contains("more than 2000000 bytes"),
            "{}",
            fault.message
        );
    }
}

/// A zip archive with these members, stored.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, contents) in members {
        writer
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn the_only_file_of_a_zip_archive_is_taken_out() {
    let made = zip(&[("boot/image.bin", &image())]);
    let server = Server::file(made.clone()).await;
    let lab = Lab::with_cache();
    let fetched = lab
        .fetch(&compressed(server.url("/recovery.zip"), "zip"))
        .await
        .unwrap();
    assert_eq!(fetched.path, lab.deploy().join("kernel/recovery"));
    assert!(read(&fetched.path) == image());
    let file = lab.directory.path().join("made-by-tool");
    fs_err::write(&file, image()).unwrap();
    match through("zip", &["-q", "-", file.to_str().unwrap()], b"") {
        Some(bytes) => {
            let server = Server::file(bytes).await;
            assert!(lab.bytes(&compressed(server.url("/r.zip"), "zip")).await == image());
        }
        None => eprintln!("SKIPPED: zip is not installed"),
    }
    for (bad, says) in [
        (zip(&[("a", b"1"), ("b", b"2")]), "holds 2 files"),
        (zip(&[("dir/", b"")]), "holds 0 files"),
        (zip(&[("../../evil", b"1")]), "climbs out of its directory"),
        (zip(&[("/etc/evil", b"1")]), "climbs out of its directory"),
        (made[..made.len() / 2].to_vec(), "damaged"),
    ] {
        let server = Server::file(bad).await;
        let fault = Lab::new()
            .fault(&compressed(server.url("/r.zip"), "zip"), FaultClass::Job)
            .await;
        assert!(fault.message.contains(says), "{says}: {}", fault.message);
    }
    let mut lab = Lab::new();
    lab.options.limits.decompressed_bytes = 1000;
    let server = Server::file(made).await;
    let fault = lab
        .fault(&compressed(server.url("/r.zip"), "zip"), FaultClass::Job)
        .await;
    assert!(
        fault.message.contains("more than 1000 bytes"),
        "{}",
        fault.message
    );
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, contents) in members {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        archive.extend(header.as_bytes());
        archive.extend(*contents);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend([0; 1024]);
    archive
}

fn archive(url: String, compression: Option<&str>) -> Download {
    Download {
        label: "rootfs".into(),
        directory: Some("rootfs".into()),
        unpack_tar: true,
        compression: compression.map(str::to_owned),
        ..kernel(url)
    }
}

#[tokio::test]
async fn a_tar_archive_is_unpacked_into_the_directory_of_its_key() {
    let made = tar(&[("./etc/hostname", b"board"), ("init", b"#!/bin/sh")]);
    let gzipped = through("gzip", &["-c"], &made).expect("gzip is everywhere");
    let lab = Lab::new();
    for (bytes, path, compression) in [
        (made, "/fs.tar", None),
        (gzipped.clone(), "/fs.tar.gz", Some("gz")),
        // Not declared, as tar(1) takes it too.
        (gzipped, "/fs.tgz", None),
    ] {
        let server = Server::file(bytes).await;
        let fetched = lab
            .fetch(&archive(server.url(path), compression))
            .await
            .unwrap();
        let unpacked = fetched.unpacked.unwrap();
        assert_eq!(unpacked, lab.deploy().join("rootfs/rootfs"));
        assert_eq!(read(&unpacked.join("etc/hostname")), b"board");
        fs_err::write(unpacked.join("left"), "by an earlier attempt").unwrap();
        assert!(fetched.path.is_file());
    }
    // A file with the name of the directory.
    let server = Server::file(tar(&[("file", b"x")])).await;
    let lab = Lab::new();
    let fetched = lab
        .fetch(&archive(server.url("/rootfs"), None))
        .await
        .unwrap();
    assert_ne!(fetched.unpacked.as_ref(), Some(&fetched.path));
    assert!(fetched.unpacked.unwrap().join("file").is_file());
}

#[tokio::test]
async fn an_archive_that_climbs_out_is_the_jobs_fault() {
    let server = Server::file(tar(&[("good", b"x"), ("../../evil", b"x")])).await;
    let lab = Lab::new();
    let fault = lab
        .fetch(&archive(server.url("/fs.tar"), None))
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Job);
    assert!(
        fault
            .message
            .contains("`../../evil` climbs out of its directory"),
        "{}",
        fault.message
    );
    let left = crate::lab::files(lab.directory.path());
    assert_eq!(
        left,
        [lab.deploy().join("rootfs/fs.tar")],
        "only the archive itself"
    );
}

#[tokio::test]
async fn a_truncated_tar_archive_is_the_jobs_fault() {
    let made = tar(&[("etc/hostname", &noise(5000))]);
    let gzipped = through("gzip", &["-c"], &made).expect("gzip is everywhere");
    for (bytes, compression) in [
        (&made[..3000], None),
        (&gzipped[..3000], Some("gz")),
        (&gzipped[..3000], None),
    ] {
        let server = Server::file(bytes).await;
        let fault = Lab::new()
            .fetch(&archive(server.url("/fs.tar"), compression))
            .await
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Job);
        assert!(
            fault.message.contains("ends in the middle"),
            "{}",
            fault.message
        );
    }
}
