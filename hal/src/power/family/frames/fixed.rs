//! PDUs whose protocol is code and whose row is but the TCP port they listen on.

use super::super::line::{Reach, SerialOptions, Target};
use crate::{
    error::HalError,
    lab::PduConfig,
    power::{Pdu, models::Open},
};
use serde::Deserialize;

/// A row of the table, and who speaks the protocol. All of them tell the state of an outlet.
pub(super) struct Model {
    row: Row,
    driver: Driver,
}

/// Makes a driver of where its PDU is and what else the lab file says of it.
pub(super) type Driver = fn(Target, &PduConfig) -> Box<dyn Pdu>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    port: u16,
}

impl Model {
    pub(super) fn parse(row: toml::Table, driver: Driver) -> Result<Self, String> {
        let row = Row::deserialize(row).map_err(|error| error.to_string())?;
        Ok(Self { row, driver })
    }
}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let reach = Reach {
            port: Some(self.row.port),
            ..Reach::default()
        };
        let serial: SerialOptions = config.options()?;
        let target = Target::new(config, &reach, serial)?;
        Ok((self.driver)(target, config))
    }

    fn reads_back(&self) -> bool {
        true
    }
}
