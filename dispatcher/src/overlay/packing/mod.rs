//! How images are compressed: the streams that Linux unpacks, read and written one at a time.

pub(super) mod lz4;

use std::io::{self, BufRead, Read, Write};

/// A kind of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Bzip2,
    Xz,
    /// The format before xz, "alone".
    Lzma,
    Zstd,
    /// The legacy frame, which is what Linux knows.
    Lz4,
}

/// Memory an xz decoder may take; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// The largest Zstandard window, as a power of two: what `zstd --ultra -22` writes.
const ZSTD_WINDOW: u32 = 27;

impl Packing {
    /// How many of the first bytes [`Packing::sniff`] wants.
    pub(super) const SNIFFED: u64 = 6;

    /// The name in job definitions, where there is one.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Gzip => "gz",
            Self::Bzip2 => "bz2",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    /// By the first bytes, as `lib/decompress.c` of Linux does; `None` for anything else.
    pub(super) fn sniff(start: &[u8]) -> Option<Self> {
        const MAGIC: &[(&[u8], Packing)] = &[
            (&[0x1f, 0x8b], Packing::Gzip),
            (b"BZh", Packing::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Packing::Xz),
            (&[0x5d, 0, 0], Packing::Lzma),
            (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
            (&lz4::MAGIC, Packing::Lz4),
        ];
        MAGIC
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
            .map(|&(_, packing)| packing)
    }

    /// A reader of what one stream holds; it takes no more of `input` than that stream.
    ///
    /// Its errors are `UnexpectedEof` for a stream that is cut and others for one that is
    /// damaged; errors of `input` pass through.
    pub(super) fn decoder<'a>(self, input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        use liblzma::{bufread::XzDecoder, stream::Stream};
        Ok(match self {
            Self::Plain => Box::new(input),
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
            Self::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(io::Error::other)?;
                Box::new(XzDecoder::new_stream(input, stream))
            }
            Self::Lzma => {
                let stream = Stream::new_lzma_decoder(XZ_MEMORY).map_err(io::Error::other)?;
                Box::new(XzDecoder::new_stream(input, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
            Self::Lz4 => Box::new(lz4::Decoder::new(input)),
        })
    }

    /// A reader of a whole file, which may be several streams in a row.
    pub(super) fn file_decoder<'a>(
        self,
        input: impl BufRead + 'a,
    ) -> io::Result<Box<dyn Read + 'a>> {
        use liblzma::{
            bufread::XzDecoder,
            stream::{CONCATENATED, Stream},
        };
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)
                    .map_err(io::Error::other)?;
                Box::new(XzDecoder::new_stream(input, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
            Self::Plain | Self::Lzma | Self::Lz4 => self.decoder(input)?,
        })
    }

    /// A writer of one stream, of which time matters more than size: it is read once.
    ///
    /// [`Packing::Lzma`] is written as plain bytes, which may follow such a stream.
    pub(super) fn encoder<W: Write>(self, output: W) -> io::Result<Encoder<W>> {
        use liblzma::{
            stream::{Check, Stream},
            write::XzEncoder,
        };
        Ok(match self {
            Self::Plain | Self::Lzma => Encoder::Plain(output),
            Self::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(
                output,
                flate2::Compression::fast(),
            )),
            Self::Bzip2 => Encoder::Bzip2(bzip2::write::BzEncoder::new(
                output,
                bzip2::Compression::fast(),
            )),
            Self::Xz => {
                // Linux verifies no other check (Documentation/staging/xz.rst).
                let stream = Stream::new_easy_encoder(1, Check::Crc32).map_err(io::Error::other)?;
                Encoder::Xz(XzEncoder::new_stream(output, stream))
            }
            Self::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(output, 3)?),
            Self::Lz4 => Encoder::Lz4(lz4::StoringEncoder::new(output)?),
        })
    }
}

/// Compresses what is written.
pub(super) enum Encoder<W: Write> {
    Plain(W),
    Gzip(flate2::write::GzEncoder<W>),
    Bzip2(bzip2::write::BzEncoder<W>),
    Xz(liblzma::write::XzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Lz4(lz4::StoringEncoder<W>),
}

impl<W: Write> Encoder<W> {
    /// Ends the stream.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(output) => Ok(output),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Lz4(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
            Self::Xz(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Lz4(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Bzip2(encoder) => encoder.flush(),
            Self::Xz(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Lz4(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Packing; 5] = [
        Packing::Gzip,
        Packing::Bzip2,
        Packing::Xz,
        Packing::Zstd,
        Packing::Lz4,
    ];

    fn packed(packing: Packing, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = packing.encoder(Vec::new()).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_decoder_takes_its_own_stream_and_no_more() {
        let bytes = b"some text that is packed ".repeat(400);
        for packing in ALL {
            let mut stream = packed(packing, &bytes);
            assert_eq!(Packing::sniff(&stream), Some(packing));
            if packing != Packing::Lz4 {
                // LZ4 has no end: its decoder reads on.
                stream.extend(b"rest");
            }
            let mut input = stream.as_slice();
            let mut out = Vec::new();
            packing
                .decoder(&mut input)
                .unwrap()
                .read_to_end(&mut out)
                .unwrap();
            assert_eq!(out, bytes, "{packing:?}");
            if packing != Packing::Lz4 {
                assert_eq!(input, b"rest", "{packing:?}");
            }
        }
    }

    #[test]
    fn a_file_may_be_several_streams() {
        for packing in ALL {
            let mut file = packed(packing, b"one ");
            file.extend(packed(packing, b"two"));
            let mut out = Vec::new();
            packing
                .file_decoder(file.as_slice())
                .unwrap()
                .read_to_end(&mut out)
                .unwrap();
            assert_eq!(out, b"one two", "{packing:?}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_is_noticed() {
        let bytes: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        for packing in ALL {
            let stream = packed(packing, &bytes);
            let cut = &stream[..stream.len() * 2 / 3];
            let result = packing
                .decoder(cut)
                .and_then(|mut decoder| decoder.read_to_end(&mut Vec::new()));
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{packing:?}");
        }
    }
}
