//! The rack's file: which boards it has, and on which outlets they hang.
//!
//! `hil/rack/rack.toml` is the one that `rack up` reads, and the example of the format.

use hal::{ErrorKind, HalError};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The rack that is part of this project.
const BUILT_IN: &str = include_str!("../rack.toml");

/// A rack.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RackConfig {
    /// Its PDU.
    #[serde(default)]
    pub pdu: PduConfig,
    /// Its boards by name.
    #[serde(default)]
    pub board: BTreeMap<String, BoardConfig>,
}

/// The PDU that the rack emulates. Whoever reaches it can switch the boards.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PduConfig {
    /// Where it understands HTTP as pdudaemon does; port 0 takes any free one.
    pub http: SocketAddr,
    /// Where it understands SNMP as an APC rack PDU does; port 0 takes any free one.
    pub snmp: SocketAddr,
    /// The SNMP community that may switch; "public" may read.
    pub community: String,
}

/// A board that QEMU emulates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BoardConfig {
    /// One line for people.
    pub description: String,
    /// The outlet of the PDU, from 1.
    pub outlet: u32,
    /// The program that emulates it.
    pub program: String,
    /// Its arguments; `{firmware}` and `{directory}` (a private one of the board) are replaced.
    /// Those for console, monitor and network are added.
    pub arguments: Vec<String>,
    /// What it runs first. A board whose firmware is not installed is left out of the rack.
    pub firmware: Option<PathBuf>,
    /// The Debian package that has the firmware, for the message.
    pub package: Option<String>,
    /// Its network.
    pub network: Option<NetworkConfig>,
    /// What its firmware says when a key stops it.
    pub interrupt: Option<String>,
    /// What its firmware prompts with.
    pub prompt: Option<String>,
}

/// How a board is connected.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkConfig {
    /// To what.
    pub kind: NetworkKind,
    /// The network card, as QEMU calls it.
    pub device: String,
    /// More for QEMU's `-netdev`: `["hostfwd=udp:127.0.0.1:5554-:5554"]`.
    #[serde(default)]
    pub options: Vec<String>,
}

/// To what a board is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// QEMU's own network, which needs no rights.
    User,
    /// A bridge in a network namespace of the rack's, with DHCP, TFTP and HTTP; needs root.
    Bridge,
}

impl Default for PduConfig {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            snmp: SocketAddr::from(([127, 0, 0, 1], 0)),
            community: "private".to_owned(),
        }
    }
}

impl RackConfig {
    /// The rack that is part of this project.
    ///
    /// # Errors
    /// When its file is wrong, which a test excludes.
    pub fn built_in() -> Result<Self, HalError> {
        Self::parse(BUILT_IN, "the built-in rack.toml")
    }

    /// Reads a rack's file.
    ///
    /// # Errors
    /// When it cannot be read, or `InvalidInput` with what is wrong.
    pub fn from_file(path: &Path) -> Result<Self, HalError> {
        let origin = path.display().to_string();
        let text = fs_err::read_to_string(path)
            .map_err(|error| HalError::from_io("read", &origin, error))?;
        Self::parse(&text, &origin)
    }

    /// Reads the text of a rack's file; `origin` names it in messages.
    ///
    /// # Errors
    /// `InvalidInput` with what is wrong.
    pub fn parse(text: &str, origin: &str) -> Result<Self, HalError> {
        let invalid = |what: &str| {
            let message = format!("{origin}: {}", what.trim_end());
            HalError::new(ErrorKind::InvalidInput, origin, message)
        };
        let config: Self = toml::from_str(text).map_err(|error| invalid(&error.to_string()))?;
        let mut outlets = BTreeMap::new();
        for (name, board) in &config.board {
            // The name is a directory's, and a word of a command line.
            let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if name.is_empty() || name.len() > 32 || !name.bytes().all(harmless) {
                return Err(invalid(&format!("'{name}' cannot be the name of a board")));
            }
            if !(1..=crate::pdu::OUTLETS).contains(&board.outlet) {
                let last = crate::pdu::OUTLETS;
                return Err(invalid(&format!("{name}: outlets are 1 to {last}")));
            }
            if let Some(other) = outlets.insert(board.outlet, name) {
                let outlet = board.outlet;
                return Err(invalid(&format!(
                    "{other} and {name} both hang on outlet {outlet}"
                )));
            }
        }
        Ok(config)
    }

    /// Keeps these boards only; all of them if `names` is empty.
    ///
    /// # Errors
    /// `NotFound` for a name that is not there.
    pub fn only(mut self, names: &[impl AsRef<str>]) -> Result<Self, HalError> {
        if names.is_empty() {
            return Ok(self);
        }
        let mut kept = BTreeMap::new();
        for name in names.iter().map(AsRef::as_ref) {
            match self.board.remove_entry(name) {
                Some((name, board)) => kept.insert(name, board),
                None if kept.contains_key(name) => continue,
                None => return Err(unknown_board(name, self.board.keys())),
            };
        }
        self.board = kept;
        Ok(self)
    }
}

impl BoardConfig {
    /// Why it cannot run here, if it cannot.
    pub fn missing(&self) -> Option<String> {
        if let Err(error) = hal::process::find_program(self.program.as_ref(), None, None) {
            return Some(error.to_string());
        }
        let firmware = self.firmware.as_ref()?;
        if firmware.exists() {
            return None;
        }
        let package = match &self.package {
            Some(package) => format!("; package {package} has it"),
            None => String::new(),
        };
        Some(format!("there is no {}{package}", firmware.display()))
    }
}

/// The error about a board that is not there.
pub(crate) fn unknown_board<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> HalError {
    let known: Vec<_> = known.map(String::as_str).collect();
    let message = format!("the rack has no board '{name}'");
    HalError::new(ErrorKind::NotFound, name, message)
        .with_hint(format!("it has: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rack_is_right() {
        let rack = RackConfig::built_in().unwrap();
        for name in ["arm64", "armhf", "riscv64", "x86-ipxe", "x86-uefi"] {
            assert!(rack.board.contains_key(name), "{name}");
        }
        let some = rack.clone().only(&["arm64", "riscv64", "arm64"]).unwrap();
        assert_eq!(some.board.len(), 2);
        let error = rack.only(&["amiga"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().unwrap().contains("arm64"));
    }

    #[test]
    fn mistakes_are_named() {
        let board = |name: &str, outlet: u32| {
            format!(
                "[board.{name}]\ndescription = \"\"\noutlet = {outlet}\n\
                 program = \"qemu\"\narguments = []\n"
            )
        };
        for (text, expected) in [
            (board("\"a/b\"", 1), "'a/b' cannot be the name of a board"),
            (board("a", 0), "a: outlets are 1 to"),
            (
                board("a", 2) + &board("b", 2),
                "a and b both hang on outlet 2",
            ),
            (board("a", 2) + "colour = 1\n", "unknown field `colour`"),
        ] {
            let error = RackConfig::parse(&text, "rack.toml").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
