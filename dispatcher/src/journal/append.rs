//! A file that grows at its end, buffered, and that loses nothing when the disk is full.

use super::JournalError;
use fs_err::File;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Buffered bytes, and the file they go to.
///
/// Unlike `BufWriter` it writes only when told to, and after a failed write it still holds just
/// the bytes that did not reach the file.
#[derive(Debug)]
pub(super) struct AppendFile<W = File> {
    path: PathBuf,
    file: W,
    pending: Vec<u8>,
}

impl<W: Write> AppendFile<W> {
    pub(super) fn new(path: &Path, file: W) -> Self {
        Self {
            path: path.to_owned(),
            file,
            pending: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &W {
        &self.file
    }

    /// What waits to be written; append here.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes what waits: one `write` unless the system takes only a part.
    ///
    /// # Errors
    /// What the system said, with the path. The bytes that were not written still wait.
    pub(super) fn flush(&mut self) -> Result<(), JournalError> {
        let mut written = 0;
        let result = loop {
            if written == self.pending.len() {
                break Ok(());
            }
            match self.file.write(&self.pending[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if written == self.pending.len() {
            self.pending.clear();
        } else {
            self.pending.drain(..written);
        }
        result.map_err(|error: io::Error| self.explain(error))
    }

    fn explain(&self, source: io::Error) -> JournalError {
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => JournalError::Full {
                path: self.path.clone(),
                pending: self.pending.len(),
            },
            _ => JournalError::io(&self.path, source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        room: usize,
        stored: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.stored.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_and_repeats_nothing() {
        let disk = Disk {
            room: 3,
            stored: Vec::new(),
        };
        let mut file = AppendFile::new(Path::new("/lab/journal"), disk);
        file.buffer().extend_from_slice(b"abcdef");
        let error = file.flush().expect_err("there is room for three");
        assert!(error.is_full());
        assert_eq!(
            error.to_string(),
            "/lab/journal: no space left to write 3 bytes"
        );
        file.buffer().extend_from_slice(b"gh");
        file.file.room = 100;
        file.flush().expect("there is room now");
        assert_eq!(file.file.stored, b"abcdefgh");
        assert_eq!(file.pending(), 0);
    }

    #[test]
    fn a_disk_that_is_full_is_told_from_other_errors() {
        let path = Path::new("/dev/full");
        let device = fs_err::OpenOptions::new().write(true).open(path);
        let Ok(device) = device else {
            eprintln!("SKIPPED: /dev/full is not there");
            return;
        };
        let mut file = AppendFile::new(path, device);
        file.buffer().push(b'a');
        assert!(file.flush().expect_err("it is full").is_full());
        let read_only = File::open("/dev/null").expect("/dev/null");
        let mut file = AppendFile::new(Path::new("/dev/null"), read_only);
        file.buffer().push(b'a');
        let error = file.flush().expect_err("it is not open for writing");
        assert!(!error.is_full(), "{error}");
    }
}
