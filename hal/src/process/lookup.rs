//! Finding programs.

use crate::error::{ErrorKind, HalError};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Directories that LAVA 2026.07 adds to `$PATH`, because an ordinary user's often lacks them.
const SYSTEM_DIRECTORIES: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Finds an executable file by name.
///
/// A name with a slash is a path, relative to `directory` if given. Other names are searched for
/// in `path` (of `$PATH`'s form; the process's own when `None`), then in the system's
/// administration directories. Empty elements of `path` are skipped: the current directory is not
/// searched.
///
/// # Errors
/// `NotFound`, or `PermissionDenied` when there is only a file that may not be executed.
pub fn find_program(
    name: &OsStr,
    directory: Option<&Path>,
    path: Option<&OsStr>,
) -> Result<PathBuf, HalError> {
    let shown = name.to_string_lossy();
    if name.as_encoded_bytes().contains(&b'/') {
        return find_at(&directory.unwrap_or(Path::new("")).join(name), &shown);
    }
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let mut unusable = None;
    let searched = std::env::split_paths(path.unwrap_or(&inherited));
    for directory in searched.chain(std::env::split_paths(SYSTEM_DIRECTORIES)) {
        if name.is_empty() || directory.as_os_str().is_empty() {
            continue;
        }
        let candidate = directory.join(name);
        match usable(&candidate) {
            Usable::Yes => return Ok(candidate),
            Usable::NotExecutable => unusable = unusable.or(Some(candidate)),
            Usable::Absent => {}
        }
    }
    Err(match unusable {
        Some(file) => not_executable(&file, &shown),
        None => {
            let message = format!("cannot find command '{shown}' in $PATH");
            HalError::new(ErrorKind::NotFound, shown, message)
                .with_hint("install the package that provides it, or give its full path")
        }
    })
}

fn find_at(file: &Path, shown: &str) -> Result<PathBuf, HalError> {
    match usable(file) {
        // The child changes its directory before it executes the file.
        Usable::Yes => std::path::absolute(file)
            .map_err(|error| HalError::from_io("resolve", file.to_string_lossy(), error)),
        Usable::NotExecutable => Err(not_executable(file, shown)),
        Usable::Absent => {
            let message = format!("cannot find command '{}'", file.display());
            Err(HalError::new(ErrorKind::NotFound, shown, message)
                .with_hint("check the path in the configuration"))
        }
    }
}

fn not_executable(file: &Path, shown: &str) -> HalError {
    let message = format!("'{}' is not an executable file", file.display());
    HalError::new(ErrorKind::PermissionDenied, shown, message)
        .with_hint(format!("make it executable: chmod +x {}", file.display()))
}

enum Usable {
    Yes,
    NotExecutable,
    Absent,
}

fn usable(file: &Path) -> Usable {
    let executable = rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    match file.is_file() {
        true if executable => Usable::Yes,
        true => Usable::NotExecutable,
        false => Usable::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_found_and_absence_is_named() {
        assert!(
            find_program(OsStr::new("sh"), None, None)
                .unwrap()
                .is_absolute()
        );
        let error = find_program(OsStr::new("no-such-command"), None, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "cannot find command 'no-such-command' in $PATH"
        );
        assert!(error.hint().is_some());
        assert!(find_program(OsStr::new(""), None, None).is_err());
    }

    #[test]
    fn file_without_the_bit_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("tool"), "#!/bin/sh\n").unwrap();
        let path = Some(directory.path().as_os_str());
        for name in ["tool", "./tool"] {
            let error = find_program(OsStr::new(name), Some(directory.path()), path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
    }

    #[test]
    fn relative_path_is_relative_to_the_directory_of_the_command() {
        let found = find_program(OsStr::new("bin/../bin/sh"), Some(Path::new("/")), None);
        assert_eq!(found.unwrap(), Path::new("/bin/../bin/sh"));
    }
}
