//! Sparse images: reading them, making them, and splitting them for devices with little memory.
//!
//! Used by [`super::Image`] and by the devices that the rack plays. Positional reads only: the
//! file is never held in memory, and what a hostile file can make us allocate is bounded by
//! [`MAX_PIECES`].

pub mod format;
mod part;

pub use part::{Part, PartReader};

use format::{CHUNK_HEADER, ChunkHeader, ChunkKind, FILE_HEADER, FileHeader};
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// The block size of images that we make from raw ones, as `img2simg` has it.
pub const BLOCK: u32 = 4096;

/// How many pieces an image may have; an image of 16 GiB whose every second block is empty has as
/// many.
pub const MAX_PIECES: usize = 4 << 20;

/// Why an image cannot be read or split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SparseError {
    /// The file does not begin as a sparse image does.
    #[error("it is not a sparse image")]
    NoMagic,
    /// Another version of the format.
    #[error("version {major}.{minor} of the sparse format is not known")]
    Version {
        /// The major version.
        major: u16,
        /// The minor version.
        minor: u16,
    },
    /// The sizes in the file header cannot be.
    #[error("the header of the sparse image is damaged")]
    Header,
    /// No such chunk type.
    #[error("the sparse image has a chunk of unknown type {0:#06x}")]
    ChunkType(u16),
    /// A chunk's length does not follow from its type and blocks.
    #[error("the sparse image has a chunk with an impossible length of {0} bytes")]
    ChunkLength(u32),
    /// The chunks have more or fewer blocks than the header says.
    #[error("the chunks of the sparse image have {found} blocks, its header says {expected}")]
    Blocks {
        /// In all chunks.
        found: u64,
        /// In the header.
        expected: u32,
    },
    /// The file ends before its last chunk does.
    #[error("the sparse image ends too early")]
    Truncated,
    /// A CRC32 chunk does not agree with what is before it.
    #[error("the sparse image has checksum {found:#010x} where it says {expected:#010x}")]
    Checksum {
        /// Of what the file has.
        found: u32,
        /// In the chunk.
        expected: u32,
    },
    /// More pieces than [`MAX_PIECES`], or more blocks than the format can count.
    #[error("the image is too large, or in too many pieces")]
    TooLarge,
    /// A part of this size cannot hold even one block.
    #[error("{0} bytes are too few for a part of a sparse image")]
    LimitTooSmall(u64),
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where images come from: anything that can be read at a position.
pub trait Source: Send + Sync {
    /// Fills `buffer` with what is at `offset`.
    ///
    /// # Errors
    /// When it cannot be read, or ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// When the system cannot say.
    fn length(&self) -> io::Result<u64>;
}

impl Source for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Source for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let found = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }
}

/// What a run of blocks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of the source, from this offset on.
    Data(u64),
    /// These four bytes again and again.
    Fill([u8; 4]),
    /// Left as it is on the device.
    Hole,
    /// No blocks: the CRC-32 of all before it, holes taken as zeros.
    Checksum(u32),
}

/// A run of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How many.
    pub blocks: u32,
    /// What they are.
    pub content: Content,
}

/// What an image consists of, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    block_size: u32,
    blocks: u32,
    pieces: Vec<Piece>,
    /// What the source has: beyond it, the last block of a raw image is zeros.
    source_length: u64,
}

impl Layout {
    /// Reads the headers of a sparse image and checks all of them. Reads no data.
    ///
    /// # Errors
    /// When the image is not sound: see [`SparseError`].
    pub fn of_sparse(source: &impl Source) -> Result<Self, SparseError> {
        let length = source.length()?;
        let mut header = [0; FILE_HEADER];
        if length < FILE_HEADER as u64 {
            return Err(SparseError::NoMagic);
        }
        source.read_at(&mut header, 0)?;
        let header = FileHeader::parse(&header)?;
        let mut layout = Self::empty(header.block_size, length);
        let (mut at, mut found) = (u64::from(header.header_length), 0_u64);
        for _ in 0..header.chunks {
            let (chunk, content) = read_chunk(source, at, &header, length)?;
            at += u64::from(chunk.length);
            if !matches!(content, Content::Checksum(_)) {
                found += u64::from(chunk.blocks);
            }
            // Checked here as well, so that a long list of chunks ends as soon as it is wrong.
            if found > u64::from(header.blocks) {
                break;
            }
            layout.push(chunk.blocks, content)?;
        }
        if found != u64::from(header.blocks) {
            let expected = header.blocks;
            return Err(SparseError::Blocks { found, expected });
        }
        layout.blocks = header.blocks;
        Ok(layout)
    }

    /// Reads a raw image through and finds the blocks that repeat four bytes, which need not be
    /// sent. Holes of the file are zeros like others: a device's flash is not empty.
    ///
    /// # Errors
    /// When it cannot be read, or has more than 2³² blocks.
    pub fn of_raw(source: &impl Source) -> Result<Self, SparseError> {
        let length = source.length()?;
        let block_size = u64::from(BLOCK);
        let blocks = u32::try_from(length.div_ceil(block_size));
        let mut layout = Self::empty(BLOCK, length);
        layout.blocks = blocks.map_err(|_| SparseError::TooLarge)?;
        let mut buffer = vec![0; 256 * BLOCK as usize];
        let mut at = 0;
        while at < length {
            let here = (length - at).min(buffer.len() as u64);
            // Not more than the buffer, which is a usize.
            let chunk = &mut buffer[..here as usize];
            source.read_at(chunk, at)?;
            for (index, block) in chunk.chunks(BLOCK as usize).enumerate() {
                let offset = at + index as u64 * block_size;
                layout.push(1, content_of(block, offset))?;
            }
            at += here;
        }
        Ok(layout)
    }

