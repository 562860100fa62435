//! Which boards a suite is run on.

use hal::{
    ErrorKind, HalError,
    console::{ConsoleTarget, SerialFactory},
    lab::Lab,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The boards, and how to tell that they are the right ones.
#[derive(Debug)]
pub struct Suite {
    pub(crate) lab: Lab,
    pub(crate) boards: BTreeMap<String, Target>,
    /// The serial numbers of the console adapters that may be used; `None` for the rack, whose
    /// boards cannot be mistaken.
    pub(crate) serials: Option<BTreeSet<String>>,
}

/// What a board's firmware says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// What it says when a key stops it.
    pub interrupt: String,
    /// That key.
    #[serde(default = "blank")]
    pub key: String,
    /// What it then prompts with.
    pub prompt: String,
}

fn blank() -> String {
    " ".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    lab: PathBuf,
    serials: BTreeSet<String>,
    board: BTreeMap<String, Target>,
}

impl Suite {
    /// Reads a suite's file; the lab file it names is relative to it.
    ///
    /// # Errors
    /// When a file cannot be read, `InvalidInput` with what is wrong, or `NotFound` for a board
    /// that the lab does not have.
    pub fn from_file(path: &Path) -> Result<Self, HalError> {
        let origin = path.display().to_string();
        let text = fs_err::read_to_string(path)
            .map_err(|error| HalError::from_io("read", &origin, error))?;
        let file: SuiteFile = toml::from_str(&text).map_err(|error| {
            let message = format!("{origin}: {}", error.to_string().trim_end());
            HalError::new(ErrorKind::InvalidInput, &origin, message)
        })?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let lab = Lab::from_file(&directory.join(file.lab))?;
        for name in file.board.keys() {
            lab.board(name)?;
        }
        Ok(Self {
            lab,
            boards: file.board,
            serials: Some(file.serials),
        })
    }
}

/// The serial number of the USB adapter behind a console.
pub(crate) fn adapter_serial(console: Option<&ConsoleTarget>) -> Option<String> {
    match console? {
        ConsoleTarget::Serial { node, .. } => SerialFactory::default().usb_of(node)?.serial,
        _ => None,
    }
}

/// Whether a board may be used, by the serial number of its console's adapter.
pub(crate) fn check_serial(found: Option<&str>, listed: &BTreeSet<String>) -> Result<(), String> {
    match found {
        Some(serial) if listed.contains(serial) => Ok(()),
        Some(serial) => Err(format!(
            "its console's adapter has the serial number {serial}, which is not in 'serials'"
        )),
        None => Err(
            "its console has no USB adapter with a serial number: nothing tells which board it is"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_serial_numbers_are_admitted() {
        let listed = BTreeSet::from(["A50285BI".to_owned()]);
        assert_eq!(check_serial(Some("A50285BI"), &listed), Ok(()));
        assert!(check_serial(Some("a50285bi"), &listed).is_err());
        let why = check_serial(Some("B1"), &listed).unwrap_err();
        assert!(why.contains("B1"), "{why}");
        assert!(check_serial(None, &listed).is_err());
        assert!(check_serial(None, &BTreeSet::new()).is_err());
    }
}
