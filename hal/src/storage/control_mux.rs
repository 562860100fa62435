//! Muxes that are told by USB control transfers, or by the driver of their card reader.

use super::{
    Side, StorageMux,
    mux::{DiskAt, Target},
};
use crate::{
    blocking,
    error::{ErrorKind, HalError},
    usb::{ControlSetup, UsbDevice, UsbHandle},
};
use async_trait::async_trait;
use std::{path::PathBuf, time::Instant as StdInstant};
use tokio::time::Instant;

/// `SIO_SET_BITMODE` of FTDI chips: `wValue` is mode 0x20 (CBUS), direction and levels of four
/// pins.
const FTDI_SET_BITMODE: u8 = 0x0b;

/// `SIO_READ_PINS`.
const FTDI_READ_PINS: u8 = 0x0c;

/// All four CBUS pins are outputs, all low.
const FTDI_CBUS_LOW: u16 = 0x20f0;

/// How a model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An FTDI chip whose pin CBUS0 is high for the host.
    Sdwire,
    /// A card reader that lets go of the card when the kernel's driver does.
    Sdwire3,
    /// A vendor request of Jumpstarter's board.
    Dutlink,
}

/// What to do with an open device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Send(ControlSetup),
    Driver(bool),
}

/// SDWire, SDWire 3 and DutLink.
#[derive(Clone, Debug)]
pub struct ControlMux {
    kind: Kind,
    target: Target,
}

impl ControlMux {
    pub(super) fn sdwire(target: Target) -> Self {
        Self {
            kind: Kind::Sdwire,
            target,
        }
    }

    pub(super) fn sdwire3(target: Target) -> Self {
        Self {
            kind: Kind::Sdwire3,
            target,
        }
    }

    pub(super) fn dutlink(target: Target) -> Self {
        Self {
            kind: Kind::Dutlink,
            target,
        }
    }

    fn name(&self) -> String {
        format!("storage mux {}", self.target.which)
    }
}

impl Kind {
    fn moves(self, device: &UsbDevice, side: Side) -> Result<Move, HalError> {
        let vendor = |request, value, index| {
            Move::Send(ControlSetup {
                kind: 0x40,
                request,
                value,
                index,
            })
        };
        match (self, side) {
            (Self::Sdwire, Side::Host) => Ok(vendor(FTDI_SET_BITMODE, FTDI_CBUS_LOW | 1, 0)),
            (Self::Sdwire, Side::Board) => Ok(vendor(FTDI_SET_BITMODE, FTDI_CBUS_LOW, 0)),
            (Self::Sdwire3, Side::Host) => Ok(Move::Driver(true)),
            (Self::Sdwire3, Side::Board) => Ok(Move::Driver(false)),
            (Self::Dutlink, side) => {
                let mut interfaces = device.interfaces.iter();
                let interface = interfaces.find(|each| each.class == [0xff, 1, 1]);
                let interface = interface.ok_or_else(|| no_interface(device))?;
                Ok(Move::Send(ControlSetup {
                    kind: 0x41,
                    request: 0x02,
                    value: match side {
                        Side::Off => 0,
                        Side::Host => 1,
                        Side::Board => 2,
                    },
                    index: interface.number.into(),
                }))
            }
            (_, Side::Off) => {
                let name = device.describe();
                let message = format!("{name} cannot switch its card off");
                Err(HalError::new(ErrorKind::Unsupported, name, message)
                    .with_hint("it has two sides: host and board"))
            }
        }
    }

    /// Where the card is, for a model that can be asked.
    fn state(self, device: &UsbDevice, deadline: StdInstant) -> Result<Option<Side>, HalError> {
        let host = match self {
            Self::Sdwire => {
                let setup = ControlSetup {
                    kind: 0xc0,
                    request: FTDI_READ_PINS,
                    value: 0,
                    index: 0,
                };
                let pins = UsbHandle::open(device)?.ask(setup, 1, deadline)?;
                pins.first().is_some_and(|pins| pins & 1 == 1)
            }
            Self::Sdwire3 => device
                .interfaces
                .iter()
                .any(|interface| interface.driver.is_some()),
            Self::Dutlink => return Ok(None),
        };
        Ok(Some(if host { Side::Host } else { Side::Board }))
    }
}

