//! Compressed streams: which kinds there are, and how they are read.

use super::{ArchiveError, error::printable};
use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
    str::FromStr,
};

/// How a file is compressed. The names are those of LAVA's key `compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// gzip; several members in a row are one file (RFC 1952 §2.2).
    Gzip,
    /// bzip2, several streams in a row included.
    Bzip2,
    /// xz, several streams and padding included.
    Xz,
    /// Zstandard, several frames in a row included (RFC 8878 §3).
    Zstd,
    /// zip. Its directory is at the end, so it is never read as a stream.
    Zip,
}

/// A name that is no compression.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown compression `{0}`; known are gz, bz2, xz, zstd and zip")]
pub struct UnknownCompression(String);

/// Memory an xz decoder may take. `xz -9` needs 65 MiB; more only comes from special options.
const XZ_MEMORY_LIMIT: u64 = 128 << 20;

/// Largest Zstandard window, as a power of two: what `zstd --ultra -22` writes.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How much is read from the compressed side at once.
const INPUT_BUFFER: usize = 64 << 10;

impl Compression {
    /// The name in job definitions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Bzip2 => "bz2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        }
    }

    /// Recognises a stream by its first bytes; at least six are needed for every kind.
    pub fn sniff(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 5] = [
            (&[0x1f, 0x8b], Compression::Gzip),
            (b"BZh", Compression::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            (b"PK\x03\x04", Compression::Zip),
        ];
        MAGIC
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
            .map(|&(_, kind)| kind)
    }

    /// A reader of the decompressed bytes, `None` for [`Compression::Zip`], which is no stream.
    ///
    /// Its errors are `UnexpectedEof` for a stream that is cut and `InvalidData` for one that is
    /// damaged; an error of `source` itself passes through recognisably, so that
    /// [`ArchiveError::from_read`] never takes a broken network for a broken file.
    ///
    /// The first bytes are read at once: an empty file is a stream that was cut.
    ///
    /// # Errors
    /// When there are no bytes, they cannot be read, or the decoder cannot be set up.
    pub fn decoder<'a>(
        self,
        source: impl Read + Send + 'a,
    ) -> io::Result<Option<Box<dyn Read + Send + 'a>>> {
        if self == Self::Zip {
            return Ok(None);
        }
        let mut input = BufReader::with_capacity(INPUT_BUFFER, Source(source));
        if input.fill_buf()?.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "there are no bytes at all",
            ));
        }
        let inner: Box<dyn Read + Send + 'a> = match self {
            Self::Gzip => Box::new(GzipMembers::new(input)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY_LIMIT,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(io::Error::other)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Zip => return Ok(None),
        };
        Ok(Some(Box::new(Normalised {
            inner,
            compression: self,
        })))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Gzip, Self::Bzip2, Self::Xz, Self::Zstd, Self::Zip]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownCompression(printable(name)))
    }
}

impl From<UnknownCompression> for ArchiveError {
    fn from(error: UnknownCompression) -> Self {
        Self::Corrupt {
            detail: error.to_string(),
        }
    }
}

/// An error of what delivers the compressed bytes, carried through a decoder unharmed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct SourceError(io::Error);

impl SourceError {
    /// `Err` with the source's own error, `Ok` with one about the data.
    pub(super) fn recover(error: io::Error) -> Result<io::Error, io::Error> {
        match error.downcast::<Self>() {
            Ok(source) => Err(source.0),
            Err(data) => Ok(data),
        }
    }
}

/// Marks the errors of the reader below a decoder.
struct Source<R>(R);

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, SourceError(error)),
        })
    }
}

/// Gives the errors of all decoders the same two kinds.
struct Normalised<'a> {
    inner: Box<dyn Read + Send + 'a>,
    compression: Compression,
}

impl Read for Normalised<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let from_source = error
                .get_ref()
                .is_some_and(|inner| inner.is::<SourceError>());
            match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => error,
                _ if from_source => error,
                _ => io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("no valid {} stream ({error})", self.compression),
                ),
            }
        })
    }
}

