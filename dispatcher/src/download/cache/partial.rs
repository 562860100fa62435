//! Transfers under way, which survive a broken connection, a canceled job and a crash.

use super::{Cache, Validator, read_json, write_json};
use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Pauses between looks at a lock that somebody else holds.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// How long somebody else may take before the file is rather fetched twice.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A partial file and the lock on it, which ends with this value.
#[derive(Debug)]
pub(in super::super) struct Partial {
    file: std::fs::File,
    path: PathBuf,
    about: Option<About>,
    /// Whether the name is not this file's any more.
    settled: bool,
}

/// What a partial file is the beginning of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    validator: Validator,
}

impl Cache {
    /// Owns the partial file of a key. Waits while another download owns it, so that the same file
    /// is fetched once; `waiting` is told when that happens.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    /// When the file cannot be made or locked, or is owned by somebody else for ten minutes.
    pub(in super::super) async fn partial(
        &self,
        key: &str,
        mut waiting: impl FnMut(),
    ) -> io::Result<Partial> {
        let directory = self.directory.join("partial");
        self.make_directory(&directory)?;
        let path = directory.join(key);
        let mut look = FIRST_LOOK;
        let patience = tokio::time::Instant::now() + LONGEST_WAIT;
        loop {
            if let Some(partial) = Partial::try_lock(&path)? {
                return Ok(partial);
            }
            if look == FIRST_LOOK {
                waiting();
            }
            if tokio::time::Instant::now() >= patience {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "another download of the same file takes too long",
                ));
            }
            // flock has no asynchronous form, and a thread in its blocking one cannot be canceled.
            tokio::time::sleep(look).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }
}

impl Partial {
    /// Locks the file; `None` while somebody else has it.
    pub(super) fn try_lock(path: &Path) -> io::Result<Option<Self>> {
        let mut options = std::fs::File::options();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = options.open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Its owner may have given it another name while this one waited for the lock.
        let same = match fs::metadata(path) {
            Ok(there) => {
                let held = file.metadata()?;
                (there.dev(), there.ino()) == (held.dev(), held.ino())
            }
            Err(_) => false,
        };
        let about = read_json(&about_path(path));
        Ok(same.then_some(Self {
            file,
            path: path.to_owned(),
            about,
            settled: false,
        }))
    }

    /// How many bytes there are, and what they can be resumed with.
    pub(in super::super) fn resumable(&self) -> Option<(u64, Validator)> {
        let length = self.file.metadata().ok()?.len();
        let about = self.about.as_ref()?;
        (length > 0).then(|| (length, about.validator.clone()))
    }

    /// Another handle on the file, for the thread that writes it.
    pub(in super::super) fn file(&self) -> io::Result<std::fs::File> {
        self.file.try_clone()
    }

    /// Begins anew.
    pub(in super::super) fn begin(&mut self, validator: &Validator) -> io::Result<()> {
        self.discard()?;
        let about = About {
            validator: validator.clone(),
        };
        write_json(&about_path(&self.path), &about)?;
        self.about = Some(about);
        Ok(())
    }

    /// Forgets what there is.
    pub(in super::super) fn discard(&mut self) -> io::Result<()> {
        self.about = None;
        match fs::remove_file(about_path(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file.set_len(0)
    }

    /// Turns it into a content.
    pub(super) fn promote(mut self, content: &Path) -> io::Result<()> {
        fs::rename(&self.path, content)?;
        self.settled = true;
        let _ = fs::remove_file(about_path(&self.path));
        Ok(())
    }

    /// Removes it for good.
    pub(in super::super) fn remove(mut self) {
        let _ = fs::remove_file(about_path(&self.path));
        let _ = fs::remove_file(&self.path);
        self.settled = true;
    }
}

impl Drop for Partial {
    /// An empty one is of no use to anybody. Its lock still holds, so nobody else uses the name.
    fn drop(&mut self) {
        let empty = self
            .file
            .metadata()
            .is_ok_and(|metadata| metadata.len() == 0);
        if empty && !self.settled {
            let _ = fs::remove_file(about_path(&self.path));
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn about_path(path: &Path) -> PathBuf {
    path.with_extension("json")
}
