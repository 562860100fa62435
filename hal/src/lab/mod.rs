//! The lab file: which PDUs and boards there are, and how to reach them.
//!
//! ```toml
//! models = ["pdus-of-ours.toml"]         # tables of models, beside this file
//!
//! [pdu.rack1]
//! model = "apc7952"
//! address = "192.0.2.10"
//! username = "apc"
//! password-file = "/etc/pumice/rack1.password"
//!
//! [board.beaglebone-1]
//! console = "serial:///dev/serial/by-id/usb-FTDI_FT232R-if00-port0?baud=115200"
//! power = { pdu = "rack1", outlet = "3", off-for = "2s" }
//! ```
//!
//! Used by `pumice power`, `pumice console` and the power daemon. It is the admin's file: who can
//! write it can run programs as the daemon's user.

mod duration;
mod secret;

pub use duration::parse as parse_duration;
pub use secret::Secret;

use crate::{
    console::{ConsoleTarget, EpochCounter},
    error::{ErrorKind, HalError},
    power::{Outlet, OutletPower, OutletTiming, Pdu, PowerControl, SharedPdu, models::Models},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// The time of one request where the lab file has none. The slowest menus need four seconds.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// One PDU of the lab.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PduConfig {
    /// Its name: the key of its table.
    #[serde(skip)]
    pub name: String,
    /// A model or an alias of one: see [`Models`].
    pub model: String,
    /// Host name or address with an optional port, or a device node, as the model needs it.
    pub address: Option<String>,
    /// The login's name.
    pub username: Option<String>,
    /// The login's password, a token or a community's name.
    pub password: Option<Secret>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// The time of one request, within the caller's deadline: see [`Self::request_timeout`].
    #[serde(default, with = "duration::optional")]
    pub timeout: Option<Duration>,
    /// How long a reset leaves an outlet off.
    #[serde(default, with = "duration::optional")]
    pub off_for: Option<Duration>,
    /// How long an outlet may take to show that it moved.
    #[serde(default, with = "duration::optional")]
    pub settle: Option<Duration>,
    /// What only this model knows: `{ community = "private", version = "1" }`.
    #[serde(default)]
    pub options: toml::Table,
}

/// One board of the lab.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BoardConfig {
    /// Its console: see [`crate::console::target`].
    pub console: Option<ConsoleTarget>,
    /// The outlet it hangs on.
    pub power: Option<OutletConfig>,
}

/// An outlet that a board hangs on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutletConfig {
    /// The name of its PDU in this file.
    pub pdu: String,
    /// The outlet's name at the PDU.
    pub outlet: String,
    /// As the PDU's, for this board alone.
    #[serde(default, with = "duration::optional")]
    pub off_for: Option<Duration>,
    /// As the PDU's, for this board alone.
    #[serde(default, with = "duration::optional")]
    pub settle: Option<Duration>,
}

