//! Splitting: each part of an image is a sparse image of its own that skips what others bring.

use super::{
    Content, Layout, Piece, Source, SparseError,
    format::{CHUNK_HEADER, ChunkHeader, ChunkKind, FILE_HEADER, FileHeader},
    read_padded,
};
use std::{io, vec::IntoIter};

const HEADER: u64 = FILE_HEADER as u64;
const CHUNK: u64 = CHUNK_HEADER as u64;

/// A part of an image: a sparse image with all of the image's blocks, most of them holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    block_size: u32,
    blocks: u32,
    pieces: Vec<Piece>,
    size: u64,
    source_length: u64,
}

impl Part {
    fn new(layout: &Layout) -> Self {
        Self {
            block_size: layout.block_size,
            blocks: layout.blocks,
            pieces: Vec::new(),
            size: HEADER,
            source_length: layout.source_length,
        }
    }

    /// Its length in bytes, when it is sent.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The part as bytes, from the `source` that its layout was made of.
    pub fn reader<S: Source>(&self, source: S) -> PartReader<S> {
        let header = FileHeader {
            header_length: FILE_HEADER as u16,
            chunk_header_length: CHUNK_HEADER as u16,
            block_size: self.block_size,
            blocks: self.blocks,
            chunks: self.pieces.len() as u32,
        };
        PartReader {
            source,
            source_length: self.source_length,
            block_size: self.block_size,
            pieces: self.pieces.clone().into_iter(),
            head: header.to_bytes().to_vec(),
            head_sent: 0,
            data: (0, 0),
        }
    }

    fn push(&mut self, blocks: u32, content: Content) {
        let piece = Piece { blocks, content };
        self.size += CHUNK + body(&piece, self.block_size);
        self.pieces.push(piece);
    }
}

impl Layout {
    /// Splits the image into parts of at most `limit` bytes each. Checksums are left out: they
    /// are of the whole image. There is at least one part.
    ///
    /// # Errors
    /// `LimitTooSmall` when not even a block fits into a part.
    pub fn split(&self, limit: u64) -> Result<Vec<Part>, SparseError> {
        // A chunk's length has 32 bits, and so have downloads.
        let limit = limit.min(u64::from(u32::MAX));
        let mut splitter = Splitter {
            layout: self,
            limit,
            part: Part::new(self),
            end: 0,
            parts: Vec::new(),
        };
        let mut at = 0;
        for piece in &self.pieces {
            if matches!(piece.content, Content::Data(_) | Content::Fill(_)) {
                splitter.add(at, *piece)?;
            }
            at += piece.blocks;
        }
        if splitter.end > 0 || splitter.parts.is_empty() {
            splitter.close();
        }
        Ok(splitter.parts)
    }
}

struct Splitter<'a> {
    layout: &'a Layout,
    limit: u64,
    part: Part,
    /// The block after the last one of `part`; 0 when the part is empty.
    end: u32,
    parts: Vec<Part>,
}

impl Splitter<'_> {
    /// Adds `piece`, whose first block is `at`, to this part and as many more as it needs.
    fn add(&mut self, mut at: u32, mut piece: Piece) -> Result<(), SparseError> {
        while piece.blocks > 0 {
            let room = self.room(at);
            let fits = match piece.content {
                Content::Data(_) => room / u64::from(self.layout.block_size),
                _ if room >= 4 => u64::from(piece.blocks),
                _ => 0,
            };
            let blocks = u32::try_from(fits).unwrap_or(u32::MAX).min(piece.blocks);
            if blocks == 0 {
                if self.end == 0 {
                    return Err(SparseError::LimitTooSmall(self.limit));
                }
                self.close();
                continue;
            }
            if at > self.end {
                self.part.push(at - self.end, Content::Hole);
            }
            self.part.push(blocks, piece.content);
            at += blocks;
            self.end = at;
            piece.blocks -= blocks;
            if let Content::Data(offset) = &mut piece.content {
                *offset += u64::from(blocks) * u64::from(self.layout.block_size);
            }
        }
        Ok(())
    }

    /// How long the body of a chunk at `at` may be: what is left without the headers of the hole
    /// before it, of itself, and of the hole after it.
    fn room(&self, at: u32) -> u64 {
        let hole = if at > self.end { CHUNK } else { 0 };
        self.limit.saturating_sub(self.part.size + hole + 2 * CHUNK)
    }

    fn close(&mut self) {
        let mut part = std::mem::replace(&mut self.part, Part::new(self.layout));
        let rest = self.layout.blocks - self.end;
        if rest > 0 {
            part.push(rest, Content::Hole);
        }
        self.end = 0;
        self.parts.push(part);
    }
}

/// How many bytes follow a piece's chunk header.
fn body(piece: &Piece, block_size: u32) -> u64 {
    match piece.content {
        Content::Data(_) => u64::from(piece.blocks) * u64::from(block_size),
        Content::Fill(_) | Content::Checksum(_) => 4,
        Content::Hole => 0,
    }
}

/// Reads a [`Part`] as the bytes of a sparse image.
#[derive(Debug)]
pub struct PartReader<S> {
    source: S,
    source_length: u64,
    block_size: u32,
    pieces: IntoIter<Piece>,
    /// A header that is being read, and how far.
    head: Vec<u8>,
    head_sent: usize,
    /// The offset in the source and the length of data that is being read.
    data: (u64, u64),
}

impl<S> PartReader<S> {
    /// Goes on to the next chunk; false at the end.
    fn advance(&mut self) -> bool {
        let Some(piece) = self.pieces.next() else {
            return false;
        };
        let length = body(&piece, self.block_size);
        self.data = (0, 0);
        let mut word = None;
        let kind = match piece.content {
            Content::Data(offset) => {
                self.data = (offset, length);
                ChunkKind::Raw
            }
            Content::Fill(bytes) => {
                word = Some(bytes);
                ChunkKind::Fill
            }
            Content::Hole => ChunkKind::DontCare,
            Content::Checksum(sum) => {
                word = Some(sum.to_le_bytes());
                ChunkKind::Crc32
            }
        };
        let header = ChunkHeader {
            kind,
            blocks: piece.blocks,
            // A part is at most `u32::MAX` bytes long.
            length: (CHUNK + length) as u32,
        };
        self.head.clear();
        self.head.extend_from_slice(&header.to_bytes());
        self.head.extend(word.into_iter().flatten());
        self.head_sent = 0;
        true
    }
}

impl<S: Source> io::Read for PartReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let head = &self.head[self.head_sent..];
            if !head.is_empty() {
                let length = head.len().min(buffer.len());
                buffer[..length].copy_from_slice(&head[..length]);
                self.head_sent += length;
                return Ok(length);
            }
            let (offset, left) = self.data;
            if left > 0 {
                // Not more than the buffer, which is a usize.
                let length = left.min(buffer.len() as u64);
                let buffer = &mut buffer[..length as usize];
                read_padded(&self.source, self.source_length, offset, buffer)?;
                self.data = (offset + length, left - length);
                return Ok(buffer.len());
            }
            if !self.advance() {
                return Ok(0);
            }
        }
    }
}
