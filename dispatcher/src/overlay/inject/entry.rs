//! Files on their way into an image, and where their contents come from.

use crate::overlay::files::{read_fault, write_fault};
use job::Fault;
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

/// A file, directory or the like for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Entry {
    /// Its place, without the leading slash.
    pub(in super::super) path: PathBuf,
    pub(in super::super) kind: Kind,
    /// Permission bits, set-id and sticky bits.
    pub(in super::super) permissions: u32,
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    /// Seconds since 1970.
    pub(in super::super) modified: u32,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Directory,
    File {
        size: u64,
        /// How many names it will have: itself and the hard links that follow.
        names: u32,
    },
    /// A further name of a file that came before.
    HardLink {
        target: PathBuf,
    },
    SymbolicLink {
        target: PathBuf,
    },
    CharacterDevice {
        numbers: (u32, u32),
    },
    BlockDevice {
        numbers: (u32, u32),
    },
    Pipe,
}

/// The contents of a file, read once.
pub(in super::super) struct Contents<'a> {
    pub(in super::super) reader: &'a mut dyn Read,
    /// What it is, for messages.
    pub(in super::super) source: &'a Path,
    /// The fault when it cannot be read.
    pub(in super::super) unreadable: fn(&Path, &io::Error) -> Fault,
    pub(in super::super) cancel: &'a CancellationToken,
}

impl Contents<'_> {
    /// Copies exactly `size` bytes to `output`, whose errors are told with `path`.
    pub(in super::super) fn copy(
        &mut self,
        size: u64,
        output: &mut (impl Write + ?Sized),
        path: &Path,
    ) -> Result<(), Fault> {
        let mut buffer = [0; 16 << 10];
        let mut left = size;
        while left > 0 {
            if self.cancel.is_cancelled() {
                return Err(Fault::canceled(
                    "canceled while an overlay was put into an image",
                ));
            }
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = match self.reader.read(&mut buffer[..most]) {
                Ok(0) => {
                    let end = io::ErrorKind::UnexpectedEof.into();
                    return Err((self.unreadable)(self.source, &end));
                }
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err((self.unreadable)(self.source, &error)),
            };
            output
                .write_all(&buffer[..length])
                .map_err(|error| write_fault(path, &error))?;
            left -= length as u64;
        }
        Ok(())
    }
}

/// An overlay that cannot be read: the disk's fault, or the archive's own.
pub(in super::super) fn unreadable(source: &Path, error: &io::Error) -> Fault {
    if error.raw_os_error().is_some() {
        return read_fault(source, error);
    }
    Fault::job(format!(
        "the overlay {} is unusable: {error}",
        source.display()
    ))
    .with_hint("it must be a tar archive, plain or compressed with gzip, bzip2, xz or zstd")
}
