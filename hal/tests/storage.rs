//! Images onto files and loop devices, with block maps of Debian's `bmaptool`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

mod support;

use async_trait::async_trait;
use hal::{
    ErrorKind, HalError,
    process::{Command, CommandLine, find_program},
    storage::{Bmap, FlashImage, ImageWriter, Progress, Side, StorageMux, flash, refuse_in_use},
};
use std::{
    ffi::OsStr,
    io::{Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use support::soon;

const MIB: usize = 1 << 20;

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Bytes that differ everywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    bytes.flatten().take(length).collect()
}

fn has(program: &str) -> bool {
    let found = find_program(OsStr::new(program), None, None).is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

async fn run(program: &str, arguments: &[&OsStr]) -> String {
    let command = Command::new(CommandLine::new(program).args(arguments));
    let output = command.output(soon()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.exit.success(), "{program}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_image_is_written_read_back_and_its_progress_told() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("card.img");
    let image = noise(2 * MIB + 12_345);
    let mut heard = Vec::new();
    let size = image.len() as u64;
    let writer = ImageWriter::new(&target, later()).size(size);
    let written = writer
        .write(&image[..], |progress| heard.push(progress))
        .unwrap();
    assert_eq!((written.image_size, written.bytes), (size, size));
    assert_eq!(fs_err::read(&target).unwrap(), image);
    let last = |verifying| Progress {
        verifying,
        done: size,
        total: Some(size),
    };
    assert!(
        heard.contains(&last(false)) && heard.last() == Some(&last(true)),
        "{heard:?}"
    );
}

#[test]
fn a_stream_of_unknown_length_is_written_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("card.img");
    fs_err::write(&target, noise(3 * MIB)).unwrap();
    for length in [0, 1, MIB, MIB + 1] {
        let image = noise(length);
        let written = ImageWriter::new(&target, later())
            .write(&image[..], |_| ())
            .unwrap();
        assert_eq!(written.image_size, length as u64);
        assert_eq!(fs_err::read(&target).unwrap(), image);
    }
}

#[test]
fn an_image_that_ends_early_or_a_deadline_that_passed_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("card.img");
    let writer = ImageWriter::new(&target, later()).size(100);
    let error = writer.write(&noise(99)[..], |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "the image ends after 99 bytes, and should have 100 at least"
    );
    let error = ImageWriter::new(&target, Instant::now()).write(&noise(9)[..], |_| ());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
}

/// A sparse image, its block map by bmaptool, and the same by us.
#[tokio::test]
async fn what_bmaptool_makes_is_read_and_written_alike() {
    if !has("bmaptool") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut image = fs_err::File::create(path("image")).unwrap();
    for (at, length) in [(0, 5000), (3 * MIB, 2 * MIB), (9 * MIB - 100, 77)] {
        image.seek(SeekFrom::Start(at as u64)).unwrap();
        image.write_all(&noise(length)).unwrap();
    }
    image.set_len(10 * MIB as u64 - 1234).unwrap();
    image.sync_all().unwrap();
    let map = run("bmaptool", &["create".as_ref(), path("image").as_ref()]).await;
    fs_err::write(path("image.bmap"), &map).unwrap();
    run(
        "bmaptool",
        &[
            "copy".as_ref(),
            "--bmap".as_ref(),
            path("image.bmap").as_ref(),
            path("image").as_ref(),
            path("theirs").as_ref(),
        ],
    )
    .await;
    let bmap = Bmap::from_file(&path("image.bmap")).unwrap();
    assert!(
        bmap.mapped_size() < 3 * MIB as u64,
        "the image is sparse: {map}"
    );
    let file = fs_err::File::open(path("image")).unwrap();
    let writer = ImageWriter::new(path("ours"), later()).bmap(bmap.clone());
    let written = writer.write(file, |_| ()).unwrap();
    assert_eq!(written.bytes, bmap.mapped_size());
    let ours = fs_err::read(path("ours")).unwrap();
    assert!(
        ours == fs_err::read(path("theirs")).unwrap(),
        "the files differ"
    );
    assert!(
        ours == fs_err::read(path("image")).unwrap(),
        "the image differs"
    );

    // A byte of the image is not what the map says.
    let mut damaged = ours.clone();
    damaged[4 * MIB] ^= 1;
    let writer = ImageWriter::new(path("ours"), later()).bmap(bmap.clone());
    let error = writer.write(&damaged[..], |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("bytes 3145728 to 5242880"),
        "{error}"
    );

    // A byte of the map is not what its maker wrote.
    let error = Bmap::parse(
        map.replace("<BlockSize> 4096", "<BlockSize> 4097")
            .as_bytes(),
        "map",
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("its own checksum"), "{error}");
}

/// A loop device, gone when dropped.
struct Loop {
    device: PathBuf,
    _directory: tempfile::TempDir,
}

impl Loop {
    /// `None` where loop devices are not to be had.
    async fn new(size: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !has("losetup") {
            eprintln!("SKIPPED: loop devices need root and losetup");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let backing = directory.path().join("backing");
        fs_err::File::create(&backing)
            .unwrap()
            .set_len(size)
            .unwrap();
        let line = CommandLine::new("losetup")
            .args(["--find", "--show"])
            .arg(&backing);
        let output = Command::new(line).output(soon()).await.unwrap();
        if !output.exit.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("SKIPPED: no loop device: {said}");
            return None;
        }
        let device = String::from_utf8(output.stdout).unwrap().trim().into();
        Some(Self {
            device,
            _directory: directory,
        })
    }

    async fn detach(self) {
        run("losetup", &["--detach".as_ref(), self.device.as_os_str()]).await;
    }
}

#[tokio::test]
async fn a_disk_is_written_and_one_that_is_too_small_is_left_alone() {
    let Some(disk) = Loop::new(4 * MIB as u64).await else {
        return;
    };
    let image = noise(4 * MIB);
    let writer = ImageWriter::new(&disk.device, later()).size(image.len() as u64);
    writer.write(&image[..], |_| ()).unwrap();
    assert!(
        fs_err::read(&disk.device).unwrap() == image,
        "the disk differs"
    );
    let more = vec![0; 4 * MIB + 1];
    let writer = ImageWriter::new(&disk.device, later()).size(more.len() as u64);
    let error = writer.write(&more[..], |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    let name = disk.device.display();
    assert_eq!(
        error.to_string(),
        format!("{name} has 4194304 bytes, the image 4194305")
    );
    assert!(
        fs_err::read(&disk.device).unwrap() == image,
        "something was written"
    );
    // Without a size, it shows at the end.
    let error = ImageWriter::new(&disk.device, later())
        .write(&more[..], |_| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    disk.detach().await;
}

#[tokio::test]
async fn a_mounted_disk_is_refused_with_its_place() {
    if !has("mkfs.ext4") {
        return;
    }
    let Some(disk) = Loop::new(8 * MIB as u64).await else {
        return;
    };
    run("mkfs.ext4", &["-q".as_ref(), disk.device.as_os_str()]).await;
    let place = tempfile::tempdir().unwrap();
    let line = CommandLine::new("mount")
        .arg(&disk.device)
        .arg(place.path());
    let mounted = Command::new(line).output(soon()).await.unwrap();
    if mounted.exit.success() {
        let error = ImageWriter::new(&disk.device, later()).write(&[0; 512][..], |_| ());
        let again = refuse_in_use(&disk.device);
        run("umount", &[place.path().as_ref()]).await;
        for error in [error.unwrap_err(), again.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Busy);
            let name = place.path().display().to_string();
            assert!(error.to_string().contains(&name), "{error}");
        }
        refuse_in_use(&disk.device).unwrap();
    } else {
        eprintln!("SKIPPED: nothing can be mounted here");
    }
    disk.detach().await;
}

/// A mux whose card is a loop device.
struct LoopMux {
    disk: PathBuf,
    sides: Vec<Side>,
}

#[async_trait]
impl StorageMux for LoopMux {
    async fn set(&mut self, side: Side, _: tokio::time::Instant) -> Result<(), HalError> {
        self.sides.push(side);
        Ok(())
    }

    fn disk(&self) -> Result<Option<PathBuf>, HalError> {
        Ok(Some(self.disk.clone()))
    }
}

/// An image that ends in an error.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::Error::other("the download broke")),
            got => Ok(got),
        }
    }
}

