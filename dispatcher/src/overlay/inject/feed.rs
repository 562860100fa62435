//! Reads overlays and hands what is in them to an image, at the right places.

use super::{
    OverlayInput,
    entry::{Contents, Entry, Kind, unreadable},
    names::Names,
    sink::Sink,
};
use crate::overlay::{
    archive::{ENTRY_TIME, walk},
    files::{io_fault, read_fault},
    packing::Packing,
};
use fs_err as fs;
use job::Fault;
use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

/// Puts overlays into an image.
pub(super) struct Feeder<'a> {
    pub(super) names: &'a mut Names,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) cancel: &'a CancellationToken,
    /// How many entries were added, directories that were missing included.
    pub(super) added: u64,
}

/// The longest extension (a long name, pax records) of a tar archive.
const LONGEST_EXTENSION: u64 = 1 << 20;

impl Feeder<'_> {
    /// Adds one overlay.
    pub(super) fn feed(&mut self, overlay: &OverlayInput) -> Result<(), Fault> {
        match overlay {
            OverlayInput::Tar { archive, at } => self.tar(archive, &place(at, archive)?),
            OverlayInput::Directory { directory, at } => {
                self.directory(directory, &place(at, directory)?)
            }
            OverlayInput::File { file, at } => self.file(file, at),
        }
    }

    fn file(&mut self, file: &Path, at: &str) -> Result<(), Fault> {
        let mut path = place(at, file)?;
        if at.ends_with('/') || path.as_os_str().is_empty() {
            path.push(file.file_name().unwrap_or_default());
        }
        let (mut reader, _) = fs::File::open(file)
            .map_err(|error| io_fault(&error))?
            .into_parts();
        let metadata = reader
            .metadata()
            .map_err(|error| read_fault(file, &error))?;
        let entry = Entry {
            path,
            kind: Kind::File {
                size: metadata.len(),
                names: 1,
            },
            permissions: metadata.permissions().mode() & 0o777,
            uid: 0,
            gid: 0,
            modified: u32::try_from(metadata.mtime()).unwrap_or_default(),
        };
        self.add(entry, &mut reader, file)
    }

    fn directory(&mut self, directory: &Path, at: &Path) -> Result<(), Fault> {
        for found in walk(directory).map_err(|error| io_fault(&error))? {
            let source = directory.join(&found.path);
            let kind = found.metadata.file_type();
            let mut entry = Entry {
                path: at.join(&found.path),
                kind: Kind::Directory,
                permissions: found.metadata.permissions().mode() & 0o7777,
                uid: 0,
                gid: 0,
                modified: ENTRY_TIME,
            };
            if kind.is_dir() {
                self.add(entry, &mut io::empty(), &source)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&source).map_err(|error| io_fault(&error))?;
                entry.kind = Kind::SymbolicLink { target };
                entry.permissions = 0o777;
                self.add(entry, &mut io::empty(), &source)?;
            } else {
                entry.kind = Kind::File {
                    size: found.metadata.len(),
                    names: 1,
                };
                let (mut file, _) = fs::File::open(&source)
                    .map_err(|error| io_fault(&error))?
                    .into_parts();
                self.add(entry, &mut file, &source)?;
            }
        }
        Ok(())
    }

    fn tar(&mut self, path: &Path, at: &Path) -> Result<(), Fault> {
        let failed = |error: io::Error| unreadable(path, &error);
        let links = hard_links(path, at)?;
        let mut archive = tar::Archive::new(open(path)?);
        for member in archive.entries().map_err(failed)? {
            let mut member = member.map_err(failed)?;
            let Some(entry) = entry(&member, at, &links, path)? else {
                continue;
            };
            self.add(entry, &mut member, path)?;
        }
        Ok(())
    }

    /// Adds an entry where the links of the image lead, and the directories it needs.
    fn add(
        &mut self,
        mut entry: Entry,
        contents: &mut dyn Read,
        source: &Path,
    ) -> Result<(), Fault> {
        let is_directory = entry.kind == Kind::Directory;
        entry.path = self.names.resolve(&entry.path, is_directory)?;
        if self.names.is_directory(&entry.path) {
            if is_directory {
                // It keeps its owner and permissions.
                return Ok(());
            }
            return Err(Fault::job(format!(
                "/{} is a directory in the image, the overlay {} has a file of that name",
                entry.path.display(),
                source.display()
            )));
        }
        if let Kind::HardLink { target } = &mut entry.kind {
            *target = self.names.resolve(target, false)?;
        }
        self.add_parents(&entry.path)?;
        match &entry.kind {
            Kind::Directory => self.names.add_directory(&entry.path)?,
            Kind::SymbolicLink { target } => self.names.add_link(&entry.path, target)?,
            _ => self.names.remove(&entry.path),
        }
        self.hand_over(&entry, contents, source)
    }

    fn add_parents(&mut self, path: &Path) -> Result<(), Fault> {
        let missing: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|parent| !self.names.is_directory(parent))
            .collect();
        for parent in missing.into_iter().rev() {
            self.names.add_directory(parent)?;
            let entry = Entry {
                path: parent.to_owned(),
                kind: Kind::Directory,
                permissions: 0o755,
                uid: 0,
                gid: 0,
                modified: ENTRY_TIME,
            };
            self.hand_over(&entry, &mut io::empty(), parent)?;
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        entry: &Entry,
        reader: &mut dyn Read,
        source: &Path,
    ) -> Result<(), Fault> {
        if self.cancel.is_cancelled() {
            return Err(Fault::canceled(
                "canceled while an overlay was put into an image",
            ));
        }
        self.added += 1;
        let mut contents = Contents {
            reader,
            source,
            unreadable,
            cancel: self.cancel,
        };
        self.sink.add(entry, &mut contents)
    }
}

