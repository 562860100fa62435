//! The legacy frames of LZ4, the kind that Linux knows for images.
//!
//! A frame is its magic and blocks, each with its compressed length before it; nothing marks the
//! end. Sources: the LZ4 block and frame format descriptions, and `lib/decompress_unlz4.c` of
//! Linux, which takes another magic in the place of a length for a further frame.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

/// What a frame starts with.
pub(super) const MAGIC: [u8; 4] = 0x184C_2102_u32.to_le_bytes();

/// The most a block holds.
const BLOCK: usize = 8 << 20;

/// The most a block takes when it cannot be compressed.
const LONGEST: usize = BLOCK + BLOCK / 255 + 16;

/// Reads frames one after the other to the end of the input.
pub(super) struct Decoder<R> {
    input: R,
    compressed: Vec<u8>,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> Decoder<R> {
    /// `input` starts with the magic.
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            compressed: Vec::new(),
            block: Vec::new(),
            at: 0,
        }
    }

    /// Reads a block; `false` at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        loop {
            // Fewer than four bytes, and zeros, are padding after the last block.
            if !read_all(&mut self.input, &mut length)? || length == [0; 4] {
                return Ok(false);
            }
            if length != MAGIC {
                break;
            }
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(damaged("a block is longer than any can be"));
        }
        self.compressed.resize(length, 0);
        self.input.read_exact(&mut self.compressed)?;
        self.block.clear();
        self.at = 0;
        decompress(&self.compressed, &mut self.block)?;
        Ok(true)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.block.len() - self.at);
        buffer[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// How many bytes the frames at the beginning of `input` take, without padding after them.
///
/// A further frame must begin just there: Linux reads on in fours, and takes padding of one to
/// three bytes for a part of the next length.
pub(in crate::overlay) fn extent(input: &mut (impl Read + Seek)) -> io::Result<u64> {
    let begin = input.stream_position()?;
    let mut end = begin;
    let mut length = [0; 4];
    while read_all(input, &mut length)? && length != [0; 4] {
        if length != MAGIC {
            let block = u32::from_le_bytes(length);
            input.seek(SeekFrom::Current(i64::from(block)))?;
        }
        end = input.stream_position()?;
    }
    Ok(end - begin)
}

/// Writes a frame whose blocks hold everything as literals: no smaller, and valid everywhere.
pub(in crate::overlay) struct StoringEncoder<W: Write> {
    output: W,
    pending: Vec<u8>,
}

/// How much goes into one block: its length with overhead stays below what Linux takes.
const STORED: usize = 1 << 20;

impl<W: Write> StoringEncoder<W> {
    pub(super) fn new(mut output: W) -> io::Result<Self> {
        output.write_all(&MAGIC)?;
        Ok(Self {
            output,
            pending: Vec::new(),
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        Ok(self.output)
    }

    fn write_block(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut block = Vec::with_capacity(self.pending.len() + self.pending.len() / 255 + 2);
        match self.pending.len().checked_sub(15) {
            None => block.push((self.pending.len() as u8) << 4),
            Some(rest) => {
                block.push(0xF0);
                block.extend(std::iter::repeat_n(0xFF, rest / 255));
                block.push((rest % 255) as u8);
            }
        }
        block.append(&mut self.pending);
        self.output.write_all(&(block.len() as u32).to_le_bytes())?;
        self.output.write_all(&block)
    }
}

impl<W: Write> Write for StoringEncoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(STORED - self.pending.len());
        self.pending.extend_from_slice(&bytes[..length]);
        if self.pending.len() == STORED {
            self.write_block()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Decompresses one block: tokens, each with literals and a copy from what came before.
fn decompress(mut input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    while let Some((&token, rest)) = input.split_first() {
        input = rest;
        let literals = length(usize::from(token >> 4), &mut input)?;
        let (copied, rest) = input
            .split_at_checked(literals)
            .ok_or_else(|| damaged("literals are cut"))?;
        input = rest;
        grow(out, literals)?;
        out.extend_from_slice(copied);
        if input.is_empty() {
            // The last sequence has literals only.
            return Ok(());
        }
        let (offset, rest) = input
            .split_first_chunk::<2>()
            .ok_or_else(|| damaged("a copy is cut"))?;
        input = rest;
        let offset = usize::from(u16::from_le_bytes(*offset));
        let count = length(usize::from(token & 15), &mut input)? + 4;
        let Some(from) = out.len().checked_sub(offset).filter(|_| offset > 0) else {
            return Err(damaged("a copy begins before the block"));
        };
        grow(out, count)?;
        // Source and copy may overlap: a short pattern is repeated.
        for at in from..from + count {
            out.push(out[at]);
        }
    }
    Ok(())
}

/// A length whose first four bits may be continued.
fn length(start: usize, input: &mut &[u8]) -> io::Result<usize> {
    let mut length = start;
    if start < 15 {
        return Ok(length);
    }
    loop {
        let (&byte, rest) = input
            .split_first()
            .ok_or_else(|| damaged("a length is cut"))?;
        *input = rest;
        length += usize::from(byte);
        if byte != 255 {
            return Ok(length);
        }
    }
}

fn grow(out: &[u8], by: usize) -> io::Result<()> {
    if out.len() + by > BLOCK {
        return Err(damaged("a block holds more than it may"));
    }
    Ok(())
}

/// Fills `buffer`; `false` when the input ends before.
fn read_all(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("damaged LZ4 data: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = StoringEncoder::new(Vec::new()).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn what_was_stored_is_read_again(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            repeat in prop_oneof![Just(1_usize), Just(700)],
        ) {
            let bytes = bytes.repeat(repeat);
            prop_assert_eq!(decoded(&stored(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut frame = MAGIC.to_vec();
            frame.extend((bytes.len() as u32).to_le_bytes());
            frame.extend(bytes);
            let _ = decoded(&frame);
        }
    }

    #[test]
    fn copies_may_overlap_and_frames_may_follow() {
        // "ab", then 8 bytes from 2 before: "abababab"; last literals "c".
        let block = [0x24, b'a', b'b', 2, 0, 0x10, b'c'];
        let mut frame = MAGIC.to_vec();
        frame.extend((block.len() as u32).to_le_bytes());
        frame.extend(block);
        let mut two = frame.clone();
        two.extend(&frame);
        let length = two.len() as u64;
        two.extend([0; 7]);
        assert_eq!(extent(&mut io::Cursor::new(&two)).unwrap(), length);
        assert_eq!(decoded(&two).unwrap(), b"abababababcabababababc");
    }
}
