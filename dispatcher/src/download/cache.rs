//! The local cache: contents by their SHA-256, and what is known about URLs.
//!
//! ```text
//! content/ab/abcd…      a content, named after its SHA-256
//! url/<key>.json        what a URL with its headers last was, and how to ask whether it still is
//! sha512/<digest>       the SHA-256 of a content that was declared by its SHA-512
//! partial/<key>         a transfer under way or broken off, locked by whoever works on it
//! partial/<key>.json    what of, so that it can be resumed
//! prune.lock            held while old contents are removed
//! ```
//!
//! Several processes share it without talking to each other: files appear by rename, a transfer is
//! owned by the lock on its file, and a content that is removed while it is read stays readable.
//! Nothing is believed: whoever takes a content out hashes it on the way (see `remote`), so that a
//! damaged one is noticed and dropped. MD5 finds nothing here, since two files with one MD5 can be
//! made at will, and one job must not choose what another one gets.

mod partial;
mod prune;

pub(super) use partial::Partial;

use super::{CacheOptions, checksum::sha256_of};
use fs_err as fs;
use plan::step::Download;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Longest index file that is read.
const LONGEST_ENTRY: u64 = 64 << 10;

/// How a server can be asked whether a content is still the same (RFC 9110 §8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validator {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// What a URL last was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) sha256: String,
    pub(super) validator: Validator,
}

#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    max_bytes: u64,
}

impl Validator {
    pub(super) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// The value for `If-Range`, for which only strong validators will do (RFC 9110 §13.1.5).
    pub(super) fn strong(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        strong.or(if self.etag.is_none() {
            self.last_modified.as_deref()
        } else {
            None
        })
    }
}

impl Cache {
    pub(super) fn new(options: CacheOptions) -> Self {
        Self {
            directory: options.directory,
            max_bytes: options.max_bytes,
        }
    }

    /// What a download is known under. The headers belong to it: with another token a server may
    /// answer otherwise, and what one job may see another may not.
    pub(super) fn key(download: &Download) -> String {
        let mut parts = vec![download.url.trim().as_bytes()];
        for (name, value) in &download.headers {
            parts.extend([&b"\n"[..], name.as_bytes(), b":", value.as_bytes()]);
        }
        sha256_of(parts)
    }

    fn content_path(&self, sha256: &str) -> PathBuf {
        let shard = sha256.get(..2).unwrap_or("00");
        self.directory.join("content").join(shard).join(sha256)
    }

    fn entry_path(&self, key: &str) -> PathBuf {
        self.directory.join("url").join(format!("{key}.json"))
    }

    /// A content, and marks it as used now.
    pub(super) fn content(&self, sha256: &str) -> Option<(std::fs::File, PathBuf)> {
        let path = self.content_path(sha256);
        let file = fs::File::open(&path).ok()?.into_parts().0;
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        // Without it the content only looks older than it is.
        let _ = rustix::fs::futimens(&file, &times);
        Some((file, path))
    }

    pub(super) fn has(&self, sha256: &str) -> bool {
        self.content_path(sha256).is_file()
    }

    /// Drops a content that is damaged.
    pub(super) fn forget(&self, sha256: &str) {
        let _ = fs::remove_file(self.content_path(sha256));
    }

    /// The SHA-256 of a content that was declared by its SHA-512 before.
    pub(super) fn by_sha512(&self, sha512: &str) -> Option<String> {
        let text: String = read_json(&self.directory.join("sha512").join(sha512))?;
        super::checksum::normalised(Some(&text), 64)
    }

    /// What a URL last was, as long as its content is still here.
    pub(super) fn entry(&self, key: &str) -> Option<Entry> {
        let entry: Entry = read_json(&self.entry_path(key))?;
        let sha256 = super::checksum::normalised(Some(&entry.sha256), 64)?;
        self.has(&sha256).then_some(Entry { sha256, ..entry })
    }

    /// Takes a complete transfer in, and drops what was not used for longest when there is too much.
    pub(super) fn store(
        &self,
        partial: Partial,
        key: &str,
        entry: &Entry,
        sha512: Option<&str>,
    ) -> io::Result<()> {
        let path = self.content_path(&entry.sha256);
        self.make_directory(path.parent().unwrap_or(&self.directory))?;
        partial.promote(&path)?;
        if !entry.validator.is_empty() {
            self.make_directory(&self.directory.join("url"))?;
            write_json(&self.entry_path(key), entry)?;
        }
        if let Some(sha512) = sha512 {
            let directory = self.directory.join("sha512");
            self.make_directory(&directory)?;
            write_json(&directory.join(sha512), &entry.sha256)?;
        }
        prune::prune(&self.directory, self.max_bytes, &entry.sha256)
    }

    /// Makes a directory for its owner only: contents may be private.
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .ok()?
        .take(LONGEST_ENTRY)
        .read_to_end(&mut bytes)
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes a small file that is either old or new, never half.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests;
