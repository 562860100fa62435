//! Finds templates: device files first, then device types, then the embedded ones.

use crate::error::{Error, ErrorKind};
use std::{
    io::Read,
    path::{Component, Path, PathBuf},
};

/// The largest template that is read, in bytes. The largest of LAVA 2026.07 has 40 KiB.
const MAX_TEMPLATE: u64 = 1024 * 1024;

/// Where a template came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of one of the directories.
    File(PathBuf),
    /// Part of the program.
    Embedded,
    /// Given by the caller as text.
    Given,
}

/// A template that took part in a rendering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedTemplate {
    /// Its name, as others extend it.
    pub name: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Directories in the order of search, and what is embedded.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchPath {
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) embedded: Vec<(&'static str, &'static str)>,
}

impl SearchPath {
    /// The text and origin of a template, `None` when nobody has it.
    pub(crate) fn load(&self, name: &str) -> Result<Option<(String, Origin)>, Error> {
        let relative = Path::new(name);
        let is_plain = !name.is_empty()
            && !name.contains('\\')
            && !name.contains('\0')
            && relative
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
        if !is_plain {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("{name:?} is no name of a template"),
            )
            .with_hint("names are relative to the template directories and do not use `..`"));
        }
        for directory in &self.directories {
            if let Some(found) = self.load_file(&directory.join(relative))? {
                return Ok(Some(found));
            }
        }
        let embedded = self.embedded.iter().find(|(known, _)| *known == name);
        Ok(embedded.map(|(_, text)| ((*text).to_owned(), Origin::Embedded)))
    }

    fn load_file(&self, path: &Path) -> Result<Option<(String, Origin)>, Error> {
        let resolved = match fs_err::canonicalize(path) {
            Ok(resolved) => resolved,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(&error)),
        };
        if !self.contains(&resolved) {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "{} leads to {}, which is outside the template directories",
                    path.display(),
                    resolved.display()
                ),
            )
            .with_hint("copy the file, or add the directory it is in to the search"));
        }
        let metadata = fs_err::metadata(&resolved).map_err(|error| unreadable(&error))?;
        if !metadata.is_file() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("{} is no file", path.display()),
            ));
        }
        let file = fs_err::File::open(&resolved).map_err(|error| unreadable(&error))?;
        let mut bytes = Vec::new();
        file.take(MAX_TEMPLATE + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > MAX_TEMPLATE {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("{} is larger than {MAX_TEMPLATE} bytes", path.display()),
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::new(
                ErrorKind::Unreadable,
                format!("{} is not UTF-8", path.display()),
            )
        })?;
        Ok(Some((text, Origin::File(path.to_owned()))))
    }

    fn contains(&self, resolved: &Path) -> bool {
        self.directories.iter().any(|directory| {
            fs_err::canonicalize(directory).is_ok_and(|directory| resolved.starts_with(directory))
        })
    }

    /// All names that could be loaded, for suggestions. Unreadable directories have none.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .directories
            .iter()
            .filter_map(|directory| fs_err::read_dir(directory).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".jinja2"))
            .chain(self.embedded.iter().map(|(name, _)| (*name).to_owned()))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The error for a template that nobody has.
    pub(crate) fn not_found(&self, name: &str) -> Error {
        let error = Error::new(
            ErrorKind::NotFound,
            format!("there is no template {name:?}"),
        );
        let names = self.names();
        let mut hint = match job::schema::nearest(name, names.iter().map(String::as_str)) {
            Some(known) => format!("did you mean {known:?}? "),
            None => String::new(),
        };
        hint.push_str("searched: ");
        for directory in &self.directories {
            hint.push_str(&format!("{}, ", directory.display()));
        }
        hint.push_str("the built-in device types");
        error.with_hint(hint)
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn unreadable(error: &std::io::Error) -> Error {
    // fs_err names the path.
    Error::new(ErrorKind::Unreadable, error.to_string())
}