/// A lab: its PDUs are opened once and shared.
#[derive(Debug)]
pub struct Lab {
    origin: String,
    models: Models,
    pdus: BTreeMap<String, (PduConfig, SharedPdu)>,
    boards: BTreeMap<String, BoardConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabFile {
    #[serde(default)]
    models: Vec<PathBuf>,
    #[serde(default)]
    pdu: BTreeMap<String, PduConfig>,
    #[serde(default)]
    board: BTreeMap<String, BoardConfig>,
}

impl Lab {
    /// Reads the lab file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or `InvalidInput` with the file, line and what is wrong.
    pub fn from_file(path: &Path) -> Result<Self, HalError> {
        let origin = path.display().to_string();
        let text = fs_err::read_to_string(path)
            .map_err(|error| HalError::from_io("read", &origin, error))?;
        Self::parse(&text, &origin, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads the text of a lab file; `origin` names it in messages, and its paths are relative to
    /// `directory`.
    ///
    /// # Errors
    /// As [`Self::from_file`].
    pub fn parse(text: &str, origin: &str, directory: &Path) -> Result<Self, HalError> {
        let file: LabFile = toml::from_str(text).map_err(|error| {
            let message = format!("{origin}: {}", error.to_string().trim_end());
            HalError::new(ErrorKind::InvalidInput, origin, message)
        })?;
        let mut models = Models::built_in()?;
        for table in file.models {
            models.add_file(&directory.join(table))?;
        }
        let mut lab = Self::new(origin, models);
        for (name, mut config) in file.pdu {
            config.name = name;
            config.read_password(directory)?;
            lab.add_pdu(config)?;
        }
        for (name, board) in file.board {
            lab.add_board(name, board)?;
        }
        Ok(lab)
    }

    /// A lab without PDUs and boards, for those who read another kind of file; `origin` names it
    /// in messages.
    pub fn new(origin: impl Into<String>, models: Models) -> Self {
        Self {
            origin: origin.into(),
            models,
            pdus: BTreeMap::new(),
            boards: BTreeMap::new(),
        }
    }

    /// Adds the PDU that `config` describes.
    ///
    /// # Errors
    /// As [`Models::open`].
    pub fn add_pdu(&mut self, config: PduConfig) -> Result<(), HalError> {
        let driver = self.models.open(&config)?;
        self.add_driver(config, driver);
        Ok(())
    }

    /// Adds a PDU with a driver that no table has.
    pub fn add_driver(&mut self, config: PduConfig, driver: Box<dyn Pdu>) {
        let shared = SharedPdu::new(&config.name, driver);
        self.pdus.insert(config.name.clone(), (config, shared));
    }

    /// Adds a board; its PDU is there already.
    ///
    /// # Errors
    /// `NotFound` for its PDU, `InvalidInput` for its outlet.
    pub fn add_board(
        &mut self,
        name: impl Into<String>,
        config: BoardConfig,
    ) -> Result<(), HalError> {
        if let Some(power) = &config.power {
            self.outlet(&power.pdu, &power.outlet, EpochCounter::default())?;
        }
        self.boards.insert(name.into(), config);
        Ok(())
    }

    /// The models that its PDUs may be of: the built-in ones and those of its own tables.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The boards' names.
    pub fn boards(&self) -> impl Iterator<Item = &str> {
        self.boards.keys().map(String::as_str)
    }

    /// The PDUs' names.
    pub fn pdus(&self) -> impl Iterator<Item = &str> {
        self.pdus.keys().map(String::as_str)
    }

    /// What the file says of a board.
    ///
    /// # Errors
    /// `NotFound`, with the nearest name there is.
    pub fn board(&self, name: &str) -> Result<&BoardConfig, HalError> {
        self.boards
            .get(name)
            .ok_or_else(|| self.unknown("board", name, self.boards()))
    }

    /// A PDU, shared.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub fn pdu(&self, name: &str) -> Result<&SharedPdu, HalError> {
        match self.pdus.get(name) {
            Some((_, pdu)) => Ok(pdu),
            None => Err(self.unknown("PDU", name, self.pdus())),
        }
    }

    /// The power of an outlet, with the timing that the file gives its PDU.
    ///
    /// # Errors
    /// `NotFound` for the PDU, `InvalidInput` for the outlet's name.
    pub fn outlet(
        &self,
        pdu: &str,
        outlet: &str,
        epoch: EpochCounter,
    ) -> Result<OutletPower, HalError> {
        let timing = self.timing(pdu);
        let outlet: Outlet = outlet.parse()?;
        Ok(OutletPower::new(
            self.pdu(pdu)?.clone(),
            outlet,
            timing,
            epoch,
        ))
    }

    /// The power of a board.
    ///
    /// # Errors
    /// `NotFound` for the board, `Unsupported` when the file gives it no power.
    pub fn power(
        &self,
        board: &str,
        epoch: EpochCounter,
    ) -> Result<Box<dyn PowerControl>, HalError> {
        let Some(power) = &self.board(board)?.power else {
            let message = format!("{}: board '{board}' has no power", self.origin);
            return Err(HalError::new(ErrorKind::Unsupported, board, message)
                .with_hint("add: power = { pdu = \"…\", outlet = \"…\" }"));
        };
        let mut timing = self.timing(&power.pdu);
        timing.off_for = power.off_for.unwrap_or(timing.off_for);
        timing.settle = power.settle.unwrap_or(timing.settle);
        let outlet: Outlet = power.outlet.parse()?;
        let pdu = self.pdu(&power.pdu)?.clone();
        Ok(Box::new(OutletPower::new(pdu, outlet, timing, epoch)))
    }

    fn timing(&self, pdu: &str) -> OutletTiming {
        let mut timing = OutletTiming::default();
        if let Some((config, _)) = self.pdus.get(pdu) {
            timing.off_for = config.off_for.unwrap_or(timing.off_for);
            timing.settle = config.settle.unwrap_or(timing.settle);
        }
        timing
    }

    fn unknown<'a>(
        &self,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> HalError {
        let message = format!("{} has no {what} '{name}'", self.origin);
        let known: Vec<_> = known.collect();
        let hint = if known.is_empty() {
            format!("it has no {what} at all")
        } else {
            format!("it has: {}", known.join(", "))
        };
        HalError::new(ErrorKind::NotFound, name, message).with_hint(hint)
    }
}

impl PduConfig {
    /// The time of one request, within the caller's deadline; 10 s where the file has none.
    /// Programs of the admin's have 30 s: their model says so.
    pub fn request_timeout(&self) -> Duration {
        self.timeout.unwrap_or(REQUEST_TIMEOUT)
    }

