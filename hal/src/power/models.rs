//! Which PDUs we know: each model is a row of its family's table, and a lab adds rows of its own.
//!
//! A table is TOML. Its first line names the family that understands the rest:
//!
//! ```toml
//! family = "snmp"
//!
//! [model.apc7952]
//! aliases = ["ap7952"]
//! description = "APC AP7952, 24 outlets"
//! tested = "program: snmpd with a pass script"
//! # all other keys are the family's
//! ```
//!
//! A row of a later table replaces the row of the same name. Tables are data of the lab, not
//! input of a job: they may name programs and addresses.

use super::{Pdu, family::FAMILIES};
use crate::{
    error::{ErrorKind, HalError},
    lab::PduConfig,
};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

/// A protocol: what its rows mean and how to talk to a PDU of such a row.
pub struct Family {
    /// Its name in tables: "snmp".
    pub name: &'static str,
    /// One line for the documentation: what it speaks, over which transport.
    pub description: &'static str,
    /// The built-in table.
    pub table: &'static str,
    /// Understands a row (without the keys that all rows have), or says what is wrong with it:
    /// "unknown key 'oidd', did you mean 'oid'?".
    pub parse: fn(toml::Table) -> Result<Arc<dyn Open>, String>,
}

/// A row of a table that was understood: it can open PDUs of its model.
pub trait Open: Send + Sync {
    /// A driver for the PDU that `config` describes. Connects at the first request, not here.
    ///
    /// # Errors
    /// `InvalidInput` when the configuration lacks something (an address, a password) or has
    /// options that this model does not know.
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError>;

    /// Whether this model can be asked for the state of an outlet.
    fn reads_back(&self) -> bool;
}

/// How a driver was proven, the best of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tested {
    /// Against a real program of others that does or drives this: "snmpd with a pass script".
    Program(String),
    /// Against a device that is emulated: "Linux dummy_hcd in a virtual machine".
    Emulated(String),
    /// Byte for byte against what others send or what the vendor's manual shows.
    Bytes(String),
}

/// One model of one vendor.
#[derive(Clone)]
pub struct Model {
    /// Its name in a lab file: "apc7952".
    pub name: String,
    /// Other names for the same: those of pdudaemon and labgrid, where they differ.
    pub aliases: Vec<String>,
    /// One line for people.
    pub description: String,
    /// How it was proven.
    pub tested: Tested,
    /// The protocol.
    pub family: &'static Family,
    open: Arc<dyn Open>,
}

impl Model {
    /// See [`Open::open`].
    ///
    /// # Errors
    /// See [`Open::open`].
    pub fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        self.open.open(config)
    }

    /// See [`Open::reads_back`].
    pub fn reads_back(&self) -> bool {
        self.open.reads_back()
    }
}

/// All models by name.
#[derive(Clone, Debug, Default)]
pub struct Models {
    by_name: BTreeMap<String, Model>,
}

impl Models {
    /// Those of the built-in tables.
    ///
    /// # Errors
    /// When a built-in table is wrong, which a test excludes.
    pub fn built_in() -> Result<Self, HalError> {
        let mut models = Self::default();
        for family in FAMILIES {
            let origin = format!("the built-in table '{}'", family.name);
            models.add(family.table, &origin)?;
        }
        Ok(models)
    }

    /// Adds the rows of a lab's file.
    ///
    /// # Errors
    /// When it cannot be read, or `InvalidInput` with the file, the line and what is wrong.
    pub fn add_file(&mut self, path: &Path) -> Result<(), HalError> {
        let origin = path.display().to_string();
        let text = fs_err::read_to_string(path)
            .map_err(|error| HalError::from_io("read", &origin, error))?;
        self.add(&text, &origin)
    }

    /// Adds the rows of a table; `origin` names it in messages.
    ///
    /// # Errors
    /// `InvalidInput` with `origin`, the row and what is wrong.
    pub fn add(&mut self, text: &str, origin: &str) -> Result<(), HalError> {
        let invalid = |what: &str| {
            let message = format!("{origin}: {}", what.trim_end());
            HalError::new(ErrorKind::InvalidInput, origin, message)
        };
        let table: Table = toml::from_str(text).map_err(|error| invalid(&error.to_string()))?;
        let family = FAMILIES
            .iter()
            .find(|family| family.name == table.family)
            .ok_or_else(|| {
                let known: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
                invalid(&format!("there is no family '{}'", table.family))
                    .with_hint(format!("families are: {}", known.join(", ")))
            })?;
        for (name, row) in table.model {
            let model = Model::parse(name.clone(), row, family)
                .map_err(|what| invalid(&format!("model '{name}': {what}")))?;
            self.by_name.insert(name, model);
        }
        Ok(())
    }

    /// The model called `name`, or with `name` among its aliases; letter case does not matter.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.by_name.get(name).or_else(|| {
            self.by_name.values().find(|model| {
                model.name.eq_ignore_ascii_case(name)
                    || model
                        .aliases
                        .iter()
                        .any(|alias| alias.eq_ignore_ascii_case(name))
            })
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.by_name.values()
    }

    /// Opens the PDU that `config` describes.
    ///
    /// # Errors
    /// `NotFound` when there is no such model, else as [`Open::open`].
    pub fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let Some(model) = self.get(&config.model) else {
            let (pdu, model) = (&config.name, &config.model);
            let message = format!("PDU '{pdu}' is of the unknown model '{model}'");
            return Err(HalError::new(ErrorKind::NotFound, pdu, message).with_hint(
                "`pumice power models` lists the known ones; a table of your own adds one",
            ));
        };
        model.open(config)
    }
}

impl Model {
    fn parse(name: String, mut row: toml::Table, family: &'static Family) -> Result<Self, String> {
        let mut text = |key: &str| match row.remove(key) {
            Some(toml::Value::String(text)) => Ok(text),
            Some(_) => Err(format!("'{key}' has to be text")),
            None => Err(format!("'{key}' is missing")),
        };
        let description = text("description")?;
        let tested = text("tested")?.parse()?;
        let aliases = match row.remove("aliases") {
            Some(aliases) => aliases
                .try_into()
                .map_err(|_| "'aliases' has to be a list of names")?,
            None => Vec::new(),
        };
        let open = (family.parse)(row)?;
        Ok(Self {
            name,
            aliases,
            description,
            tested,
            family,
            open,
        })
    }
}

impl std::str::FromStr for Tested {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (how, with) = text.split_once(": ").unwrap_or((text, ""));
        let with = with.to_owned();
        match how {
            "program" => Ok(Self::Program(with)),
            "emulated" => Ok(Self::Emulated(with)),
            "bytes" => Ok(Self::Bytes(with)),
            _ => Err(format!(
                "'tested' is 'program: …', 'emulated: …' or 'bytes: …', not '{text}'"
            )),
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Model").field(&self.name).finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    family: String,
    #[serde(default)]
    model: BTreeMap<String, toml::Table>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_tables_are_right_and_their_names_unique() {
        let models = Models::built_in().unwrap();
        let mut names = std::collections::BTreeSet::new();
        for model in models.iter() {
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                assert!(names.insert(name.to_lowercase()), "'{name}' is there twice");
            }
        }
    }

    #[test]
    fn an_unknown_family_is_named_with_the_file() {
        let error = Models::default()
            .add("family = 'carrier-pigeon'", "pdus.toml")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "pdus.toml: there is no family 'carrier-pigeon'"
        );
    }
}
