//! Writes an archive of what is put into an image.

use super::header::{Header, LENGTH, TRAILER, padding};
use crate::overlay::inject::{
    entry::{Contents, Entry, Kind},
    sink::Sink,
};
use job::Fault;
use std::{
    collections::HashMap,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

/// Writes members of an archive.
pub(in super::super) struct CpioSink<W> {
    output: W,
    /// Where errors of `output` come from.
    path: PathBuf,
    next_inode: u32,
    /// Files that have further names, and how many names in all.
    linked: HashMap<PathBuf, (u32, u32)>,
}

impl<W: Write> CpioSink<W> {
    /// `path` is for messages.
    pub(in super::super) fn new(output: W, path: PathBuf) -> Self {
        Self {
            output,
            path,
            next_inode: 1,
            linked: HashMap::new(),
        }
    }

    /// Ends the archive.
    pub(in super::super) fn finish(mut self) -> Result<W, Fault> {
        let trailer = Header {
            links: 1,
            ..Header::default()
        };
        self.header(trailer, TRAILER)
            .map_err(|error| crate::overlay::files::write_fault(&self.path, &error))?;
        Ok(self.output)
    }

    fn header(&mut self, mut header: Header, name: &[u8]) -> io::Result<()> {
        header.name_size = name.len() as u32 + 1;
        self.output.write_all(&header.to_bytes())?;
        self.output.write_all(name)?;
        let length = LENGTH + name.len() + 1;
        self.zeros(1 + padding(length as u64))
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        self.output.write_all(&[0; 4][..count as usize])
    }

    fn member(&mut self, entry: &Entry, contents: &mut Contents<'_>) -> Result<(), Fault> {
        let inode = self.next_inode;
        self.next_inode += 1;
        let mut header = Header {
            inode,
            mode: entry.permissions,
            uid: entry.uid,
            gid: entry.gid,
            links: 1,
            mtime: entry.modified,
            ..Header::default()
        };
        let mut body: &[u8] = &[];
        let mut file_size = 0;
        match &entry.kind {
            Kind::Directory => {
                header.mode |= 0o040_000;
                header.links = 2;
            }
            Kind::File { size, names } => {
                header.mode |= 0o100_000;
                header.links = *names;
                if *names > 1 {
                    self.linked.insert(entry.path.clone(), (inode, *names));
                }
                file_size = *size;
                header.size = u32::try_from(*size).map_err(|_| {
                    Fault::job(format!(
                        "/{} has {size} bytes: an initramfs holds no file of 4 GiB or more",
                        entry.path.display()
                    ))
                })?;
            }
            Kind::HardLink { target } => {
                header.mode |= 0o100_000;
                let (inode, names) = self.linked.get(target).copied().unwrap_or((inode, 1));
                header.inode = inode;
                header.links = names;
            }
            Kind::SymbolicLink { target } => {
                header.mode |= 0o120_000;
                body = target.as_os_str().as_bytes();
                header.size = body.len() as u32;
            }
            Kind::CharacterDevice { numbers } => {
                header.mode |= 0o020_000;
                header.special = *numbers;
            }
            Kind::BlockDevice { numbers } => {
                header.mode |= 0o060_000;
                header.special = *numbers;
            }
            Kind::Pipe => header.mode |= 0o010_000,
        }
        let path = self.path.clone();
        let failed = |error: io::Error| crate::overlay::files::write_fault(&path, &error);
        self.header(header, entry.path.as_os_str().as_bytes())
            .map_err(failed)?;
        self.output.write_all(body).map_err(failed)?;
        contents.copy(file_size, &mut self.output, &path)?;
        self.zeros(padding(u64::from(header.size))).map_err(failed)
    }
}

impl<W: Write> Sink for CpioSink<W> {
    fn add(&mut self, entry: &Entry, contents: &mut Contents<'_>) -> Result<(), Fault> {
        self.member(entry, contents)
    }
}
