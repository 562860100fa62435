//! Headers of tar archives: one member at a time, long names and pax records applied.

use super::{super::ArchiveError, Input, printable};
use std::io::Read;

/// The unit of a tar archive.
const BLOCK: usize = 512;

/// Longest extension (GNU long name, pax records) that is read.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    SymbolicLink,
    HardLink,
    /// Device nodes, FIFOs, and kinds nobody knows.
    Special,
    Sparse,
    Volume,
}

/// One member, its contents still to be read.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) kind: Kind,
    /// Its name as stored.
    pub(super) path: Vec<u8>,
    /// Its name for messages.
    pub(super) name: String,
    /// Where it points, for links.
    pub(super) link: Vec<u8>,
    /// Bytes of its contents in the archive.
    pub(super) size: u64,
    /// Permission bits, nothing else.
    pub(super) permissions: u32,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

impl Member {
    /// Bytes between the contents and the next header.
    pub(super) fn padding(&self) -> u64 {
        padding(self.size)
    }
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// What extension headers say about the member after them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// The next member, `None` at the end of the archive.
pub(super) fn read_member(input: &mut Input<impl Read>) -> Result<Option<Member>, ArchiveError> {
    let mut extensions = Extensions::default();
    let mut extended = false;
    loop {
        let Some(header) = read_header(input)? else {
            return if extended {
                Err(ArchiveError::Truncated { member: None })
            } else {
                Ok(None)
            };
        };
        let size = header
            .entry_size()
            .map_err(|error| corrupt(&header, &error.to_string()))?;
        match header.entry_type().as_byte() {
            b'L' => extensions.path = Some(without_nul(extension(input, &header, size)?)),
            b'K' => extensions.link = Some(without_nul(extension(input, &header, size)?)),
            b'x' | b'X' => {
                let records = extension(input, &header, size)?;
                pax(&records, &mut extensions)
                    .map_err(|what| corrupt(&header, &format!("bad pax record: {what}")))?;
            }
            b'g' => {
                extension(input, &header, size)?;
                continue;
            }
            _ => return member(&header, size, extensions).map(Some),
        }
        extended = true;
    }
}

/// The next header block, `None` at the end.
fn read_header(input: &mut Input<impl Read>) -> Result<Option<tar::Header>, ArchiveError> {
    let mut header = tar::Header::new_old();
    if !input.fill(header.as_mut_bytes(), None)? {
        return if input.left == input.limit {
            Err(ArchiveError::Corrupt {
                detail: "it is empty".into(),
            })
        } else {
            Ok(None)
        };
    }
    let bytes = header.as_bytes();
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let field = 148..156;
    let sum: u32 = bytes
        .iter()
        .enumerate()
        .map(|(at, &byte)| u32::from(if field.contains(&at) { b' ' } else { byte }))
        .sum();
    match header.cksum() {
        Ok(stored) if stored == sum => Ok(Some(header)),
        _ => Err(ArchiveError::Corrupt {
            detail: "there is no tar header where one belongs".into(),
        }),
    }
}

fn member(header: &tar::Header, size: u64, extensions: Extensions) -> Result<Member, ArchiveError> {
    let path = extensions
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let link = extensions
        .link
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
        .unwrap_or_default();
    let name = printable(&String::from_utf8_lossy(&path));
    if path.contains(&0) || link.contains(&0) {
        return Err(ArchiveError::Corrupt {
            detail: format!("`{name}` has a NUL in its name"),
        });
    }
    let kind = match header.entry_type().as_byte() {
        _ if extensions.sparse => Kind::Sparse,
        0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'5' | b'D' => Kind::Directory,
        b'S' => Kind::Sparse,
        b'M' => Kind::Volume,
        _ => Kind::Special,
    };
    // Links and directories have no contents, whatever the size of their header says: archives of
    // some tools carry the size of the file that a hard link points to. GNU's `D` lists names.
    let has_contents = matches!(kind, Kind::File | Kind::Sparse | Kind::Volume)
        || matches!(header.entry_type().as_byte(), b'D' | b'8'..=u8::MAX);
    let size = if has_contents {
        extensions.size.unwrap_or(size)
    } else {
        0
    };
    let mode = header.mode().unwrap_or(0o644);
    Ok(Member {
        kind,
        name,
        path,
        link,
        size,
        permissions: mode & 0o777,
        modified: header
            .mtime()
            .ok()
            .and_then(|time| i64::try_from(time).ok())
            .unwrap_or(0),
    })
}

/// The contents of an extension header.
fn extension(
    input: &mut Input<impl Read>,
    header: &tar::Header,
    size: u64,
) -> Result<Vec<u8>, ArchiveError> {
    if size > LONGEST_EXTENSION {
        return Err(corrupt(header, "an extension header of more than 1 MiB"));
    }
    let mut contents = vec![0; size as usize + padding(size) as usize];
    if !contents.is_empty() && !input.fill(&mut contents, None)? {
        return Err(ArchiveError::Truncated { member: None });
    }
    contents.truncate(size as usize);
    Ok(contents)
}

fn pax(records: &[u8], extensions: &mut Extensions) -> Result<(), String> {
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(|error| error.to_string())?;
        let value = record.value_bytes();
        match record.key_bytes() {
            b"path" => extensions.path = Some(value.to_vec()),
            b"linkpath" => extensions.link = Some(value.to_vec()),
            b"size" => {
                let size = record.value().ok().and_then(|size| size.parse().ok());
                extensions.size = Some(size.ok_or("a size that is no number")?);
            }
            key if key.starts_with(b"GNU.sparse.") => extensions.sparse = true,
            _ => {}
        }
    }
    Ok(())
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|&byte| byte == 0) {
        name.truncate(end);
    }
    name
}

fn corrupt(header: &tar::Header, detail: &str) -> ArchiveError {
    let name = printable(&String::from_utf8_lossy(&header.path_bytes()));
    ArchiveError::Corrupt {
        detail: format!("`{name}`: {detail}"),
    }
}
