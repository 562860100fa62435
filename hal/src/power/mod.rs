//! Power: switching a board on and off and resetting it.
//!
//! Three layers, from the board to the wire:
//!
//! - [`PowerControl`] is what the dispatcher and `pumice power` hold: one board's power.
//! - [`Pdu`] is a device with many outlets. [`SharedPdu`] serialises what its boards ask of it,
//!   and [`OutletPower`] is one outlet of it as a [`PowerControl`]: it waits between off and on,
//!   and believes nothing that it can read back.
//! - A [`Family`](models::Family) speaks one protocol. Vendors are rows of its table
//!   (`tables/*.toml`), so that a lab adds its PDU without a compiler: see [`models`].

mod command;
pub mod family;
pub mod models;
mod outlet;
mod pdu;
mod process;

pub use command::{CommandEvent, CommandPower, PowerCommands};
pub use outlet::{OutletPower, OutletTiming};
pub use pdu::{Outlet, Pdu, SharedPdu};
pub use process::ProcessPower;

use crate::error::HalError;
use async_trait::async_trait;
use std::{fmt, time::Duration};
use tokio::time::{Instant, sleep_until};

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
/// - **Honest.** `Ok` means that the hardware did it, as far as the hardware can tell: who can
///   read the state back does so before it returns, and says
///   [`Unconfirmed`](crate::ErrorKind::Unconfirmed) when it did not follow.
/// - **Serialised.** `&mut self`: one operation at a time. A device shared by several boards (a
///   PDU) serialises inside its driver.
/// - **No retry.** A failure is reported; the plan decides whether to try again.
/// - **Cancellation.** When the future is dropped, what it started is ended, and the state of the
///   power is unknown until it is set again.
/// - **Drop.** Dropping a power control leaves the power as it is, unless the implementation says
///   otherwise.
#[async_trait]
pub trait PowerControl: Send {
    /// Does it and returns once it is done.
    ///
    /// # Errors
    /// `Unsupported` when this board has no such control, `Timeout` when `deadline` passes first,
    /// `Unconfirmed` when the hardware did not follow, or what failed.
    async fn set(&mut self, action: PowerAction, deadline: Instant) -> Result<(), HalError>;

    /// Whether `set` knows this action.
    fn supports(&self, action: PowerAction) -> bool {
        let _ = action;
        true
    }

    /// Whether the board has power now; `None` when the hardware cannot tell.
    ///
    /// # Errors
    /// `Timeout` when `deadline` passes first, or what failed.
    async fn state(&mut self, deadline: Instant) -> Result<Option<PowerState>, HalError> {
        let _ = deadline;
        Ok(None)
    }

    /// Switches off, leaves it off for `off_for`, and switches on.
    ///
    /// # Errors
    /// As [`Self::set`]; after an error the board may be off.
    async fn cycle(&mut self, off_for: Duration, deadline: Instant) -> Result<(), HalError> {
        self.set(PowerAction::Off, deadline).await?;
        sleep_until((Instant::now() + off_for).min(deadline)).await;
        self.set(PowerAction::On, deadline).await
    }
}

impl From<PowerState> for PowerAction {
    fn from(state: PowerState) -> Self {
        match state {
            PowerState::On => Self::On,
            PowerState::Off => Self::Off,
        }
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

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
