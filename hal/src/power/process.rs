//! Power of a virtual board: it is on while its process runs.

use super::{PowerAction, PowerControl, PowerState};
use crate::{
    console::EpochCounter,
    error::HalError,
    process::{Command, Running},
};
use async_trait::async_trait;
use std::time::Duration;
use tokio::time::Instant;

/// How long a virtual board has to end by itself when its power goes.
const GRACE: Duration = Duration::from_millis(500);

/// A virtual board: switching on starts its process, switching off ends it. Its console is
/// elsewhere, on a socket of the process.
///
/// Unlike other power controls, dropping it switches off.
#[derive(Debug)]
pub struct ProcessPower {
    command: Command,
    running: Option<Running>,
    epoch: EpochCounter,
}

impl ProcessPower {
    /// A board that is off and is switched on by starting `command`. What it prints is thrown
    /// away.
    pub fn new(command: Command, epoch: EpochCounter) -> Self {
        Self {
            command,
            running: None,
            epoch,
        }
    }

    /// The process, while the board is on.
    pub fn process(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    fn has_power(&mut self) -> bool {
        match &mut self.running {
            Some(running) => matches!(running.try_exit(), Ok(None)),
            None => false,
        }
    }

    fn switch_on(&mut self) -> Result<(), HalError> {
        if !self.has_power() {
            self.epoch.advance();
            self.running = Some(self.command.spawn(None)?);
        }
        Ok(())
    }

    async fn switch_off(&mut self, deadline: Instant) -> Result<(), HalError> {
        if let Some(mut running) = self.running.take() {
            running
                .stop(GRACE.min(deadline.saturating_duration_since(Instant::now())))
                .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl PowerControl for ProcessPower {
    async fn set(&mut self, action: PowerAction, deadline: Instant) -> Result<(), HalError> {
        if action != PowerAction::On {
            self.switch_off(deadline).await?;
        }
        if action != PowerAction::Off {
            self.switch_on()?;
        }
        Ok(())
    }

    async fn state(&mut self, _: Instant) -> Result<Option<PowerState>, HalError> {
        Ok(Some(if self.has_power() {
            PowerState::On
        } else {
            PowerState::Off
        }))
    }
}