fn no_interface(device: &UsbDevice) -> HalError {
    let name = device.describe();
    let message = format!("{name} has no interface to switch it");
    HalError::new(ErrorKind::Unsupported, name, message)
}

#[async_trait]
impl StorageMux for ControlMux {
    async fn set(&mut self, side: Side, deadline: Instant) -> Result<(), HalError> {
        let this = self.clone();
        blocking::run(&self.name(), deadline, move || {
            let deadline = deadline.into_std();
            let device = this.target.find()?;
            // A reset would interrupt a disk that is already where it should be.
            if this.kind == Kind::Sdwire3 && this.kind.state(&device, deadline)? == Some(side) {
                return Ok(());
            }
            let step = this.kind.moves(&device, side)?;
            let handle = UsbHandle::open(&device)?;
            match step {
                Move::Send(setup) => handle.send(setup, &[], deadline)?,
                Move::Driver(attach) => {
                    handle.attach_driver(0, attach)?;
                    handle.reset()?;
                }
            }
            drop(handle);
            match this.kind.state(&this.target.find()?, deadline)? {
                Some(is) if is != side => Err(unconfirmed(&device.describe(), side, is)),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn state(&mut self, deadline: Instant) -> Result<Option<Side>, HalError> {
        let this = self.clone();
        blocking::run(&self.name(), deadline, move || {
            this.kind.state(&this.target.find()?, deadline.into_std())
        })
        .await
    }

    fn disk(&self) -> Result<Option<PathBuf>, HalError> {
        self.target.disk(match self.kind {
            Kind::Sdwire => DiskAt::SameHub,
            Kind::Sdwire3 => DiskAt::Itself,
            Kind::Dutlink => DiskAt::Elsewhere,
        })
    }
}

/// The error of a mux that accepted a request and did not follow it.
pub(super) fn unconfirmed(mux: &str, wanted: Side, is: Side) -> HalError {
    let message = format!("{mux} accepted '{wanted}', and its card is still at '{is}'");
    HalError::new(ErrorKind::Unconfirmed, mux, message)
        .with_hint("does another program hold the mux? Is its cable long or its hub weak?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::tests_support::FakeSysfs;

    #[test]
    fn requests_are_those_of_the_vendors() {
        let tree = FakeSysfs::new();
        tree.usb("1-1.2", "2b23:1012", Some("A"), ["ff", "01", "01"]);
        let device = tree.sysfs().usb_device("1-1.2").unwrap();
        let mut all = Vec::new();
        for kind in [Kind::Sdwire, Kind::Sdwire3, Kind::Dutlink] {
            for side in [Side::Host, Side::Board, Side::Off] {
                let step = match kind.moves(&device, side) {
                    Ok(Move::Send(setup)) => {
                        let ControlSetup {
                            kind,
                            request,
                            value,
                            index,
                        } = setup;
                        format!("{kind:02x} {request:02x} {value:04x} {index:04x}")
                    }
                    Ok(Move::Driver(attach)) => format!("driver {attach}"),
                    Err(error) => error.to_string(),
                };
                all.push(format!("{kind:?} {side}: {step}"));
            }
        }
        insta::assert_snapshot!(all.join("\n"), @r"
        Sdwire host: 40 0b 20f1 0000
        Sdwire board: 40 0b 20f0 0000
        Sdwire off: ACME Thing (2b23:1012) at 1-1.2 cannot switch its card off
        Sdwire3 host: driver true
        Sdwire3 board: driver false
        Sdwire3 off: ACME Thing (2b23:1012) at 1-1.2 cannot switch its card off
        Dutlink host: 41 02 0001 0000
        Dutlink board: 41 02 0002 0000
        Dutlink off: 41 02 0000 0000
        ");
    }
}
