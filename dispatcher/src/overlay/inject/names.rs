//! What an image already has, as far as it matters for what is put into it.

use job::Fault;
use std::{
    collections::HashMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// Directories and links of an image, by their paths without the leading slash.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    known: HashMap<PathBuf, Known>,
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Known {
    Directory,
    Link(PathBuf),
}

/// The most memory names may take; root file systems have some hundred thousand short ones.
const LIMIT: usize = 64 << 20;

/// As many links as Linux follows.
const LINKS: u32 = 40;

impl Names {
    /// Notes a directory.
    pub(in super::super) fn add_directory(&mut self, path: &Path) -> Result<(), Fault> {
        self.add(path, Known::Directory)
    }

    /// Notes a symbolic link.
    pub(in super::super) fn add_link(&mut self, path: &Path, target: &Path) -> Result<(), Fault> {
        self.add(path, Known::Link(target.to_owned()))
    }

    /// Notes that something else has this name now.
    pub(in super::super) fn remove(&mut self, path: &Path) {
        self.known.remove(&clean(path));
    }

    /// Whether a directory has this name.
    pub(in super::super) fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.known.get(path) == Some(&Known::Directory)
    }

    /// Where `path` leads in the image when links are followed: all of them, or all but that of
    /// the last name.
    pub(in super::super) fn resolve(&self, path: &Path, last_too: bool) -> Result<PathBuf, Fault> {
        let mut left: Vec<PathBuf> = components(path);
        left.reverse();
        let mut resolved = PathBuf::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part.as_os_str() == ".." {
                resolved.pop();
                continue;
            }
            let next = resolved.join(&part);
            let target = match self.known.get(&next) {
                Some(Known::Link(target)) if last_too || !left.is_empty() => target,
                _ => {
                    resolved = next;
                    continue;
                }
            };
            links += 1;
            if links > LINKS {
                return Err(Fault::job(format!(
                    "too many links on the way to /{} in the image",
                    path.display()
                )));
            }
            if target.is_absolute() {
                resolved = PathBuf::new();
            }
            left.extend(components(target).into_iter().rev());
        }
        Ok(resolved)
    }

    fn add(&mut self, path: &Path, known: Known) -> Result<(), Fault> {
        let path = clean(path);
        self.bytes += path.as_os_str().len() + 64;
        if let Known::Link(target) = &known {
            self.bytes += target.as_os_str().len();
        }
        if self.bytes > LIMIT {
            return Err(
                Fault::job("the image has more directories and links than can be handled")
                    .with_hint("put the overlay into a running system instead: transfer_overlay"),
            );
        }
        self.known.insert(path, known);
        Ok(())
    }
}

/// A path of an archive from its bytes, without the leading slash and without `.`.
pub(in super::super) fn from_bytes(bytes: &[u8]) -> PathBuf {
    clean(Path::new(OsStr::from_bytes(bytes)))
}

/// `path` without the leading slash, `.` and doubled slashes.
fn clean(path: &Path) -> PathBuf {
    components(path).into_iter().collect()
}

fn components(path: &Path) -> Vec<PathBuf> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_image_are_followed_inside_the_image() {
        let mut names = Names::default();
        names
            .add_link(Path::new("./lib"), Path::new("usr/lib"))
            .unwrap();
        names
            .add_link(Path::new("usr/tmp"), Path::new("../../../var/tmp"))
            .unwrap();
        names
            .add_link(Path::new("root"), Path::new("/home"))
            .unwrap();
        let at = |path: &str, last| names.resolve(Path::new(path), last).unwrap();
        assert_eq!(at("/lib/modules", true), Path::new("usr/lib/modules"));
        assert_eq!(at("lib", false), Path::new("lib"));
        assert_eq!(at("lib", true), Path::new("usr/lib"));
        assert_eq!(at("usr/tmp/x", true), Path::new("var/tmp/x"));
        assert_eq!(at("root/.ssh", true), Path::new("home/.ssh"));
    }

    #[test]
    fn a_circle_of_links_is_refused() {
        let mut names = Names::default();
        names.add_link(Path::new("a"), Path::new("b")).unwrap();
        names.add_link(Path::new("b"), Path::new("a")).unwrap();
        assert!(names.resolve(Path::new("a/x"), true).is_err());
        assert!(names.resolve(Path::new("a"), false).is_ok());
    }
}