/// The place of an overlay in the image, without the leading slash.
fn place(at: &str, source: &Path) -> Result<PathBuf, Fault> {
    below(Path::new(""), Path::new(at)).ok_or_else(|| {
        Fault::job(format!(
            "the place {at:?} of the overlay {} is not inside the image",
            source.display()
        ))
        .with_hint("give an absolute path without '..'")
    })
}

/// `path` below `at`; `None` when it climbs out.
fn below(at: &Path, path: &Path) -> Option<PathBuf> {
    let mut out = at.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Opens an archive, compressed or not.
fn open(path: &Path) -> Result<Box<dyn Read>, Fault> {
    let (file, _) = fs::File::open(path)
        .map_err(|error| io_fault(&error))?
        .into_parts();
    let mut input = BufReader::with_capacity(1 << 16, file);
    let start = input.fill_buf().map_err(|error| read_fault(path, &error))?;
    let packing = Packing::sniff(start).unwrap_or(Packing::Plain);
    packing
        .file_decoder(input)
        .map_err(|error| unreadable(path, &error))
}

/// How many hard links lead to each member of an archive.
type HardLinks = HashMap<PathBuf, u32>;

/// Reads an archive once for what must be known before its members are handed on.
fn hard_links(path: &Path, at: &Path) -> Result<HardLinks, Fault> {
    let failed = |error: io::Error| unreadable(path, &error);
    let mut archive = tar::Archive::new(open(path)?);
    let mut any = false;
    for member in archive.entries().map_err(failed)?.raw(true) {
        let member = member.map_err(failed)?;
        let kind = member.header().entry_type();
        any |= kind.is_hard_link();
        let extension = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        // Such members are read into memory as a whole later.
        if extension && member.size() > LONGEST_EXTENSION {
            return Err(Fault::job(format!(
                "the overlay {} has a name of {} bytes",
                path.display(),
                member.size()
            )));
        }
    }
    let mut links = HardLinks::new();
    if !any {
        return Ok(links);
    }
    let mut archive = tar::Archive::new(open(path)?);
    for member in archive.entries().map_err(failed)? {
        let member = member.map_err(failed)?;
        if member.header().entry_type().is_hard_link() {
            let target = link_name(&member, path)?;
            *links.entry(climb(at, &target, path)?).or_default() += 1;
        }
    }
    Ok(links)
}

/// A member of an archive as an entry; `None` for kinds that are no files.
fn entry(
    member: &tar::Entry<'_, impl Read>,
    at: &Path,
    links: &HardLinks,
    archive: &Path,
) -> Result<Option<Entry>, Fault> {
    use tar::EntryType as Type;
    let failed = |error: io::Error| unreadable(archive, &error);
    let header = member.header();
    let path = climb(at, &member.path().map_err(failed)?, archive)?;
    let numbers = || -> io::Result<(u32, u32)> {
        Ok((
            header.device_major()?.unwrap_or_default(),
            header.device_minor()?.unwrap_or_default(),
        ))
    };
    let kind = match header.entry_type() {
        Type::Directory => Kind::Directory,
        Type::Regular | Type::Continuous | Type::GNUSparse => Kind::File {
            size: member.size(),
            names: 1 + links.get(&path).copied().unwrap_or_default(),
        },
        Type::Symlink => Kind::SymbolicLink {
            target: link_name(member, archive)?,
        },
        Type::Link => Kind::HardLink {
            target: climb(at, &link_name(member, archive)?, archive)?,
        },
        Type::Char => Kind::CharacterDevice {
            numbers: numbers().map_err(failed)?,
        },
        Type::Block => Kind::BlockDevice {
            numbers: numbers().map_err(failed)?,
        },
        Type::Fifo => Kind::Pipe,
        _ => return Ok(None),
    };
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let number = |number: io::Result<u64>| {
        number
            .map(|number| u32::try_from(number).unwrap_or_default())
            .map_err(failed)
    };
    Ok(Some(Entry {
        path,
        kind,
        permissions: header.mode().map_err(failed)? & 0o7777,
        uid: number(header.uid())?,
        gid: number(header.gid())?,
        modified: number(header.mtime())?,
    }))
}

fn link_name(member: &tar::Entry<'_, impl Read>, archive: &Path) -> Result<PathBuf, Fault> {
    let name = member
        .link_name()
        .map_err(|error| unreadable(archive, &error))?;
    Ok(name.map(std::borrow::Cow::into_owned).unwrap_or_default())
}

fn climb(at: &Path, path: &Path, archive: &Path) -> Result<PathBuf, Fault> {
    below(at, path).ok_or_else(|| {
        Fault::job(format!(
            "the overlay {} has a member {:?} that climbs out of its directory",
            archive.display(),
            path.display().to_string()
        ))
        .with_hint("pack it anew with names that have no '..'")
    })
}
