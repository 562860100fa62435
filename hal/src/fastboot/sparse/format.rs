//! The bytes of a sparse image: version 1.0 of Android's format, as `libsparse` writes and reads it.
//!
//! Pure: from bytes to values and back, with every length checked.

use super::SparseError;

/// The first four bytes of a sparse image.
pub const MAGIC: u32 = 0xED26_FF3A;

/// The length of the file header.
pub const FILE_HEADER: usize = 28;

/// The length of each chunk's header.
pub const CHUNK_HEADER: usize = 12;

/// The file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The length of this header in the file; longer in a later minor version.
    pub header_length: u16,
    /// The length of each chunk's header in the file.
    pub chunk_header_length: u16,
    /// In bytes, a multiple of four.
    pub block_size: u32,
    /// What the image has when it is expanded.
    pub blocks: u32,
    /// How many chunks follow.
    pub chunks: u32,
}

impl FileHeader {
    /// Whether `start`, the beginning of a file, is that of a sparse image.
    pub fn is_sparse(start: &[u8]) -> bool {
        start.starts_with(&MAGIC.to_le_bytes())
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// When it is none, of another version, or when its sizes cannot be.
    pub fn parse(bytes: &[u8; FILE_HEADER]) -> Result<Self, SparseError> {
        if u32_at(bytes, 0) != MAGIC {
            return Err(SparseError::NoMagic);
        }
        let (major, minor) = (u16_at(bytes, 4), u16_at(bytes, 6));
        if major != 1 {
            return Err(SparseError::Version { major, minor });
        }
        let header = Self {
            header_length: u16_at(bytes, 8),
            chunk_header_length: u16_at(bytes, 10),
            block_size: u32_at(bytes, 12),
            blocks: u32_at(bytes, 16),
            chunks: u32_at(bytes, 20),
        };
        let sound = usize::from(header.header_length) >= FILE_HEADER
            && usize::from(header.chunk_header_length) >= CHUNK_HEADER
            && header.block_size != 0
            && header.block_size.is_multiple_of(4);
        if sound {
            Ok(header)
        } else {
            Err(SparseError::Header)
        }
    }

    /// As it is written: the checksum of the whole image stays 0, which means "none".
    pub fn to_bytes(self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..6].copy_from_slice(&1_u16.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.header_length.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.chunk_header_length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.block_size.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.chunks.to_le_bytes());
        bytes
    }

    /// The length of the image when it is expanded.
    pub fn expanded(&self) -> u64 {
        u64::from(self.blocks) * u64::from(self.block_size)
    }
}

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// Its blocks follow.
    Raw,
    /// Its blocks repeat four bytes.
    Fill,
    /// Its blocks stay as they are.
    DontCare,
    /// No blocks: the CRC-32 of everything before it.
    Crc32,
}

/// A chunk's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// What it is.
    pub kind: ChunkKind,
    /// How many blocks it stands for.
    pub blocks: u32,
    /// How many bytes of the file belong to it, with its header.
    pub length: u32,
}

impl ChunkHeader {
    /// Reads a header and checks its length against what it stands for in `file`.
    ///
    /// # Errors
    /// When the type is unknown, or when the length is not what this chunk must have.
    pub fn parse(bytes: &[u8; CHUNK_HEADER], file: &FileHeader) -> Result<Self, SparseError> {
        let (number, blocks, length) = (u16_at(bytes, 0), u32_at(bytes, 4), u32_at(bytes, 8));
        let raw = u64::from(blocks) * u64::from(file.block_size);
        let (kind, body) = match number {
            0xCAC1 => (ChunkKind::Raw, raw),
            0xCAC2 => (ChunkKind::Fill, 4),
            0xCAC3 => (ChunkKind::DontCare, 0),
            0xCAC4 => (ChunkKind::Crc32, 4),
            _ => return Err(SparseError::ChunkType(number)),
        };
        if u64::from(length) != u64::from(file.chunk_header_length) + body {
            return Err(SparseError::ChunkLength(length));
        }
        Ok(Self {
            kind,
            blocks,
            length,
        })
    }

    /// As it is written.
    pub fn to_bytes(self) -> [u8; CHUNK_HEADER] {
        let number: u16 = match self.kind {
            ChunkKind::Raw => 0xCAC1,
            ChunkKind::Fill => 0xCAC2,
            ChunkKind::DontCare => 0xCAC3,
            ChunkKind::Crc32 => 0xCAC4,
        };
        let mut bytes = [0; CHUNK_HEADER];
        bytes[0..2].copy_from_slice(&number.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