async fn flash_loop(
    disk: &Path,
    image: Box<dyn Read + Send>,
) -> (Result<hal::storage::Written, HalError>, Vec<Side>, u64) {
    let mut mux = LoopMux {
        disk: disk.to_owned(),
        sides: Vec::new(),
    };
    let mut told = 0;
    let image = FlashImage {
        image,
        size: None,
        bmap: None,
        verify: true,
    };
    let result = flash(&mut mux, image, soon(), |progress| {
        told = told.max(progress.done)
    })
    .await;
    (result, mux.sides, told)
}

#[tokio::test]
async fn a_card_is_taken_written_and_handed_back() {
    let Some(disk) = Loop::new(4 * MIB as u64).await else {
        return;
    };
    let image = noise(3 * MIB);
    let (result, sides, told) =
        flash_loop(&disk.device, Box::new(Cursor::new(image.clone()))).await;
    result.unwrap();
    assert_eq!(sides, [Side::Host, Side::Board]);
    assert_eq!(told, image.len() as u64);
    assert!(
        fs_err::read(&disk.device).unwrap()[..3 * MIB] == image,
        "the card differs"
    );
    let broken = Box::new(Broken(Cursor::new(noise(MIB))));
    let (result, sides, _) = flash_loop(&disk.device, broken).await;
    let error = result.unwrap_err();
    assert!(error.to_string().contains("the download broke"), "{error}");
    assert_eq!(
        sides,
        [Side::Host],
        "half an image is not given to the board"
    );
    disk.detach().await;
}
