//! Files below a directory whose contents are hostile.

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use job::Fault;
use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

/// An I/O error as a fault of the lab; `fs_err`'s errors name their path.
pub(super) fn io_fault(error: &io::Error) -> Fault {
    let fault = Fault::infrastructure(error.to_string());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            fault.with_hint("free space in the directory for temporary files of jobs")
        }
        ErrorKind::PermissionDenied => fault
            .with_hint("let the user that runs jobs write to the directory for temporary files"),
        _ => fault,
    }
}

/// A read that failed, as a fault of the lab; for errors that do not name their path.
pub(super) fn read_fault(path: &Path, error: &io::Error) -> Fault {
    Fault::infrastructure(format!("cannot read {}: {error}", path.display()))
}

/// A write that failed, as a fault of the lab; for errors that do not name their path.
pub(super) fn write_fault(path: &Path, error: &io::Error) -> Fault {
    crate::archive::write_fault(path, error, None)
}

/// Makes a directory and its parents.
pub(super) fn create_directory(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(|error| io_fault(&error))
}

/// Writes a new file with exactly this mode; what had its name, a link too, is replaced.
pub(super) fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), Fault> {
    let write = || {
        match fs::symlink_metadata(path) {
            Ok(known) if !known.is_dir() => fs::remove_file(path)?,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(contents)?;
        // The mode given to open() is cut by the umask.
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    };
    write().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Fault::job(format!(
            "{} is a directory, but a file of that name belongs there",
            path.display()
        )),
        _ => io_fault(&error),
    })
}

/// A path that a job gave, relative to a directory: only plain names, at least one.
pub(super) fn relative(path: &str, what: &str) -> Result<PathBuf, Fault> {
    let refuse = |reason: &str| {
        Err(Fault::job(format!("{what} {path:?} {reason}")).with_hint(
            "give a path relative to the repository, without '..', as in 'automated/test.yaml'",
        ))
    };
    if path.contains('\0') {
        return refuse("contains a NUL character");
    }
    let mut out = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return refuse("leaves its repository");
            }
        }
    }
    if out.as_os_str().is_empty() {
        return refuse("names no file");
    }
    Ok(out)
}

/// One name of a file, which a job gave.
pub(super) fn single_name(name: &str, what: &str) -> Result<(), Fault> {
    if name.contains('/') || relative(name, what)?.as_os_str() != name {
        return Err(
            Fault::job(format!("{what} {name:?} is not the name of a file"))
                .with_hint("use letters, digits, '-' and '_' only"),
        );
    }
    Ok(())
}

/// Reads a file below `directory`, at most `limit` bytes of it. Links may lead elsewhere inside
/// `directory`, never out of it.
pub(super) fn read_below(
    directory: &Path,
    path: &str,
    what: &str,
    limit: u64,
) -> Result<Vec<u8>, Fault> {
    let wanted = directory.join(relative(path, what)?);
    let missing = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Fault::job(format!("{what} {path:?} does not exist"))
                .with_hint("compare the path with the files of the repository at this revision")
        }
        _ => io_fault(error),
    };
    let root = fs::canonicalize(directory).map_err(|error| io_fault(&error))?;
    let real = fs::canonicalize(&wanted).map_err(|error| missing(&error))?;
    if !real.starts_with(&root) {
        return Err(Fault::job(format!(
            "{what} {path:?} is a link that leaves its repository"
        )));
    }
    let file = fs::File::open(&real).map_err(|error| missing(&error))?;
    let metadata = file.metadata().map_err(|error| io_fault(&error))?;
    if !metadata.is_file() {
        return Err(Fault::job(format!("{what} {path:?} is not a file")));
    }
    let mut contents = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut contents)
        .map_err(|error| io_fault(&error))?;
    if contents.len() as u64 > limit {
        return Err(Fault::job(format!(
            "{what} {path:?} is larger than {limit} bytes"
        )));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for path in ["", ".", "/etc/passwd", "../x", "a/../../x", "a\0b"] {
            assert!(relative(path, "path").is_err(), "{path:?}");
        }
        assert_eq!(
            relative("./a//b.yaml", "path").unwrap(),
            Path::new("a/b.yaml")
        );
        for name in ["a/b", "..", "./a", "a/"] {
            assert!(single_name(name, "name").is_err(), "{name:?}");
        }
        assert!(single_name("0_smoke-tests", "name").is_ok());
    }

    #[test]
    fn links_are_followed_inside_the_directory_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("repository");
        fs::create_dir(&root).unwrap();
        fs::write(directory.path().join("outside"), "secret").unwrap();
        fs::write(root.join("real.yaml"), "text").unwrap();
        fs::os::unix::fs::symlink("real.yaml", root.join("inside.yaml")).unwrap();
        fs::os::unix::fs::symlink("../outside", root.join("out.yaml")).unwrap();
        let read = |path: &str| read_below(&root, path, "path", 100);
        assert_eq!(read("inside.yaml").unwrap(), b"text");
        let fault = read("out.yaml").unwrap_err();
        assert!(fault.message.contains("leaves its repository"), "{fault}");
        assert!(read_below(&root, "real.yaml", "path", 3).is_err());
        assert!(read("missing.yaml").unwrap_err().hint.is_some());
    }

    #[test]
    fn a_link_in_the_place_of_a_new_file_is_replaced_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        let link = directory.path().join("run.sh");
        fs::write(&victim, "untouched").unwrap();
        fs::os::unix::fs::symlink(&victim, &link).unwrap();
        write_new(&link, b"new", 0o755).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(&link).unwrap(), "new");
        assert_eq!(
            fs::metadata(&link).unwrap().permissions().mode() & 0o7777,
            0o755
        );
    }
}
