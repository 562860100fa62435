//! Power: switching a board on and off and resetting it.

mod command;
mod process;

pub use command::{CommandEvent, CommandPower, PowerCommands};
pub use process::ProcessPower;

use crate::error::HalError;
use async_trait::async_trait;
use std::fmt;
use tokio::time::Instant;

/// What to do with a board's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerAction {
    /// Switch it on.
    On,
    /// Switch it off.
    Off,
    /// Switch it off and on, or pull its reset line: whatever the driver has.
    Reset,
}

/// Whether a board has power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerState {
    /// It has.
    On,
    /// It has not.
    Off,
}

/// Control of one board's power.
///
/// The contract of every implementation:
/// - **Idempotent.** Switching on what is on, and off what is off, is not an error.
/// - **Serialised.** `&mut self`: one operation at a time. A device shared by several boards (a
///   PDU) serialises inside its driver.
/// - **No retry.** A failure is reported; the plan decides whether to try again.
/// - **Cancellation.** When the future is dropped, what it started is ended, and the state of the
///   power is unknown.
/// - **Drop.** Dropping a power control leaves the power as it is, unless the implementation says
///   otherwise.
#[async_trait]
pub trait PowerControl: Send {
    /// Does it and returns once it is done.
    ///
    /// # Errors
    /// `Unsupported` when this board has no such control, `Timeout` when `deadline` passes first,
    /// or what failed.
    async fn set(&mut self, action: PowerAction, deadline: Instant) -> Result<(), HalError>;

    /// Whether `set` knows this action.
    fn supports(&self, action: PowerAction) -> bool;

    /// Whether the board has power now; `None` when the driver cannot tell.
    async fn state(&mut self) -> Option<PowerState> {
        None
    }
}

impl fmt::Display for PowerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::Reset => "reset",
        })
    }
}
