//! Unpacks tar archives that may be hostile.
//!
//! The layout of headers is left to the `tar` crate; walking over them is done here, because its
//! own reader takes long names into memory whatever their size, and because every name has to be
//! resolved below the target directory by the kernel (`openat2` with `RESOLVE_BENEATH`): whatever
//! links the archive made before, nothing is followed out of it.

mod header;
mod target;

use super::{ArchiveError, error::printable};
use header::{Kind, Member, read_member};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};
use target::Target;

/// How much an archive may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members of any kind.
    pub members: u64,
    /// Bytes of the archive before any compression, headers included.
    pub bytes: u64,
}

impl Default for Limits {
    /// Room for the root file systems of distributions: four million members, 64 GiB.
    fn default() -> Self {
        Self {
            members: 4_000_000,
            bytes: 64 << 30,
        }
    }
}

/// How [`unpack_tar`] unpacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnpackOptions {
    /// Leading directories to drop from each name, as `tar --strip-components`; members with no
    /// more parts than that are left out.
    pub strip_components: u32,
    /// Whether links that point out of the directory are refused. Nothing is ever written through
    /// one either way; a root file system needs absolute ones, a test definition does not.
    pub refuse_outward_links: bool,
    /// How much it may unpack to.
    pub limits: Limits,
}

/// What was unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, directories and links made.
    pub members: u64,
    /// Bytes of file contents written.
    pub bytes: u64,
    /// Names of members left out, device nodes and the like: the first hundred.
    pub skipped: Vec<String>,
    /// How many were left out altogether.
    pub skipped_count: u64,
}

/// Names kept in [`Unpacked::skipped`].
const SKIPPED_NAMES: usize = 100;

/// Unpacks a tar archive (v7, ustar, GNU or pax) into `directory`, which must exist.
///
/// Files get the permissions of the archive without set-id and sticky bits and belong to whoever
/// runs this; device nodes, FIFOs and sockets are left out and reported. What is there already is
/// replaced, as tar does. The reader is read to its end, so that a compressed stream's own checksum
/// is verified too.
///
/// It blocks. To stop it early let the reader fail: it is asked before each member and every
/// 64 KiB. After an error, what was unpacked until then stays for the caller to remove.
///
/// # Errors
/// When the archive is damaged, cut or larger than the limits, when a member would leave the
/// directory, when the reader fails, or when a member cannot be written.
pub fn unpack_tar(
    reader: impl Read,
    directory: &Path,
    options: &UnpackOptions,
) -> Result<Unpacked, ArchiveError> {
    let mut input = Input {
        reader,
        left: options.limits.bytes,
        limit: options.limits.bytes,
    };
    let mut target = Target::open(directory)?;
    let mut unpacked = Unpacked::default();
    let mut members = 0_u64;
    while let Some(member) = read_member(&mut input)? {
        members += 1;
        if members > options.limits.members {
            return Err(ArchiveError::TooManyMembers {
                limit: options.limits.members,
            });
        }
        let mut body = Body {
            input: &mut input,
            left: member.size,
            member: &member.name,
        };
        unpack_member(&member, &mut body, &mut target, options, &mut unpacked)?;
        let rest = body.left;
        input.skip(rest + member.padding(), &member.name)?;
    }
    input.drain()?;
    Ok(unpacked)
}

