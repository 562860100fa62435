//! Who holds a board: one lock file for each, held by whoever talks to it.
//!
//! The lock is `flock`'s, so it ends with the process that holds it, however that ends. The file
//! says who that is, for the message to those who come second. It stays when nobody holds it.
//!
//! The files are `BOARD.lock` in the first of these directories:
//! `$PUMICE_LOCK_DIR`; `/run/pumice/locks`, if it is there; `$XDG_RUNTIME_DIR/pumice/locks`;
//! `/run/pumice/locks`, made by root; `/tmp/pumice-UID/locks`.

use fs_err::{self as fs, File, os::unix::fs::OpenOptionsExt};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, fchmod, flock},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// The directory that all users of a host share, when the admin made it.
const SHARED: &str = "/run/pumice/locks";

/// The longest text of a lock file that is read.
const LONGEST: u64 = 16 << 10;

/// Who holds a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The process.
    pub(crate) pid: u32,
    /// What it is: `pumice run`.
    pub(crate) command: String,
    /// The job it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<String>,
    /// The journal of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) journal: Option<PathBuf>,
}

/// A board that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Why a board is not ours.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// Somebody holds it; they may not have said who they are yet.
    Held(Option<Holder>),
    /// The lock file cannot be used.
    Failed(io::Error),
}

impl Holder {
    /// This process.
    pub(crate) fn this(command: &str) -> Self {
        Self {
            pid: std::process::id(),
            command: command.to_owned(),
            ..Self::default()
        }
    }
}

/// Takes a board.
pub(crate) fn take(board: &str, holder: &Holder) -> Result<Lock, NotTaken> {
    take_in(&directory(), board, holder)
}

/// Who holds a board; `None` when nobody does.
pub(crate) fn holder(board: &str) -> io::Result<Option<Option<Holder>>> {
    holder_in(&directory(), board)
}

/// For people: "board 'b' is held by pumice run (job 42, pid 4711)".
pub(crate) fn describe(board: &str, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!("board '{board}' is held by {holder}"),
        None => format!("board '{board}' is held by another process"),
    }
}

fn take_in(directory: &Path, board: &str, holder: &Holder) -> Result<Lock, NotTaken> {
    make_directory(directory)?;
    let path = path_in(directory, board);
    let (file, writable) = open(&path)?;
    match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(NotTaken::Held(read(file))),
        Err(error) => return Err(io::Error::from(error).into()),
    }
    let mut lock = Lock { file };
    if writable {
        lock.file.set_len(0)?;
        let text = serde_json::to_vec(holder).map_err(io::Error::from)?;
        lock.file.write_all(&text)?;
    }
    Ok(lock)
}

fn holder_in(directory: &Path, board: &str) -> io::Result<Option<Option<Holder>>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path_in(directory, board));
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A shared lock lasts a moment, and does not keep those from a board who look as well.
    match flock(file.file(), FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(Some(read(file))),
        Err(error) => Err(error.into()),
    }
}

/// Opens a lock file, and says whether it may be written: that of another user may only be locked.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .mode(0o664)
        .custom_flags(flags)
        .open(path);
    match opened {
        Ok(file) => {
            // Others of the group may say who they are whatever our umask; the file of another
            // user is as that user made it.
            let _ = fchmod(file.file().as_fd(), Mode::from_raw_mode(0o664));
            Ok((file, true))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut options = fs::OpenOptions::new();
            let file = options.read(true).custom_flags(flags).open(path)?;
            Ok((file, false))
        }
        Err(error) => Err(error),
    }
}

fn read(file: File) -> Option<Holder> {
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The lock file of a board. Names of boards are a lab's; whatever is in one stays a file's name.
fn path_in(directory: &Path, board: &str) -> PathBuf {
    let mut name = String::new();
    for (index, byte) in board.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && index > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    directory.join(format!("{name}.lock"))
}

fn directory() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(directory) = variable("PUMICE_LOCK_DIR") {
        return directory.into();
    }
    let user = rustix::process::geteuid();
    if Path::new(SHARED).is_dir() {
        return SHARED.into();
    }
    if let Some(runtime) = variable("XDG_RUNTIME_DIR") {
        return Path::new(&runtime).join("pumice/locks");
    }
    if user.is_root() {
        return SHARED.into();
    }
    std::env::temp_dir().join(format!("pumice-{}/locks", user.as_raw()))
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who looks next finds no name of somebody who is gone.
        let _ = self.file.set_len(0);
    }
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = crate::table::harmless(&self.command);
        match &self.job {
            Some(job) => {
                let job = crate::table::harmless(job);
                write!(f, "{command} (job {job}, pid {})", self.pid)
            }
            None => write!(f, "{command} (pid {})", self.pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn job() -> Holder {
        Holder {
            job: Some("42".to_owned()),
            journal: Some("/out/journal".into()),
            ..Holder::this("pumice run")
        }
    }

    #[test]
    fn the_second_learns_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("pumice/locks");
        assert_eq!(holder_in(&directory, "b").unwrap(), None);
        let lock = take_in(&directory, "b", &job()).unwrap();
        let Err(NotTaken::Held(Some(holder))) = take_in(&directory, "b", &Holder::this("x")) else {
            panic!("it was taken twice");
        };
        assert_eq!(holder, job());
        let pid = std::process::id();
        assert_eq!(
            describe("b", Some(&holder)),
            format!("board 'b' is held by pumice run (job 42, pid {pid})")
        );
        assert_eq!(holder_in(&directory, "b").unwrap(), Some(Some(job())));
        take_in(&directory, "c", &Holder::this("x")).unwrap();
        drop(lock);
        assert_eq!(holder_in(&directory, "b").unwrap(), None);
        take_in(&directory, "b", &Holder::this("x")).unwrap();
    }

    #[test]
    fn a_file_of_nonsense_is_no_holder_and_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.lock");
        fs::write(&path, "\u{0}{\"pid\": -1").unwrap();
        let lock = take_in(folder.path(), "b", &job()).unwrap();
        fs::write(&path, "nonsense").unwrap();
        let taken = take_in(folder.path(), "b", &job());
        assert!(matches!(taken, Err(NotTaken::Held(None))));
        drop(lock);
    }

    #[test]
    fn a_link_in_place_of_the_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        fs::write(&precious, "text").unwrap();
        fs::os::unix::fs::symlink(&precious, folder.path().join("b.lock")).unwrap();
        let taken = take_in(folder.path(), "b", &job());
        assert!(matches!(taken, Err(NotTaken::Failed(_))));
        assert_eq!(fs::read_to_string(precious).unwrap(), "text");
    }

    proptest! {
        #[test]
        fn every_name_is_a_file_of_its_own_in_the_directory(a in ".{0,20}", b in ".{0,20}") {
            let directory = Path::new("/locks");
            let path = path_in(directory, &a);
            prop_assert_eq!(path.parent(), Some(directory));
            prop_assert_eq!(path == path_in(directory, &b), a == b);
        }
    }
}
