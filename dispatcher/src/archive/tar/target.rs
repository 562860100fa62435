//! The directory an archive is unpacked into. Every name is resolved by the kernel below it.

use super::{super::ArchiveError, Body, header::Member};
use rustix::{
    fd::OwnedFd,
    fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// How much of a member is copied at once.
const COPY_BUFFER: usize = 64 << 10;

/// Nothing outside, whatever links are on the way.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

pub(super) struct Target {
    root: OwnedFd,
    path: PathBuf,
    /// The directory of the member before: the next one is mostly in the same.
    last: Option<(PathBuf, OwnedFd)>,
    buffer: Vec<u8>,
}

impl Target {
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            fs::open(path, flags, Mode::empty()).map_err(|error| output(path.to_owned(), error))?;
        Ok(Self {
            root,
            path: path.to_owned(),
            last: None,
            buffer: vec![0; COPY_BUFFER],
        })
    }

    pub(super) fn write_file(
        &mut self,
        place: &Path,
        member: &Member,
        body: &mut Body<'_, impl Read>,
    ) -> Result<u64, ArchiveError> {
        let shown = self.path.join(place);
        let failed = |error: std::io::Error| ArchiveError::Output {
            path: shown.clone(),
            source: error,
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let (parent, name) = self.parent(place, member)?;
        remove(parent, name).map_err(|error| failed(error.into()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = fs::openat(
            parent,
            name,
            flags | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o600),
        )
        .map_err(|error| failed(error.into()))?;
        let mut file = File::from(file);
        let mut written = 0;
        loop {
            let count = body.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(failed)?;
            written += count as u64;
        }
        fs::fchmod(&file, Mode::from_raw_mode(member.permissions))
            .map_err(|error| failed(error.into()))?;
        let time = Timespec {
            tv_sec: member.modified,
            tv_nsec: 0,
        };
        // Not worth a job when a file system refuses a time from a hostile archive.
        let _ = fs::futimens(
            &file,
            &Timestamps {
                last_access: time,
                last_modification: time,
            },
        );
        self.buffer = buffer;
        Ok(written)
    }

    pub(super) fn make_directory(
        &mut self,
        place: &Path,
        member: &Member,
    ) -> Result<(), ArchiveError> {
        let shown = self.path.join(place);
        let (parent, name) = self.parent(place, member)?;
        // Its owner must be able to fill and to remove it.
        let mode = Mode::from_raw_mode(member.permissions | 0o700);
        match fs::mkdirat(parent, name, mode) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                let is_directory = self.open_directory(place).is_ok();
                if is_directory {
                    return Ok(());
                }
                Err(conflict(member))
            }
            Err(error) => Err(output(shown, error)),
        }
    }

    pub(super) fn make_symbolic_link(
        &mut self,
        place: &Path,
        member: &Member,
    ) -> Result<(), ArchiveError> {
        use std::os::unix::ffi::OsStrExt;
        let shown = self.path.join(place);
        let (parent, name) = self.parent(place, member)?;
        remove(parent, name)
            .and_then(|()| fs::symlinkat(OsStr::from_bytes(&member.link), parent, name))
            .map_err(|error| output(shown, error))?;
        // It may have replaced what the directory kept open was reached through.
        self.last = None;
        Ok(())
    }

    pub(super) fn make_hard_link(
        &mut self,
        place: &Path,
        existing: &Path,
        member: &Member,
    ) -> Result<(), ArchiveError> {
        if place == existing {
            return Ok(());
        }
        let shown = self.path.join(place);
        let (source_parent, source_name) = split(existing);
        let source = self.beneath(source_parent, member)?;
        let (parent, name) = self.parent(place, member)?;
        remove(parent, name)
            .and_then(|()| fs::linkat(&source, source_name, parent, name, AtFlags::empty()))
            .map_err(|error| match error {
                Errno::NOENT => ArchiveError::Corrupt {
                    detail: format!(
                        "`{}` is a hard link to a member that is not there",
                        member.name
                    ),
                },
                error => output(shown, error),
            })
    }

    /// The directory of a member, made when it is missing, and the last part of its name.
    fn parent<'a>(
        &'a mut self,
        place: &'a Path,
        member: &Member,
    ) -> Result<(&'a OwnedFd, &'a OsStr), ArchiveError> {
        let (parent, name) = split(place);
        if parent.as_os_str().is_empty() {
            return Ok((&self.root, name));
        }
        let known = self.last.as_ref().is_some_and(|(path, _)| path == parent);
        if !known {
            let directory = self.beneath(parent, member)?;
            self.last = Some((parent.to_owned(), directory));
        }
        let directory = self
            .last
            .as_ref()
            .map_or(&self.root, |(_, directory)| directory);
        Ok((directory, name))
    }

    /// Opens a directory below the root, and makes what is missing of it.
    fn beneath(&self, path: &Path, member: &Member) -> Result<OwnedFd, ArchiveError> {
        match self.open_directory(path) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|error| self.refused(path, member, error)),
        }
        let mut reached = PathBuf::new();
        let mut directory = self.open_directory(Path::new("."));
        for part in path.components() {
            reached.push(part);
            let next = match self.open_directory(&reached) {
                Err(Errno::NOENT) => directory
                    .and_then(|above| {
                        fs::mkdirat(&above, part.as_os_str(), Mode::from_raw_mode(0o755))
                    })
                    .and_then(|()| self.open_directory(&reached)),
                other => other,
            };
            directory = Ok(next.map_err(|error| self.refused(&reached, member, error))?);
        }
        directory.map_err(|error| self.refused(path, member, error))
    }

    fn open_directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat2(&self.root, path, flags, Mode::empty(), BENEATH)
    }

    fn refused(&self, path: &Path, member: &Member, error: Errno) -> ArchiveError {
        match error {
            Errno::XDEV | Errno::LOOP => ArchiveError::Escapes {
                member: member.name.clone(),
                reason: "a link on its way points out of it",
            },
            // A file, or a link that leads nowhere, where the member needs a directory.
            Errno::NOTDIR | Errno::EXIST => conflict(member),
            error => output(self.path.join(path), error),
        }
    }
}

/// The directory part of an inner path, possibly empty, and its last part.
fn split(place: &Path) -> (&Path, &OsStr) {
    (
        place.parent().unwrap_or(Path::new("")),
        place.file_name().unwrap_or_default(),
    )
}

/// Makes room for a member, as tar does; a directory is never replaced.
fn remove(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        // Linux says so for directories, whoever asks.
        Err(Errno::ISDIR | Errno::PERM) if is_directory(parent, name) => Err(Errno::ISDIR),
        other => other,
    }
}

fn is_directory(parent: &OwnedFd, name: &OsStr) -> bool {
    fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn conflict(member: &Member) -> ArchiveError {
    ArchiveError::Corrupt {
        detail: format!(
            "`{}` needs a directory where the archive has something else",
            member.name
        ),
    }
}

fn output(path: PathBuf, error: Errno) -> ArchiveError {
    match error {
        Errno::ISDIR => ArchiveError::Corrupt {
            detail: format!("a file stands for the directory {}", path.display()),
        },
        error => ArchiveError::Output {
            path,
            source: error.into(),
        },
    }
}
