//! What is flashed: a file or bytes, raw or sparse, in as many downloads as the device needs.
//!
//! Used by [`super::Fastboot::flash`] and its callers. Everything here blocks on files: the client
//! calls it outside the runtime's threads.

use super::{
    protocol::MAX_DOWNLOAD,
    sparse::{
        Layout, Source, SparseError,
        format::{FILE_HEADER, FileHeader},
    },
};
use crate::error::{ErrorKind, HalError};
use std::{
    fmt,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

/// The largest part that is sent, whatever the device allows: larger downloads overflow the sums
/// of some bootloaders, and hosts have never sent them.
const MAX_PART: u64 = 1 << 30;

/// An image to flash or to boot.
#[derive(Clone)]
pub struct Image {
    source: Arc<dyn Source>,
    name: String,
    length: u64,
    sparse: bool,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("name", &self.name)
            .field("length", &self.length)
            .field("sparse", &self.sparse)
            .finish_non_exhaustive()
    }
}

/// One download of an image.
pub struct Download {
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes.
    pub reader: Box<dyn Read + Send>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Image {
    /// The image in the file `path`. Reads its first bytes only.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file.
    pub fn open(path: &Path) -> Result<Self, HalError> {
        let name = path.display().to_string();
        let opened = fs_err::File::open(path).and_then(|file| {
            let regular = file.metadata()?.is_file();
            Ok((file, regular))
        });
        match opened {
            Ok((file, true)) => Self::new(Arc::new(file.into_parts().0), name),
            Ok((_, false)) => {
                let message = format!("{name} is not a file");
                Err(HalError::new(ErrorKind::InvalidInput, name, message))
            }
            Err(error) => Err(HalError::from_io("open", name, error)),
        }
    }

    /// The image that `bytes` are; `name` is for messages.
    ///
    /// # Errors
    /// `InvalidInput` when they are empty.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, HalError> {
        Self::new(Arc::new(bytes), name.into())
    }

    fn new(source: Arc<dyn Source>, name: String) -> Result<Self, HalError> {
        let mut start = [0; FILE_HEADER];
        let probe = source.length().and_then(|length| {
            // Not more than 28.
            let there = length.min(FILE_HEADER as u64) as usize;
            source.read_at(&mut start[..there], 0)?;
            Ok(length)
        });
        match probe {
            Ok(0) => {
                let message = format!("{name} is empty");
                Err(HalError::new(ErrorKind::InvalidInput, name, message))
            }
            Ok(length) => Ok(Self {
                source,
                name,
                length,
                sparse: FileHeader::is_sparse(&start),
            }),
            Err(error) => Err(HalError::from_io("read", name, error)),
        }
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes, as it is stored.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is a sparse image.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// The image as one download, as it is stored.
    pub fn whole(&self) -> Download {
        Download {
            size: self.length,
            reader: Box::new(Whole {
                source: self.source.clone(),
                at: 0,
                end: self.length,
            }),
        }
    }

    /// The downloads that bring this image into a device which takes `limit` bytes at once: the
    /// image as it is where that fits, or as sparse images. Blocks while the file is read.
    ///
    /// # Errors
    /// `InvalidInput` when a sparse image is damaged, or when the limit is absurdly small.
    pub fn downloads(&self, limit: Option<u64>) -> Result<Vec<Download>, HalError> {
        let limit = limit.unwrap_or(MAX_DOWNLOAD).min(MAX_DOWNLOAD);
        if self.length <= limit {
            return Ok(vec![self.whole()]);
        }
        let layout = if self.sparse {
            Layout::of_sparse(&self.source)
        } else {
            Layout::of_raw(&self.source)
        };
        let parts = layout
            .and_then(|layout| layout.split(limit.min(MAX_PART)))
            .map_err(|error| self.refused(error))?;
        let downloads = parts.iter().map(|part| Download {
            size: part.size(),
            reader: Box::new(part.reader(self.source.clone())),
        });
        Ok(downloads.collect())
    }

    fn refused(&self, error: SparseError) -> HalError {
        match error {
            SparseError::Io(error) => HalError::from_io("read", &self.name, error),
            error => {
                let message = format!("cannot flash {}: {error}", self.name);
                HalError::new(ErrorKind::InvalidInput, &self.name, message).with_source(error)
            }
        }
    }
}

/// Reads a source from its beginning to `end`.
struct Whole {
    source: Arc<dyn Source>,
    at: u64,
    end: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not more than the buffer, which is a usize.
        let length = (self.end - self.at).min(buffer.len() as u64) as usize;
        self.source.read_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(bytes: Vec<u8>) -> Image {
        Image::from_bytes("test.img", bytes).unwrap()
    }

    #[test]
    fn an_image_that_fits_is_sent_as_it_is() {
        let mut downloads = image(vec![7; 10_000]).downloads(Some(10_000)).unwrap();
        assert_eq!(downloads.len(), 1);
        let mut bytes = Vec::new();
        downloads[0].reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, vec![7; 10_000]);
    }

    #[test]
    fn an_image_that_does_not_fit_becomes_sparse() {
        let mut downloads = image(vec![7; 10_000]).downloads(Some(9000)).unwrap();
        let mut start = [0; 4];
        downloads[0].reader.read_exact(&mut start).unwrap();
        assert!(FileHeader::is_sparse(&start));
    }

    #[test]
    fn what_cannot_be_flashed_is_named() {
        let error = Image::from_bytes("empty.img", Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "empty.img is empty");
        let mut damaged = vec![0; 64];
        damaged[..4].copy_from_slice(&super::super::sparse::format::MAGIC.to_le_bytes());
        let error = image(damaged).downloads(Some(32)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("test.img"), "{error}");
        let error = Image::open(Path::new("/proc")).unwrap_err();
        assert_eq!(error.to_string(), "/proc is not a file");
    }
}
