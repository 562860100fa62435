//! The image that is served.

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use std::{io, os::unix::fs::FileExt, path::Path};

/// The name that lists show. Clients may ask for the one without a name as well.
pub(super) const NAME: &str = "nbdroot";

/// Zeros are written in pieces of this size where the file system cannot make holes.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// An image file that clients read and write.
///
/// What was written is in the system's page cache, for all connections to see. That is also all
/// that a client's flush asks for: it outlives the board's power, and the image outlives neither
/// the job nor the host.
#[derive(Debug)]
pub struct Export {
    file: std::fs::File,
    size: u64,
}

impl Export {
    /// Opens `image`, which must be the job's own copy: clients write to it.
    ///
    /// # Errors
    /// When it is no regular file, or cannot be read and written.
    pub fn open(image: &Path) -> io::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .open(image)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let shown = image.display();
            let message = format!("{shown} is no regular file");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self {
            file: file.into_file(),
            size: metadata.len(),
        })
    }

    /// Its size in bytes, which does not change.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether so many bytes from `offset` on are all within it.
    pub(super) fn has(&self, offset: u64, length: u32) -> bool {
        let end = offset.checked_add(u64::from(length));
        end.is_some_and(|end| end <= self.size)
    }

    /// Fills `buffer`.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Gives the disk's blocks back: these bytes read as zeros from now on. Says whether it could.
    fn punch(&self, offset: u64, length: u32) -> io::Result<bool> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, flags, offset, u64::from(length)) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The client does not need these bytes any more.
    pub(super) fn trim(&self, offset: u64, length: u32) -> io::Result<()> {
        if length > 0 {
            self.punch(offset, length)?;
        }
        Ok(())
    }

    pub(super) fn write_zeros(&self, offset: u64, length: u32) -> io::Result<()> {
        if length == 0 || self.punch(offset, length)? {
            return Ok(());
        }
        let end = offset + u64::from(length);
        let mut at = offset;
        while at < end {
            let piece = (end - at).min(ZEROS.len() as u64);
            self.write(&ZEROS[..usize::try_from(piece).unwrap_or(ZEROS.len())], at)?;
            at += piece;
        }
        Ok(())
    }
}
