//! Writing an image to a disk or a file, and reading it back.

use super::{
    Bmap, BmapRange,
    bmap::Summing,
    guard::{flush, refuse_in_use},
};
use crate::error::{ErrorKind, HalError};
use rustix::{
    fs::{Advice, Mode, OFlags},
    io::Errno,
};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt},
    path::{Path, PathBuf},
    time::Instant,
};

/// What is written and verified at a time; a difference is found to this precision.
const CHUNK: usize = 1 << 20;

/// How far a job got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether it reads back what it wrote.
    pub verifying: bool,
    /// Bytes done in this phase.
    pub done: u64,
    /// Bytes to do, where that is known.
    pub total: Option<u64>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The size of the image.
    pub image_size: u64,
    /// How much of it was written: less with a block map.
    pub bytes: u64,
}

/// Writes an image to a block device or a file.
///
/// Its work blocks: from a runtime, call it by `spawn_blocking`, as [`flash`](super::flash()) does.
/// It ends at the deadline, between two writes of at most 1 MiB each; how long the kernel takes
/// for one of them is the kernel's to say.
#[derive(Clone, Debug)]
pub struct ImageWriter {
    target: PathBuf,
    bmap: Option<Bmap>,
    size: Option<u64>,
    verify: bool,
    deadline: Instant,
}

impl ImageWriter {
    /// Writes to `target`, all of the image, with verification, until `deadline`.
    pub fn new(target: impl Into<PathBuf>, deadline: Instant) -> Self {
        Self {
            target: target.into(),
            bmap: None,
            size: None,
            verify: true,
            deadline,
        }
    }

    /// Writes only what the block map says holds data, and checks its checksums on the way.
    #[must_use]
    pub fn bmap(mut self, bmap: Bmap) -> Self {
        self.bmap = Some(bmap);
        self
    }

    /// Says how large the image is, so that a disk that is too small is refused before anything is
    /// written, and an image that ends early is an error. A block map says it, too.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Says whether to read everything back from the medium; it is, if this is not called.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Writes `image` from its beginning to its end. All of it is on the medium when this returns.
    ///
    /// # Errors
    /// - `Busy` when the target is mounted, swap space or otherwise in use; nothing was written.
    /// - `Exhausted` when the target is too small: if the size was known, nothing was written.
    /// - `InvalidInput` when the image is shorter than it should be, or not the block map's.
    /// - `Unconfirmed` when the medium does not give back what was written, with the offset.
    /// - `Closed` or `NotFound` when the target vanished, `Timeout`, or what failed.
    pub fn write(
        &self,
        mut image: impl Read,
        mut progress: impl FnMut(Progress),
    ) -> Result<Written, HalError> {
        let size = self.image_size()?;
        let target = Target::open(&self.target, size)?;
        let whole = [BmapRange {
            start: 0,
            end: size.unwrap_or(u64::MAX),
            checksum: None,
        }];
        let ranges = self.bmap.as_ref().map_or(&whole[..], |bmap| &bmap.ranges);
        let total = self.bmap.as_ref().map(Bmap::mapped_size).or(size);
        let mut job = Job {
            target: &target,
            deadline: self.deadline,
            position: 0,
            done: 0,
            sums: Vec::new(),
        };
        for range in ranges {
            job.skip_to(&mut image, range.start)?;
            let exact = size.is_some();
            job.write_range(&mut image, range, exact, &mut |done| {
                progress(Progress {
                    verifying: false,
                    done,
                    total,
                });
            })?;
        }
        let image_size = size.unwrap_or(job.position);
        let (bytes, sums) = (job.done, job.sums);
        target.finish(image_size)?;
        if self.verify {
            target.verify(&sums, self.deadline, &mut |done| {
                progress(Progress {
                    verifying: true,
                    done,
                    total: Some(bytes),
                });
            })?;
        }
        Ok(Written { image_size, bytes })
    }

