//! The one file of a zip archive.

use super::{ArchiveError, error::printable};
use fs_err as fs;
use std::{
    io::{self, Read, Seek, Write},
    path::Path,
};
use zip::{ZipArchive, result::ZipError};

/// Writes the only file of a zip archive to `output`, at most `limit` bytes, and tells its size.
///
/// Directories in it are passed over. The member's name decides nothing, yet one that climbs out
/// of its directory is refused: whoever made such an archive meant harm.
///
/// # Errors
/// When it is no zip archive, holds none or several files, is encrypted, damaged or too large, or
/// when `output` takes no more; `output_path` names it in that error.
pub fn extract_only_member(
    archive: impl Read + Seek,
    output: &mut fs::File,
    output_path: &Path,
    limit: u64,
) -> Result<u64, ArchiveError> {
    let mut archive = ZipArchive::new(archive).map_err(|error| sort(error, None))?;
    let index = only_file(&mut archive)?;
    let mut member = archive.by_index(index).map_err(|error| sort(error, None))?;
    let name = printable(&String::from_utf8_lossy(member.name_raw()));
    if climbs(member.name_raw()) {
        return Err(ArchiveError::Escapes {
            member: name,
            reason: "its name leaves the directory",
        });
    }
    let mut buffer = vec![0; 64 << 10];
    let mut written = 0_u64;
    loop {
        let count = match member.read(&mut buffer) {
            Ok(0) => return Ok(written),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ArchiveError::from_read(error, Some(&name))),
        };
        written += count as u64;
        if written > limit {
            return Err(ArchiveError::TooLarge { limit });
        }
        output
            .write_all(&buffer[..count])
            .map_err(|source| ArchiveError::Output {
                path: output_path.to_owned(),
                source,
            })?;
    }
}

/// Whether a name is absolute or goes up. The crate's own check would make it harmless instead.
fn climbs(name: &[u8]) -> bool {
    let separator = |&byte: &u8| byte == b'/' || byte == b'\\';
    name.first().is_some_and(separator) || name.split(separator).any(|part| part == b"..")
}

fn only_file<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<usize, ArchiveError> {
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let member = archive
            .by_index_raw(index)
            .map_err(|error| sort(error, None))?;
        if !member.is_dir() {
            files.push(index);
        }
    }
    match files.as_slice() {
        [index] => Ok(*index),
        several => Err(ArchiveError::NotSingle {
            members: several.len(),
        }),
    }
}

fn sort(error: ZipError, member: Option<&str>) -> ArchiveError {
    match error {
        ZipError::Io(error) => ArchiveError::from_read(error, member),
        ZipError::UnsupportedArchive(detail) => ArchiveError::Corrupt {
            detail: format!("{detail}; only stored and deflated members without password are read"),
        },
        other => ArchiveError::Corrupt {
            detail: other.to_string(),
        },
    }
}
