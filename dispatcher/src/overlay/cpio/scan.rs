//! Reads an initramfs image as Linux does, without unpacking it.

use super::header::{Header, HeaderError, LENGTH, TRAILER, padding};
use crate::overlay::{
    files::{io_fault, read_fault},
    inject::names::{Names, from_bytes},
    packing::{Packing, lz4},
};
use fs_err as fs;
use job::Fault;
use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};
use tokio_util::sync::CancellationToken;

/// A part of an image: a run of plain archives, or what one compressed stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Segment {
    /// Where it begins.
    pub(in super::super) offset: u64,
    pub(in super::super) packing: Packing,
    /// How many members it has, trailers not counted.
    pub(in super::super) members: u64,
}

/// What an image holds.
#[derive(Debug)]
pub(in super::super) struct Image {
    pub(in super::super) segments: Vec<Segment>,
    /// Its directories and links.
    pub(in super::super) names: Names,
    /// Where a further segment goes, but for padding to a multiple of four.
    pub(in super::super) end: u64,
    /// What must stay last, after that segment: the boot configuration.
    pub(in super::super) tail: Vec<u8>,
}

/// The most an image may unpack to.
const UNPACKED_LIMIT: u64 = 64 << 30;
/// The longest target of a link, as Linux has it.
const LONGEST_TARGET: u32 = 4096;

const TYPE_MASK: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Reads the whole image, in bounded memory.
pub(in super::super) fn scan(path: &Path, cancel: &CancellationToken) -> Result<Image, Fault> {
    let (mut file, _) = fs::File::open(path)
        .map_err(|error| io_fault(&error))?
        .into_parts();
    let (end, tail) = split_tail(&mut file).map_err(|error| read_fault(path, &error))?;
    let mut input = Counted {
        inner: BufReader::with_capacity(1 << 16, (&file).take(end)),
        position: 0,
    };
    let mut scan = Scan {
        names: Names::default(),
        unpacked: 0,
        cancel,
    };
    let mut segments = Vec::new();
    while let Some(segment) = scan
        .segment(&mut input)
        .map_err(|problem| problem.into_fault(path, input.position))?
    {
        segments.push(segment);
    }
    if segments
        .iter()
        .all(|segment: &Segment| segment.members == 0)
    {
        return Err(Problem::Empty.into_fault(path, 0));
    }
    let end = match segments.last() {
        Some(last) if last.packing == Packing::Lz4 => file
            .seek(SeekFrom::Start(last.offset))
            .and_then(|offset| Ok(offset + lz4::extent(&mut file)?))
            .map_err(|error| read_fault(path, &error))?,
        _ => end,
    };
    Ok(Image {
        segments,
        names: scan.names,
        end,
        tail,
    })
}

/// Why an image is none, or cannot be read.
#[derive(Debug)]
enum Problem {
    Fault(Fault),
    Read(io::Error),
    Header(HeaderError),
    /// Neither an archive nor a compressed stream.
    Foreign(Vec<u8>),
    Padding,
    Truncated,
    TooLarge,
    Empty,
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Read(error),
        }
    }
}

impl Problem {
    fn into_fault(self, path: &Path, position: u64) -> Fault {
        const MAKE: &str = "make it with 'find . | cpio -o -H newc', compressed or not";
        let (what, hint) = match self {
            Self::Fault(fault) => return fault,
            Self::Read(error) if error.raw_os_error().is_some() => return read_fault(path, &error),
            Self::Read(error) => (
                error.to_string(),
                "the file is damaged: compare its checksum with the original's",
            ),
            Self::Header(HeaderError::OldFormat) => (
                HeaderError::OldFormat.to_string(),
                "Linux takes the format 'newc' only: cpio -H newc",
            ),
            Self::Header(error) => (error.to_string(), MAKE),
            Self::Foreign(start) => foreign(&start, position - start.len() as u64),
            Self::Padding => (
                "an archive does not begin at a multiple of four bytes".to_owned(),
                MAKE,
            ),
            Self::Truncated => (
                "it ends in the middle of an archive".to_owned(),
                "it was probably cut while it was made or uploaded: compare its size with the original's",
            ),
            Self::TooLarge => (
                format!("it unpacks to more than {} GiB", UNPACKED_LIMIT >> 30),
                "it may be a decompression bomb",
            ),
            Self::Empty => ("there is no file in it".to_owned(), MAKE),
        };
        Fault::job(format!(
            "{} is no usable initramfs: {what} (at byte {position})",
            path.display()
        ))
        .with_hint(hint)
    }
}

/// What people mistake for an initramfs.
fn foreign(start: &[u8], position: u64) -> (String, &'static str) {
    let (what, hint) = match start {
        [0x27, 0x05, 0x19, 0x56, ..] => (
            "it has a U-Boot header",
            "give the image without the header; with 'header: u-boot' the job adds it again",
        ),
        [0x89, b'L', b'Z', b'O', ..] => (
            "it is compressed with lzo, which cannot be read here",
            "compress it with gzip, xz, zstd or lz4",
        ),
        [b'<', ..] => (
            "it looks like a web page",
            "open the URL: the server sent something else than the file",
        ),
        _ if position == 0 => (
            "it is neither a cpio archive nor compressed",
            "'format: cpio.newc' is for initramfs images; others are 'ext4' and 'tar'",
        ),
        _ => (
            "after its last archive there is something else",
            "Linux would stop reading there: remove what was appended",
        ),
    };
    (what.to_owned(), hint)
}

struct Scan<'a> {
    names: Names,
    unpacked: u64,
    cancel: &'a CancellationToken,
}

