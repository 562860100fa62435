//! Keeps the cache within its size.

use super::{Entry, Partial, read_json};
use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Partial transfers nobody came back for.
const OLDEST_PARTIAL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes contents, those first that were not used for longest, until the rest fits; `newest`
/// stays whatever its size. What is read at the moment stays readable to its reader.
pub(super) fn prune(directory: &Path, max_bytes: u64, newest: &str) -> io::Result<()> {
    let lock = fs::File::create(directory.join("prune.lock"))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        // Somebody is at it.
        return Ok(());
    }
    remove_old_partials(&directory.join("partial"));
    let mut contents = Vec::new();
    for shard in entries(&directory.join("content")) {
        contents.extend(entries(&shard).filter_map(used));
    }
    contents.sort_unstable();
    let mut total: u64 = contents.iter().map(|(_, size, _)| size).sum();
    if total <= max_bytes {
        return Ok(());
    }
    for (_, size, path) in contents {
        if total <= max_bytes {
            break;
        }
        if !path.ends_with(newest) && fs::remove_file(&path).is_ok() {
            total -= size;
        }
    }
    remove_orphans(directory);
    Ok(())
}

/// When a file was last used, and its size.
fn used(path: PathBuf) -> Option<(SystemTime, u64, PathBuf)> {
    let metadata = fs::metadata(&path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), path))
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

fn remove_old_partials(directory: &Path) {
    let now = SystemTime::now();
    for path in entries(directory).filter(|path| path.extension().is_none()) {
        let old = used(path.clone())
            .and_then(|(time, _, _)| now.duration_since(time).ok())
            .is_some_and(|age| age > OLDEST_PARTIAL);
        if old && let Ok(Some(partial)) = Partial::try_lock(&path) {
            partial.remove();
        }
    }
}

/// Removes what is known about contents that are gone.
fn remove_orphans(directory: &Path) {
    let present = |sha256: &str| {
        let shard = sha256.get(..2).unwrap_or_default();
        directory.join("content").join(shard).join(sha256).is_file()
    };
    for path in entries(&directory.join("url")) {
        if !read_json::<Entry>(&path).is_some_and(|entry| present(&entry.sha256)) {
            let _ = fs::remove_file(&path);
        }
    }
    for path in entries(&directory.join("sha512")) {
        if !read_json::<String>(&path).is_some_and(|sha256| present(&sha256)) {
            let _ = fs::remove_file(&path);
        }
    }
}
