//! A control line of a serial port as a switch: RTS or DTR drives a relay or a board's reset.
//!
//! The kernel raises both lines whenever a port is opened, and a closed port holds none: the port
//! stays open from the first request until the driver goes. That fits a daemon or a job; one
//! `pumice power on` alone ends with its process. The line's level cannot be told back.

use super::{
    super::line::{Reach, SerialOptions, Target},
    Logic,
};
use crate::{
    console::{LineControl, SerialConsole},
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{Outlet, Pdu, PowerState, models::Open},
};
use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::Instant;

/// Any: no byte is sent.
const BAUD: u32 = 9600;

/// A row of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    signal: Signal,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Signal {
    Rts,
    Dtr,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    logic: Logic,
}

impl Model {
    pub(super) fn parse(row: toml::Table) -> Result<Self, String> {
        Self::deserialize(row).map_err(|error| error.to_string())
    }
}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let options: Options = config.options()?;
        let reach = Reach {
            baud: Some(BAUD),
            ..Reach::default()
        };
        if !config.address()?.starts_with('/') {
            let model = &config.model;
            return Err(config.invalid(&format!("a PDU of model '{model}' is a serial device")));
        }
        Ok(Box::new(ModemLine {
            target: Target::new(config, &reach, SerialOptions::default())?,
            signal: self.signal,
            logic: options.logic,
            port: None,
        }))
    }

    fn reads_back(&self) -> bool {
        false
    }
}

struct ModemLine {
    target: Target,
    signal: Signal,
    logic: Logic,
    port: Option<SerialConsole>,
}

#[async_trait]
impl Pdu for ModemLine {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let pdu = self.target.pdu();
        outlet.number(pdu, 1, 1)?;
        let mut port = match self.port.take() {
            Some(port) => port,
            None => self.target.open_serial(deadline).await?,
        };
        let level = self.logic.relay(to) == PowerState::On;
        let set = match self.signal {
            Signal::Rts => port.set_rts(level).await,
            Signal::Dtr => port.set_dtr(level).await,
        };
        set.map_err(|error| match error.kind() {
            ErrorKind::Unsupported => self
                .target
                .blame(&error)
                .with_hint("is it a real serial port? Pseudo-terminals have no control lines"),
            _ => self.target.blame(&error),
        })?;
        self.port = Some(port);
        Ok(())
    }
}