    fn image_size(&self) -> Result<Option<u64>, HalError> {
        match (&self.bmap, self.size) {
            (Some(bmap), Some(size)) if bmap.image_size != size => {
                let of_map = bmap.image_size;
                let message = format!("the image has {size} bytes, its block map is for {of_map}");
                Err(HalError::new(ErrorKind::InvalidInput, "image", message)
                    .with_hint("are they of the same build?"))
            }
            (Some(bmap), _) => Ok(Some(bmap.image_size)),
            (None, size) => Ok(size),
        }
    }
}

/// What was written where, and its checksum.
struct Sum {
    start: u64,
    length: usize,
    sum: [u8; 32],
}

/// A write under way.
struct Job<'a> {
    target: &'a Target,
    deadline: Instant,
    /// Where the image's reader is.
    position: u64,
    done: u64,
    /// One per chunk, 48 bytes per MiB of image.
    sums: Vec<Sum>,
}

impl Job<'_> {
    /// Reads over what holds no data.
    fn skip_to(&mut self, image: &mut impl Read, start: u64) -> Result<(), HalError> {
        let mut buffer = vec![0; CHUNK.min(chunk_of(start - self.position))];
        while self.position < start {
            check_deadline(self.deadline, &self.target.name)?;
            let wanted = chunk_of(start - self.position);
            let got = read_full(image, &mut buffer[..wanted])?;
            self.position += got as u64;
            if got < wanted {
                return Err(self.too_short(start));
            }
        }
        Ok(())
    }

    /// Writes a range; one of unknown length ends with the image.
    fn write_range(
        &mut self,
        image: &mut impl Read,
        range: &BmapRange,
        exact: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), HalError> {
        let mut buffer = vec![0; CHUNK.min(chunk_of(range.end - range.start))];
        let mut of_range = range.checksum.as_ref().map(super::bmap::Checksum::begin);
        while self.position < range.end {
            check_deadline(self.deadline, &self.target.name)?;
            let wanted = chunk_of(range.end - self.position);
            let got = read_full(image, &mut buffer[..wanted])?;
            let chunk = &buffer[..got];
            if let Some(sum) = &mut of_range {
                sum.add(chunk);
            }
            self.target.write(chunk, self.position)?;
            if got > 0 {
                self.sums.push(Sum {
                    start: self.position,
                    length: got,
                    sum: Sha256::digest(chunk).into(),
                });
            }
            self.position += got as u64;
            self.done += got as u64;
            progress(self.done);
            if got < wanted {
                return if exact {
                    Err(self.too_short(range.end))
                } else {
                    Ok(())
                };
            }
        }
        check_range(range, of_range)
    }

    fn too_short(&self, wanted: u64) -> HalError {
        let message = format!(
            "the image ends after {} bytes, and should have {wanted} at least",
            self.position
        );
        HalError::new(ErrorKind::InvalidInput, "image", message).with_hint("was its download cut?")
    }
}

fn check_range(range: &BmapRange, sum: Option<Summing>) -> Result<(), HalError> {
    let is = sum.map(Summing::end);
    if is == range.checksum {
        return Ok(());
    }
    let (start, end) = (range.start, range.end);
    let message = format!(
        "the image is not that of its block map: bytes {start} to {end} have another checksum"
    );
    Err(HalError::new(ErrorKind::InvalidInput, "image", message)
        .with_hint("are image and block map of the same build? Was the download damaged?"))
}

/// The disk or file.
struct Target {
    file: File,
    path: PathBuf,
    name: String,
    is_block: bool,
}