    /// The options as a model's own type, which should refuse unknown fields.
    ///
    /// # Errors
    /// `InvalidInput` with the PDU's name and what is wrong.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, HalError> {
        T::deserialize(self.options.clone()).map_err(|error| {
            let what = error.to_string();
            self.invalid(&format!("options: {}", what.trim_end()))
        })
    }

    /// The address.
    ///
    /// # Errors
    /// `InvalidInput` when the file has none.
    pub fn address(&self) -> Result<&str, HalError> {
        self.address.as_deref().ok_or_else(|| {
            let model = &self.model;
            self.invalid(&format!("a PDU of model '{model}' needs 'address'"))
        })
    }

    /// An error in this PDU's part of the file.
    pub fn invalid(&self, what: &str) -> HalError {
        let name = &self.name;
        HalError::new(
            ErrorKind::InvalidInput,
            name,
            format!("PDU '{name}': {what}"),
        )
    }

    fn read_password(&mut self, directory: &Path) -> Result<(), HalError> {
        let Some(file) = &self.password_file else {
            return Ok(());
        };
        if self.password.is_some() {
            return Err(self.invalid("has both 'password' and 'password-file'"));
        }
        let path = directory.join(file);
        let text = fs_err::read_to_string(&path)
            .map_err(|error| HalError::from_io("read", path.display().to_string(), error))?;
        let first = text.lines().next().unwrap_or_default();
        self.password = Some(Secret::new(first));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let result = Lab::parse(text, "lab.toml", Path::new("."));
        result.unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_file_and_line() {
        let text = error("[board.one]\nconsole = 'tcp://a:1'\npowr = 1\n");
        assert!(
            text.starts_with("lab.toml: TOML parse error at line 3"),
            "{text}"
        );
    }

    #[test]
    fn a_console_is_checked_when_the_file_is_read() {
        let text = error("[board.one]\nconsole = 'telent://rack:7001'\n");
        assert!(
            text.contains("line 2") && text.contains("did you mean 'telnet'?"),
            "{text}"
        );
    }

    #[test]
    fn unknown_names_say_what_there_is() {
        let lab = Lab::parse("[board.one]\n", "lab.toml", Path::new(".")).unwrap();
        let error = lab.board("two").unwrap_err();
        assert_eq!(error.to_string(), "lab.toml has no board 'two'");
        assert_eq!(error.hint(), Some("it has: one"));
        let error = lab.power("one", EpochCounter::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_pdu_of_an_unknown_model_is_refused_by_name() {
        assert_eq!(
            error("[pdu.rack1]\nmodel = 'toaster'\n"),
            "PDU 'rack1' is of the unknown model 'toaster'"
        );
    }
}