fn unpack_member(
    member: &Member,
    body: &mut Body<'_, impl Read>,
    target: &mut Target,
    options: &UnpackOptions,
    unpacked: &mut Unpacked,
) -> Result<(), ArchiveError> {
    let Some(place) = inner_path(&member.path, &member.name, options.strip_components)? else {
        return Ok(());
    };
    let place = place.as_path();
    match member.kind {
        Kind::File => {
            unpacked.bytes += target.write_file(place, member, body)?;
        }
        Kind::Directory => target.make_directory(place, member)?,
        Kind::SymbolicLink => {
            if options.refuse_outward_links && leaves(place, &member.link) {
                return Err(ArchiveError::Escapes {
                    member: member.name.clone(),
                    reason: "it is a link that points out of it",
                });
            }
            target.make_symbolic_link(place, member)?;
        }
        Kind::HardLink => match inner_path(&member.link, &member.name, options.strip_components)? {
            Some(existing) => target.make_hard_link(place, &existing, member)?,
            None => return Ok(()),
        },
        Kind::Special => {
            unpacked.skipped_count += 1;
            if unpacked.skipped.len() < SKIPPED_NAMES {
                unpacked.skipped.push(member.name.clone());
            }
            return Ok(());
        }
        Kind::Sparse => {
            return Err(ArchiveError::Unsupported {
                member: member.name.clone(),
                what: "a sparse file",
            });
        }
        Kind::Volume => {
            return Err(ArchiveError::Unsupported {
                member: member.name.clone(),
                what: "a part of an archive over several volumes",
            });
        }
    }
    unpacked.members += 1;
    Ok(())
}

/// The path of a member below the target: no `.`, no empty parts; `None` when nothing is left.
fn inner_path(path: &[u8], name: &str, strip: u32) -> Result<Option<PathBuf>, ArchiveError> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let escapes = |reason| {
        Err(ArchiveError::Escapes {
            member: name.to_owned(),
            reason,
        })
    };
    if path.starts_with(b"/") {
        return escapes("an absolute name");
    }
    let mut parts = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return escapes("`..` in its name"),
            part => parts.push(OsStr::from_bytes(part)),
        }
    }
    let inner: PathBuf = parts.into_iter().skip(strip as usize).collect();
    Ok((!inner.as_os_str().is_empty()).then_some(inner))
}

/// Whether a symbolic link at `place` points out of the directory, taken by its letters.
fn leaves(place: &Path, link: &[u8]) -> bool {
    if link.starts_with(b"/") {
        return true;
    }
    let mut depth = place.components().count() as i64 - 1;
    link.split(|&byte| byte == b'/').any(|part| {
        match part {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        depth < 0
    })
}

/// The archive's bytes, counted.
struct Input<R> {
    reader: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    /// Reads at most one buffer; 0 at the end of the input.
    fn read(&mut self, buffer: &mut [u8], member: Option<&str>) -> Result<usize, ArchiveError> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.left = self
                        .left
                        .checked_sub(count as u64)
                        .ok_or(ArchiveError::TooLarge { limit: self.limit })?;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::from_read(error, member)),
            }
        }
    }

    /// Fills the buffer; `Ok(false)` when the input ended before its first byte.
    fn fill(&mut self, buffer: &mut [u8], member: Option<&str>) -> Result<bool, ArchiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..], member)? {
                0 if filled == 0 => return Ok(false),
                0 => {
                    return Err(ArchiveError::Truncated {
                        member: member.map(printable),
                    });
                }
                count => filled += count,
            }
        }
        Ok(true)
    }

    fn skip(&mut self, mut count: u64, member: &str) -> Result<(), ArchiveError> {
        let mut buffer = [0; 4096];
        while count > 0 {
            let part = buffer
                .len()
                .min(usize::try_from(count).unwrap_or(usize::MAX));
            if !self.fill(&mut buffer[..part], Some(member))? {
                return Err(ArchiveError::Truncated {
                    member: Some(member.to_owned()),
                });
            }
            count -= part as u64;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), ArchiveError> {
        let mut buffer = [0; 4096];
        while self.read(&mut buffer, None)? > 0 {}
        Ok(())
    }
}

/// The contents of one member.
struct Body<'a, R> {
    input: &'a mut Input<R>,
    left: u64,
    member: &'a str,
}

impl<R: Read> Body<'_, R> {
    /// The next bytes, 0 at the member's end; an input that ends before is truncated.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        if self.left == 0 {
            return Ok(0);
        }
        let part = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.input.read(&mut buffer[..part], Some(self.member))? {
            0 => Err(ArchiveError::Truncated {
                member: Some(self.member.to_owned()),
            }),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests;