impl Target {
    /// Opens it, once it is known that nobody uses it and the image fits.
    fn open(path: &Path, size: Option<u64>) -> Result<Self, HalError> {
        let name = path.display().to_string();
        refuse_in_use(path)?;
        let is_block = fs_err::metadata(path).is_ok_and(|m| m.file_type().is_block_device());
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC;
        // Exclusive: the kernel knows users that this mount namespace does not show.
        flags |= if is_block {
            OFlags::EXCL
        } else {
            OFlags::CREATE
        };
        let opened = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644));
        let file = opened.map_err(|errno| {
            let error = HalError::from_io("open", &name, errno.into());
            match error.kind() {
                ErrorKind::PermissionDenied => error.with_hint(crate::device::who_may(path)),
                ErrorKind::Busy => error.with_hint("something uses it: see lsblk and fuser"),
                ErrorKind::NotFound => error.with_hint("is the card plugged in, and at the host?"),
                _ => error,
            }
        })?;
        let target = Self {
            file: file.into(),
            path: path.to_owned(),
            name,
            is_block,
        };
        target.check_room(size)?;
        Ok(target)
    }

    fn check_room(&self, size: Option<u64>) -> Result<(), HalError> {
        let (true, Some(size)) = (self.is_block, size) else {
            return Ok(());
        };
        let end = (&self.file).seek(SeekFrom::End(0));
        let room = end.map_err(|error| self.error("measure", error))?;
        if size <= room {
            return Ok(());
        }
        let message = format!("{} has {room} bytes, the image {size}", self.name);
        Err(HalError::new(ErrorKind::Exhausted, &self.name, message)
            .with_hint("nothing was written; it needs a larger card"))
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), HalError> {
        self.file
            .write_all_at(bytes, at)
            .map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::NOSPC) => {
                    let message = format!("{} is full after {at} bytes", self.name);
                    HalError::new(ErrorKind::Exhausted, &self.name, message)
                }
                _ => self.error("write to", error),
            })
    }

    /// Brings everything to the medium, and makes the next read come from there.
    fn finish(&self, image_size: u64) -> Result<(), HalError> {
        if !self.is_block {
            let set = self.file.set_len(image_size);
            set.map_err(|error| self.error("set the size of", error))?;
        }
        self.file
            .sync_all()
            .map_err(|error| self.error("write to", error))?;
        // Advice: where it is not taken, verification reads what the kernel remembers.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        if self.is_block {
            flush(&self.path)?;
        }
        Ok(())
    }

    fn verify(
        &self,
        sums: &[Sum],
        deadline: Instant,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), HalError> {
        let mut buffer = vec![0; CHUNK];
        let mut done = 0;
        for sum in sums {
            check_deadline(deadline, &self.name)?;
            let chunk = &mut buffer[..sum.length];
            let read = self.file.read_exact_at(chunk, sum.start);
            read.map_err(|error| self.error("read back", error))?;
            if Sha256::digest(&*chunk)[..] != sum.sum {
                let (start, end) = (sum.start, sum.start + sum.length as u64);
                let message = format!(
                    "{} did not keep what was written: the first difference is in bytes {start} to {end}",
                    self.name
                );
                return Err(HalError::new(ErrorKind::Unconfirmed, &self.name, message)
                    .with_hint("the card is worn out or lies about its size: replace it"));
            }
            done += sum.length as u64;
            progress(done);
        }
        Ok(())
    }

    /// What the system reports; a disk that is gone is named as such.
    fn error(&self, doing: &str, error: io::Error) -> HalError {
        let gone = matches!(
            Errno::from_io_error(&error),
            Some(Errno::NODEV | Errno::NXIO | Errno::IO | Errno::NOMEDIUM)
        );
        let error = HalError::from_io(doing, &self.name, error);
        if self.is_block && gone {
            error.with_hint("was it unplugged, or the mux switched? The kernel's log says which")
        } else {
            error
        }
    }
}

fn check_deadline(deadline: Instant, name: &str) -> Result<(), HalError> {
    if Instant::now() < deadline {
        return Ok(());
    }
    let message = format!("the time to write the image to {name} is over");
    Err(HalError::new(ErrorKind::Timeout, name, message)
        .with_hint("allow more time; a block map makes it quicker"))
}

/// The next chunk of so many bytes.
fn chunk_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(CHUNK).min(CHUNK)
}

/// Reads until `buffer` is full or the image ends.
fn read_full(image: &mut impl Read, buffer: &mut [u8]) -> Result<usize, HalError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match image.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(HalError::from_io("read", "the image", error)),
        }
    }
    Ok(filled)
}
