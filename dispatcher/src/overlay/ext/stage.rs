//! Overlays on their way into an ext file system: contents as files, and the commands that put
//! them in.

use super::debugfs::{Script, Word};
use crate::overlay::{
    files::io_fault,
    inject::{
        entry::{Contents, Entry, Kind},
        sink::Sink,
    },
};
use fs_err as fs;
use job::Fault;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// Keeps the contents of files in a directory and makes a script.
pub(super) struct Stage<'a> {
    directory: &'a Path,
    pub(super) script: Script,
    /// Places that exist and are no directories: they are replaced.
    taken: HashSet<PathBuf>,
    /// Bytes of contents, rounded up to blocks.
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// Files take whole blocks; this is the largest usual one.
const BLOCK: u64 = 4096;

impl<'a> Stage<'a> {
    pub(super) fn new(directory: &'a Path, taken: HashSet<PathBuf>) -> Self {
        Self {
            directory,
            script: Script::default(),
            taken,
            bytes: 0,
            entries: 0,
        }
    }

    fn file(
        &mut self,
        entry: &Entry,
        size: u64,
        names: u32,
        contents: &mut Contents<'_>,
    ) -> Result<(), Fault> {
        let path = self.directory.join(self.entries.to_string());
        let mut file = fs::File::create(&path)
            .map_err(|error| io_fault(&error))?
            .into_parts()
            .0;
        contents.copy(size, &mut file, &path)?;
        drop(file);
        self.bytes += size.next_multiple_of(BLOCK);
        let source = path.display().to_string();
        self.script
            .command("write", &[Word::Text(&source), Word::Place(&entry.path)])?;
        if names > 1 {
            self.script
                .set(&entry.path, "links_count", &names.to_string())?;
        }
        self.attributes(entry, 0o100_000)
    }

    fn attributes(&mut self, entry: &Entry, kind: u32) -> Result<(), Fault> {
        let mode = format!("0{:o}", kind | entry.permissions);
        self.script.set(&entry.path, "mode", &mode)?;
        self.owner(entry)
    }

    fn owner(&mut self, entry: &Entry) -> Result<(), Fault> {
        let path = &entry.path;
        self.script.set(path, "uid", &entry.uid.to_string())?;
        self.script.set(path, "gid", &entry.gid.to_string())?;
        self.script
            .set(path, "mtime", &format!("@{}", entry.modified))
    }

    fn device(&mut self, entry: &Entry, kind: &str, numbers: (u32, u32)) -> Result<(), Fault> {
        let (major, minor) = (numbers.0.to_string(), numbers.1.to_string());
        let words = match kind {
            "p" => vec![Word::Text(kind)],
            _ => vec![Word::Text(kind), Word::Text(&major), Word::Text(&minor)],
        };
        // Alone among the commands, this one takes a name in the current directory only.
        let path = entry.path.as_path();
        let name = path.file_name().unwrap_or_default();
        self.script
            .command("cd", &[Word::Place(path.parent().unwrap_or(Path::new("")))])?;
        let mut all = vec![Word::Text(name.to_str().unwrap_or_default())];
        all.extend(words);
        self.script.command("mknod", &all)?;
        self.script.command("cd", &[Word::Place(Path::new(""))])
    }
}

impl Sink for Stage<'_> {
    fn add(&mut self, entry: &Entry, contents: &mut Contents<'_>) -> Result<(), Fault> {
        let path = &entry.path;
        if entry.kind != Kind::Directory && !self.taken.insert(path.clone()) {
            self.script.command("rm", &[Word::Place(path)])?;
        }
        self.entries += 1;
        self.bytes += BLOCK;
        match &entry.kind {
            Kind::Directory => {
                self.script.command("mkdir", &[Word::Place(path)])?;
                self.attributes(entry, 0o040_000)
            }
            Kind::File { size, names } => self.file(entry, *size, *names, contents),
            Kind::HardLink { target } => self
                .script
                .command("ln", &[Word::Place(target), Word::Place(path)]),
            Kind::SymbolicLink { target } => {
                let target = target.display().to_string();
                self.script
                    .command("symlink", &[Word::Place(path), Word::Text(&target)])?;
                self.owner(entry)
            }
            Kind::CharacterDevice { numbers } => {
                self.device(entry, "c", *numbers)?;
                self.attributes(entry, 0o020_000)
            }
            Kind::BlockDevice { numbers } => {
                self.device(entry, "b", *numbers)?;
                self.attributes(entry, 0o060_000)
            }
            Kind::Pipe => {
                self.device(entry, "p", (0, 0))?;
                self.attributes(entry, 0o010_000)
            }
        }
    }
}

/// Learns only where entries would go.
#[derive(Default)]
pub(super) struct Places {
    pub(super) paths: Vec<PathBuf>,
}

impl Sink for Places {
    fn add(&mut self, entry: &Entry, _contents: &mut Contents<'_>) -> Result<(), Fault> {
        self.paths.push(entry.path.clone());
        Ok(())
    }
}
