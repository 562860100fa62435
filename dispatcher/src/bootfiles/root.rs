//! Directories that are served, and nothing outside them.

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// The longest path that a client may ask for.
const LONGEST_PATH: usize = 512;

/// A directory whose regular files clients may read.
///
/// The kernel resolves their paths and refuses to leave the directory, by `..`, by a link or by an
/// absolute path (`openat2` with `RESOLVE_BENEATH`).
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    path: PathBuf,
    /// What paths have to begin with.
    prefix: Option<String>,
}

/// Why a file is not served. Its text tells a client nothing of the host.
#[derive(Debug, thiserror::Error)]
pub enum NotServed {
    /// There is no such file, or it is no regular file.
    #[error("there is no such file")]
    Missing,
    /// It leads out of the directory, or may not be read.
    #[error("access denied")]
    Denied,
    /// The host has a problem of its own, told to the job only.
    #[error("the server cannot read it now")]
    Host(#[source] io::Error),
}

impl Root {
    /// Serves what is in `path`.
    ///
    /// # Errors
    /// When it is no directory that can be opened.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &path, flags, Mode::empty()).map_err(|errno| {
            let reason = io::Error::from(errno);
            io::Error::new(reason.kind(), format!("{}: {reason}", path.display()))
        })?;
        Ok(Self {
            directory,
            path,
            prefix: None,
        })
    }

    /// Serves what is in the directory `name` of `path`, under the paths that it has in `path`:
    /// that of a job among those of others.
    ///
    /// # Errors
    /// When it is no directory that can be opened.
    pub fn one_of(path: &Path, name: &str) -> io::Result<Self> {
        let root = Self::new(path.join(name))?;
        Ok(Self {
            prefix: Some(format!("{name}/")),
            ..root
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file by the path that a client sent, and tells its size.
    ///
    /// # Errors
    /// See [`NotServed`].
    pub fn open(&self, path: &str) -> Result<(std::fs::File, u64), NotServed> {
        let path = path.trim_start_matches('/');
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let path = path.strip_prefix(prefix).ok_or(NotServed::Missing)?;
        if path.is_empty() || path.len() > LONGEST_PATH || path.contains('\0') {
            return Err(NotServed::Missing);
        }
        // Without O_NONBLOCK a FIFO would hold us until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&self.directory, path, flags, Mode::empty(), within);
        let file = std::fs::File::from(file.map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => NotServed::Missing,
            Errno::XDEV | Errno::LOOP | Errno::ACCESS | Errno::PERM => NotServed::Denied,
            errno => NotServed::Host(errno.into()),
        })?);
        let metadata = file.metadata().map_err(NotServed::Host)?;
        if !metadata.is_file() {
            return Err(NotServed::Missing);
        }
        Ok((file, metadata.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_served_and_the_rest_of_the_host_is_not() {
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("secret"), "s").unwrap();
        let inside = outside.path().join("served");
        fs_err::create_dir(&inside).unwrap();
        fs_err::create_dir(inside.join("dir")).unwrap();
        fs_err::write(inside.join("dir/kernel"), "kernel").unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink(outside.path().join("secret"), inside.join("absolute")).unwrap();
        symlink("dir/kernel", inside.join("link")).unwrap();
        symlink("/proc/self/exe", inside.join("magic")).unwrap();
        let one = Root::one_of(&inside, "dir").unwrap();
        assert_eq!(one.open("/dir/kernel").unwrap().1, 6);
        for bad in ["kernel", "link", "dir/../link", "dir//etc/passwd", "dir/"] {
            assert!(one.open(bad).is_err(), "{bad}");
        }
        let root = Root::new(&inside).unwrap();
        for good in [
            "dir/kernel",
            "/dir/kernel",
            "//dir/kernel",
            "link",
            "dir/../dir/kernel",
        ] {
            assert_eq!(root.open(good).unwrap().1, 6, "{good}");
        }
        for bad in ["../secret", "out", "absolute", "dir/../../secret", "magic"] {
            let refused = root.open(bad);
            assert!(
                matches!(refused, Err(NotServed::Denied)),
                "{bad}: {refused:?}"
            );
        }
        for missing in [
            "",
            "/",
            "dir",
            "none",
            "dir/kernel/x",
            &"x".repeat(600),
            "a\0b",
        ] {
            let refused = root.open(missing);
            assert!(
                matches!(refused, Err(NotServed::Missing)),
                "{missing}: {refused:?}"
            );
        }
    }
}
