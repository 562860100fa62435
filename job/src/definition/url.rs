//! A file to download, as jobs describe it.

use crate::{Problem, document::Cursor};
use std::collections::BTreeMap;

/// A file to download, with what is to be put into it.
#[derive(Clone, Debug, PartialEq)]
pub struct UrlBlock {
    /// Where it is.
    pub url: String,
    /// Further request headers.
    pub headers: BTreeMap<String, String>,
    /// How it is compressed: `bz2`, `gz`, `xz`, `zip` or `zstd`.
    pub compression: Option<String>,
    /// `tar` for an archive to unpack.
    pub archive: Option<String>,
    /// MD5 in hexadecimal.
    pub md5sum: Option<String>,
    /// SHA-256 in hexadecimal.
    pub sha256sum: Option<String>,
    /// SHA-512 in hexadecimal.
    pub sha512sum: Option<String>,
    /// Whether a cache may answer.
    pub use_cache: bool,
    /// How a program is told of the file; `{label}` stands for it.
    pub image_arg: Option<String>,
    /// What is to be put into it.
    pub injection: Option<Injection>,
}

/// What is to be put into a downloaded image.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// `cpio.newc`, `ext4` or `tar`.
    pub format: String,
    /// The partition that holds the file system.
    pub partition: Option<u32>,
    /// Whether it is an Android sparse image.
    pub sparse: bool,
    /// Names and what to put in, in order.
    pub overlays: Vec<(String, OverlayEntry)>,
}

/// One thing to put into an image.
#[derive(Clone, Debug, PartialEq)]
pub enum OverlayEntry {
    /// `lava: true`: the overlay of the tests.
    Lava,
    /// A file of the job's.
    File(Box<InjectedFile>),
}

/// A file of the job's to put into an image.
#[derive(Clone, Debug, PartialEq)]
pub struct InjectedFile {
    /// The file.
    pub file: UrlBlock,
    /// `file` or `tar`.
    pub format: String,
    /// The place in the image.
    pub path: String,
}

impl UrlBlock {
    /// Reads a file to download.
    pub fn read(cursor: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let url = cursor.require("url", problems)?.text(problems)?;
        Some(Self {
            url,
            headers: cursor
                .get("headers")
                .map_or_else(Vec::new, |headers| headers.text_entries(problems))
                .into_iter()
                .collect(),
            compression: cursor.text_at("compression", problems),
            archive: cursor.text_at("archive", problems),
            md5sum: cursor.text_at("md5sum", problems),
            sha256sum: cursor.text_at("sha256sum", problems),
            sha512sum: cursor.text_at("sha512sum", problems),
            use_cache: cursor.flag("use_cache", true),
            image_arg: cursor.text_at("image_arg", problems),
            injection: Injection::read(cursor, problems),
        })
    }
}

impl Injection {
    fn read(image: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let overlays = image.set("overlays")?;
        let format = image.require("format", problems)?.text(problems)?;
        let entries = overlays.entries(problems);
        Some(Self {
            format,
            partition: image
                .set("partition")
                .and_then(|partition| partition.count(problems)),
            sparse: image.flag("sparse", false),
            overlays: entries
                .into_iter()
                .filter_map(|(name, entry)| {
                    Some((name.clone(), OverlayEntry::read(&name, &entry, problems)?))
                })
                .collect(),
        })
    }
}

impl OverlayEntry {
    fn read(name: &str, entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        if name == "lava" {
            // LAVA looks at the key only.
            return Some(Self::Lava);
        }
        Some(Self::File(Box::new(InjectedFile {
            file: UrlBlock::read(entry, problems)?,
            format: entry.require("format", problems)?.text(problems)?,
            path: entry.require("path", problems)?.text(problems)?,
        })))
    }
}
