//! The overlay as one archive.

use super::files::io_fault;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use fs_err as fs;
use job::Fault;
use std::{
    io::{self, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Packs a directory into a `tar.gz`. The same tree always gives the same bytes: entries are in
/// order of their names, owned by root and of one time. Blocks: call it where that is allowed.
///
/// Links are packed as links; sockets, pipes and devices are left out, a test definition has no
/// use for them.
///
/// # Errors
/// An infrastructure fault when a file cannot be read or the archive cannot be written.
pub fn compress(directory: &Path, archive: &Path) -> Result<(), Fault> {
    write(directory, archive).map_err(|error| io_fault(&error))
}

/// The time of all entries of overlays: fixed, and one that no `tar` finds implausible.
pub(super) const ENTRY_TIME: u32 = 1_000_000_000;

fn write(directory: &Path, archive: &Path) -> io::Result<()> {
    let file = BufWriter::new(fs::File::create(archive)?);
    // No name and no time in the header, and the fastest level: it is unpacked once.
    let encoder: GzEncoder<_> = GzBuilder::new().write(file, Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for entry in walk(directory)? {
        append(&mut builder, directory, &entry)?;
    }
    builder.into_inner()?.finish()?.into_inner()?.flush()
}

/// A file, directory or link below a directory.
pub(super) struct Found {
    /// Relative to the directory.
    pub(super) path: PathBuf,
    pub(super) metadata: std::fs::Metadata,
}

/// All files, directories and links below `directory` in order of their paths; a directory comes
/// before what it holds. Links are not followed.
pub(super) fn walk(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(directory.join(&path))? {
            let entry = entry?;
            let path = path.join(entry.file_name());
            let metadata = fs::symlink_metadata(entry.path())?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                pending.push(path.clone());
            } else if !kind.is_file() && !kind.is_symlink() {
                continue;
            }
            found.push(Found { path, metadata });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn append<W: Write>(
    builder: &mut tar::Builder<W>,
    directory: &Path,
    found: &Found,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(ENTRY_TIME.into());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(found.metadata.permissions().mode() & 0o7777);
    header.set_size(0);
    let source = directory.join(&found.path);
    let kind = found.metadata.file_type();
    if kind.is_dir() {
        header.set_entry_type(tar::EntryType::Directory);
        // With a slash at its end, as tar(1) writes directories.
        builder.append_data(&mut header, found.path.join(""), io::empty())
    } else if kind.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        builder.append_link(&mut header, &found.path, fs::read_link(&source)?)
    } else {
        let size = found.metadata.len();
        header.set_size(size);
        // Never more than the header says, should the file grow.
        let contents = fs::File::open(&source)?.take(size);
        builder.append_data(&mut header, &found.path, contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_trees_give_equal_archives_owned_by_root() {
        let one = tempfile::tempdir().unwrap();
        let tree = |name: &str, order: &[&str]| {
            let root = one.path().join(name);
            for path in order {
                let file = root.join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, path).unwrap();
            }
            fs::os::unix::fs::symlink("a/b", root.join("link")).unwrap();
            let archive = one.path().join(format!("{name}.tar.gz"));
            compress(&root, &archive).unwrap();
            fs::read(archive).unwrap()
        };
        let first = tree("first", &["a/b", "a/c/d", "z"]);
        let second = tree("second", &["z", "a/c/d", "a/b"]);
        assert_eq!(first, second);

        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(first.as_slice()));
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.header().uid().unwrap(), 0);
            names.push(entry.path().unwrap().display().to_string());
        }
        assert_eq!(names, ["a/", "a/b", "a/c/", "a/c/d", "link", "z"]);
    }
}