impl Scan<'_> {
    /// Reads the next segment; `None` at the end.
    fn segment(&mut self, input: &mut Counted<impl BufRead>) -> Result<Option<Segment>, Problem> {
        let Some(first) = skip_zeros(input)? else {
            return Ok(None);
        };
        let offset = input.position;
        if first == b'0' {
            let (members, _) = self.members(input)?;
            return Ok(Some(Segment {
                offset,
                packing: Packing::Plain,
                members,
            }));
        }
        let mut start = Vec::new();
        input
            .by_ref()
            .take(Packing::SNIFFED)
            .read_to_end(&mut start)?;
        let Some(packing) = Packing::sniff(&start) else {
            return Err(Problem::Foreign(start));
        };
        let decoder = packing.decoder(start.as_slice().chain(input))?;
        let mut stream = Counted {
            inner: BufReader::with_capacity(1 << 16, decoder),
            position: 0,
        };
        let (members, next) = self.members(&mut stream)?;
        if next.is_some() {
            return Err(Problem::Header(HeaderError::Magic));
        }
        Ok(Some(Segment {
            offset,
            packing,
            members,
        }))
    }

    /// Reads members up to a byte that begins none, which is returned.
    fn members(&mut self, input: &mut Counted<impl BufRead>) -> Result<(u64, Option<u8>), Problem> {
        let mut members = 0;
        loop {
            match skip_zeros(input)? {
                Some(b'0') => {}
                next => return Ok((members, next)),
            }
            if !input.position.is_multiple_of(4) {
                return Err(Problem::Padding);
            }
            if self.cancel.is_cancelled() {
                return Err(Problem::Fault(Fault::canceled(
                    "canceled while an image was read",
                )));
            }
            if self.member(input)? {
                members += 1;
            }
        }
    }

    /// Reads one member; `false` for a trailer.
    fn member(&mut self, input: &mut Counted<impl BufRead>) -> Result<bool, Problem> {
        let mut bytes = [0; LENGTH];
        input.read_exact(&mut bytes)?;
        let header = Header::parse(&bytes).map_err(Problem::Header)?;
        let mut name = vec![0; header.name_size as usize];
        input.read_exact(&mut name)?;
        let with_name = LENGTH as u64 + u64::from(header.name_size);
        self.skip(input, padding(with_name))?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let mut left = u64::from(header.size);
        let trailer = name == TRAILER;
        if !trailer {
            let mut target = Vec::new();
            let kind = header.mode & TYPE_MASK;
            if kind == LINK && header.size <= LONGEST_TARGET {
                target.resize(header.size as usize, 0);
                input.read_exact(&mut target)?;
                left = 0;
            }
            self.note(name, kind, &target).map_err(Problem::Fault)?;
        }
        self.skip(input, left)?;
        // The last member may lack its padding: the file simply ends.
        match self.skip(input, padding(u64::from(header.size))) {
            Err(Problem::Truncated) | Ok(()) => Ok(!trailer),
            Err(problem) => Err(problem),
        }
    }

    /// Notes a member under the name that Linux will give it.
    fn note(&mut self, name: &[u8], kind: u32, target: &[u8]) -> Result<(), Fault> {
        let path = from_bytes(name);
        let path = self.names.resolve(&path, false).unwrap_or(path);
        match kind {
            DIRECTORY => self.names.add_directory(&path),
            LINK => self.names.add_link(&path, &from_target(target)),
            _ => {
                self.names.remove(&path);
                Ok(())
            }
        }
    }

    fn skip(&mut self, input: &mut impl BufRead, count: u64) -> Result<(), Problem> {
        self.unpacked += count;
        if self.unpacked > UNPACKED_LIMIT {
            return Err(Problem::TooLarge);
        }
        let mut left = count;
        while left > 0 {
            let there = input.fill_buf()?.len();
            if there == 0 {
                return Err(Problem::Truncated);
            }
            let step = usize::try_from(left).map_or(there, |left| left.min(there));
            input.consume(step);
            left -= step as u64;
            if self.cancel.is_cancelled() {
                return Err(Problem::Fault(Fault::canceled(
                    "canceled while an image was read",
                )));
            }
        }
        Ok(())
    }
}

/// The target of a link as a path, its leading slash kept.
fn from_target(target: &[u8]) -> std::path::PathBuf {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let end = target
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(target.len());
    OsStr::from_bytes(&target[..end]).into()
}

/// The first byte that is not zero, left unread.
fn skip_zeros(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        match buffer.iter().position(|&byte| byte != 0) {
            Some(at) => {
                let byte = buffer[at];
                input.consume(at);
                return Ok(Some(byte));
            }
            None => {
                let length = buffer.len();
                input.consume(length);
            }
        }
    }
}

/// Where segments end, and the boot configuration after them: its data, its length, its
/// checksum and a mark (`Documentation/admin-guide/bootconfig.rst` of Linux).
fn split_tail(file: &mut std::fs::File) -> io::Result<(u64, Vec<u8>)> {
    const MARK: &[u8; 12] = b"#BOOTCONFIG\n";
    /// `XBC_DATA_MAX` of Linux.
    const LONGEST: u64 = 32 << 10;
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    let mut end = length;
    let fixed = 20;
    if length >= fixed {
        file.seek(SeekFrom::Start(length - fixed))?;
        let mut last = [0; 20];
        file.read_exact(&mut last)?;
        if last.ends_with(MARK) {
            let data = u64::from(u32::from_le_bytes([last[0], last[1], last[2], last[3]]));
            if data <= LONGEST && data + fixed <= length {
                end = length - fixed - data;
                file.seek(SeekFrom::Start(end))?;
                file.take(data + fixed).read_to_end(&mut tail)?;
            }
        }
        file.rewind()?;
    }
    Ok((end, tail))
}

/// A reader that counts what was read.
struct Counted<R> {
    inner: R,
    position: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.position += amount as u64;
    }
}
