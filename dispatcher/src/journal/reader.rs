//! Reads a journal, also while it grows.

use super::JournalError;
use fs_err::File;
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use wire::journal::{
    Entry, Header, Record,
    frame::{self, DecodeError},
};

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// The entries of a journal in order.
///
/// It holds one block, or one entry when that is longer (at most [`frame::MAX_PAYLOAD`]), and takes
/// no lock, so it may follow a journal that is being written.
#[derive(Debug)]
pub struct Reader<R = File> {
    path: PathBuf,
    source: R,
    /// Bytes read; those before `start` are done with.
    buffer: Vec<u8>,
    start: usize,
    /// Where `start` lies in the file.
    offset: u64,
    in_prelude: bool,
}

impl Reader {
    /// Opens a journal.
    ///
    /// # Errors
    /// The file cannot be opened. That it is no journal shows with the first entry.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(|error| JournalError::io(path, error))?;
        Ok(Self::new(path, file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads a journal from anything; errors name `path`.
    pub fn new(path: &Path, source: R) -> Self {
        Self {
            path: path.to_owned(),
            source,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            in_prelude: true,
        }
    }

    /// The next entry, or `None` when there is no whole one yet. Ask again to follow a journal
    /// that grows.
    ///
    /// # Errors
    /// The file cannot be read, is no journal, has an unknown version, or was damaged: then each
    /// further call gives the same error.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        loop {
            if let Some(entry) = self.take_entry()? {
                return Ok(Some(entry));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The first entry, which says which job this is and when it began.
    ///
    /// # Errors
    /// As for [`Self::next_entry`]; or the first record is no header or is not there yet.
    pub fn read_header(&mut self) -> Result<Header, JournalError> {
        match self.next_entry()?.map(|entry| entry.record) {
            Some(Record::Header(header)) => Ok(header),
            _ => Err(JournalError::NoHeader {
                path: self.path.clone(),
            }),
        }
    }

    /// Where the next entry begins: the length of what was read and understood so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes were read that do not make a whole entry (yet): after the writer's end, a
    /// torn tail.
    pub fn incomplete_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn take_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        if self.in_prelude {
            match self.check(frame::check_prelude(&self.buffer[self.start..]))? {
                Some(length) => self.advance(length),
                None => return Ok(None),
            }
            self.in_prelude = false;
        }
        let decoded = self.check(frame::decode(&self.buffer[self.start..]))?;
        Ok(decoded.map(|(entry, length)| {
            self.advance(length);
            entry
        }))
    }

    fn check<T>(&self, result: Result<T, DecodeError>) -> Result<T, JournalError> {
        result.map_err(|source| JournalError::Damaged {
            path: self.path.clone(),
            offset: self.offset,
            source,
        })
    }

    fn advance(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads another block; false at the (present) end of the file.
    fn fill(&mut self) -> Result<bool, JournalError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let count = self
            .source
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|error| JournalError::io(&self.path, error))?;
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * BLOCK {
            self.buffer = Vec::new();
        }
        Ok(count > 0)
    }
}