    fn empty(block_size: u32, source_length: u64) -> Self {
        Self {
            block_size,
            blocks: 0,
            pieces: Vec::new(),
            source_length,
        }
    }

    /// The length of the expanded image.
    pub fn expanded(&self) -> u64 {
        u64::from(self.blocks) * u64::from(self.block_size)
    }

    /// The pieces, in order and without gaps.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Adds a piece, to the last one where that is the same.
    fn push(&mut self, blocks: u32, content: Content) -> Result<(), SparseError> {
        let block_size = u64::from(self.block_size);
        if let Some(last) = self.pieces.last_mut() {
            let joins = match (last.content, content) {
                (Content::Data(before), Content::Data(here)) => {
                    before + u64::from(last.blocks) * block_size == here
                }
                (Content::Checksum(_), _) => false,
                (before, here) => before == here,
            };
            if joins && let Some(sum) = last.blocks.checked_add(blocks) {
                last.blocks = sum;
                return Ok(());
            }
        }
        if blocks == 0 && !matches!(content, Content::Checksum(_)) {
            return Ok(());
        }
        if self.pieces.len() == MAX_PIECES {
            return Err(SparseError::TooLarge);
        }
        self.pieces.push(Piece { blocks, content });
        Ok(())
    }

    /// Expands the image: `write` gets each run of bytes with its offset, in order; holes are left
    /// out. Checksums in the image are verified.
    ///
    /// # Errors
    /// What `write` says, or when the source cannot be read or does not have its checksum.
    pub fn expand(
        &self,
        source: &impl Source,
        mut write: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), SparseError> {
        let sums = |piece: &Piece| matches!(piece.content, Content::Checksum(_));
        let mut sum = self.pieces.iter().any(sums).then(crc32fast::Hasher::new);
        let mut buffer = vec![0; 1 << 18];
        let mut at = 0;
        for piece in &self.pieces {
            if let (Content::Checksum(expected), Some(sum)) = (piece.content, &sum) {
                let found = sum.clone().finalize();
                if found != expected {
                    return Err(SparseError::Checksum { found, expected });
                }
            }
            let mut offset = 0;
            let length = u64::from(piece.blocks) * u64::from(self.block_size);
            if let Content::Hole = piece.content
                && sum.is_none()
            {
                offset = length;
            }
            while offset < length {
                let chunk = &mut buffer[..(length - offset).min(1 << 18) as usize];
                self.fill(source, piece.content, offset, chunk)?;
                if let Some(sum) = &mut sum {
                    sum.update(chunk);
                }
                if piece.content != Content::Hole {
                    write(at + offset, chunk)?;
                }
                offset += chunk.len() as u64;
            }
            at += length;
        }
        Ok(())
    }

    /// The bytes of a piece from `offset` (a multiple of four) in it.
    fn fill(
        &self,
        source: &impl Source,
        content: Content,
        offset: u64,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        match content {
            Content::Data(start) => {
                read_padded(source, self.source_length, start + offset, buffer)?
            }
            Content::Fill(word) => {
                for bytes in buffer.chunks_mut(4) {
                    bytes.copy_from_slice(&word[..bytes.len()]);
                }
            }
            Content::Hole | Content::Checksum(_) => buffer.fill(0),
        }
        Ok(())
    }
}

/// Reads at `offset`; what is beyond `length` is zeros.
fn read_padded(
    source: &impl Source,
    length: u64,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let there = length.saturating_sub(offset).min(buffer.len() as u64);
    // Not more than the buffer, which is a usize.
    let (found, beyond) = buffer.split_at_mut(there as usize);
    if !found.is_empty() {
        source.read_at(found, offset)?;
    }
    beyond.fill(0);
    Ok(())
}

/// Whether a block repeats four bytes. A last block that is too short is data.
fn content_of(block: &[u8], offset: u64) -> Content {
    match block.first_chunk::<4>() {
        // Each word equals the next one.
        Some(word) if block.len() == BLOCK as usize && block[4..] == block[..block.len() - 4] => {
            Content::Fill(*word)
        }
        _ => Content::Data(offset),
    }
}

/// The chunk at `at`, checked to be inside the file.
fn read_chunk(
    source: &impl Source,
    at: u64,
    header: &FileHeader,
    length: u64,
) -> Result<(ChunkHeader, Content), SparseError> {
    let body = at + u64::from(header.chunk_header_length);
    if body > length {
        return Err(SparseError::Truncated);
    }
    let mut bytes = [0; CHUNK_HEADER];
    source.read_at(&mut bytes, at)?;
    let chunk = ChunkHeader::parse(&bytes, header)?;
    if at + u64::from(chunk.length) > length {
        return Err(SparseError::Truncated);
    }
    let mut word = [0; 4];
    if matches!(chunk.kind, ChunkKind::Fill | ChunkKind::Crc32) {
        source.read_at(&mut word, body)?;
    }
    let content = match chunk.kind {
        ChunkKind::Raw => Content::Data(body),
        ChunkKind::Fill => Content::Fill(word),
        ChunkKind::DontCare => Content::Hole,
        ChunkKind::Crc32 => Content::Checksum(u32::from_le_bytes(word)),
    };
    let blocks = if chunk.kind == ChunkKind::Crc32 {
        0
    } else {
        chunk.blocks
    };
    Ok((ChunkHeader { blocks, ..chunk }, content))
}

#[cfg(test)]
mod tests;