/// Reads gzip members one after the other.
///
/// Like gzip(1) it takes zeros after a member for padding (tapes and U-Boot's images have them);
/// any other rest is an error, since it would silently be lost.
struct GzipMembers<R: BufRead> {
    member: Option<flate2::bufread::GzDecoder<R>>,
    padding: bool,
}

impl<R: BufRead> GzipMembers<R> {
    fn new(input: R) -> Self {
        Self {
            member: Some(flate2::bufread::GzDecoder::new(input)),
            padding: false,
        }
    }

    /// Looks at what follows a member: the next one, or nothing.
    fn advance(&mut self, mut input: R) -> io::Result<()> {
        loop {
            let rest = input.fill_buf()?;
            match rest.first() {
                None => return Ok(()),
                Some(0) => {
                    let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
                    input.consume(zeros);
                    self.padding = true;
                }
                Some(0x1f) if !self.padding => {
                    self.member = Some(flate2::bufread::GzDecoder::new(input));
                    return Ok(());
                }
                Some(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "something else follows its end",
                    ));
                }
            }
        }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if let Some(finished) = self.member.take() {
                self.advance(finished.into_inner())?;
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn compressed(kind: Compression, bytes: &[u8]) -> Vec<u8> {
        match kind {
            Compression::Gzip => gzip(bytes),
            Compression::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Compression::Zip => unreachable!("no stream"),
        }
    }

    const STREAMS: [Compression; 4] = [
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Xz,
        Compression::Zstd,
    ];

    fn decode(kind: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut output = Vec::new();
        kind.decoder(bytes)?.unwrap().read_to_end(&mut output)?;
        Ok(output)
    }

    #[test]
    fn names_are_those_of_job_definitions() {
        for kind in STREAMS.into_iter().chain([Compression::Zip]) {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!(
            "gzip"
                .parse::<Compression>()
                .unwrap_err()
                .to_string()
                .contains("gz, bz2")
        );
    }

    #[test]
    fn streams_in_a_row_are_one_file() {
        for kind in STREAMS {
            let mut bytes = compressed(kind, b"first ");
            bytes.extend(compressed(kind, b"second"));
            assert_eq!(decode(kind, &bytes).unwrap(), b"first second", "{kind}");
            assert_eq!(Compression::sniff(&bytes), Some(kind));
        }
    }

    #[test]
    fn gzip_padding_is_skipped_and_other_rests_are_refused() {
        let mut bytes = gzip(b"kernel");
        bytes.extend([0; 700]);
        assert_eq!(decode(Compression::Gzip, &bytes).unwrap(), b"kernel");
        bytes.push(b'x');
        assert_eq!(
            decode(Compression::Gzip, &bytes).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let mut garbage = gzip(b"kernel");
        garbage.extend(b"<html>");
        assert_eq!(
            decode(Compression::Gzip, &garbage).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn every_cut_is_seen_as_a_cut() {
        let text: Vec<u8> = (0..2000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        for kind in STREAMS {
            let whole = compressed(kind, &text);
            for length in [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
                let error = decode(kind, &whole[..length]).unwrap_err();
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof,
                    "{kind} cut at {length}"
                );
            }
        }
    }

    #[test]
    fn another_kind_of_file_is_damaged_data() {
        for kind in STREAMS {
            let error = decode(kind, b"<!doctype html><title>Sign in</title>").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{kind}: {error}");
            assert!(error.to_string().contains(kind.name()));
        }
    }

    #[test]
    fn errors_of_the_source_pass_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::InvalidData, "cable"))
            }
        }
        for kind in STREAMS {
            let error = kind.decoder(Broken).err().expect("the first read fails");
            let sorted = ArchiveError::from_read(error, None);
            assert!(
                matches!(sorted, ArchiveError::Input(_)),
                "{kind}: {sorted:?}"
            );
        }
    }
}
