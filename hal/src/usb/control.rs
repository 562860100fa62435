//! Control transfers, drivers and resets through usbfs.

use super::{UsbDevice, sysfs::gone};
use crate::{
    blocking::timed_out,
    device::open_device,
    error::HalError,
    sys::ioctl::{self, Setup},
};
use rustix::io::Errno;
use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// The longest single transfer: a device that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(5);

/// The setup stage of a control transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSetup {
    /// `bmRequestType`: direction (0x80 is in), type and recipient.
    pub kind: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
}

/// A USB device, opened. Its calls block, for at most five seconds each: see `spawn_blocking`.
#[derive(Debug)]
pub struct UsbHandle {
    descriptor: OwnedFd,
    name: String,
}

impl UsbHandle {
    /// Opens `device`'s node.
    ///
    /// # Errors
    /// As the system says; when access is denied, what to change.
    pub fn open(device: &UsbDevice) -> Result<Self, HalError> {
        let descriptor = open_device(&device.node).map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            let rule = super::udev_rule(device, "usb", None);
            let hint = format!("{hint}; or a udev rule: {rule}");
            match error.kind() {
                crate::ErrorKind::PermissionDenied => error.with_hint(hint),
                _ => error,
            }
        })?;
        Ok(Self {
            descriptor,
            name: device.describe(),
        })
    }

    /// What it is, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends `data`.
    ///
    /// # Errors
    /// `Closed` when it was unplugged, `Timeout`, `Unsupported` when the device refuses the
    /// request (a stall).
    pub fn send(
        &self,
        setup: ControlSetup,
        data: &[u8],
        deadline: Instant,
    ) -> Result<(), HalError> {
        self.transfer(setup, &mut data.to_vec(), deadline).map(drop)
    }

    /// Asks for at most `length` bytes.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn ask(
        &self,
        setup: ControlSetup,
        length: u16,
        deadline: Instant,
    ) -> Result<Vec<u8>, HalError> {
        let mut data = vec![0; length.into()];
        let got = self.transfer(setup, &mut data, deadline)?;
        data.truncate(got);
        Ok(data)
    }

    fn transfer(
        &self,
        setup: ControlSetup,
        data: &mut [u8],
        deadline: Instant,
    ) -> Result<usize, HalError> {
        let allowed = deadline
            .saturating_duration_since(Instant::now())
            .min(LONGEST);
        let ControlSetup {
            kind,
            request,
            value,
            index,
        } = setup;
        let setup = Setup {
            kind,
            request,
            value,
            index,
        };
        let milliseconds = u32::try_from(allowed.as_millis()).unwrap_or(u32::MAX);
        ioctl::usb_control(&self.descriptor, setup, data, milliseconds)
            .map_err(|errno| self.error(errno, "send a request to", allowed))
    }

    /// Lets the kernel's driver go of an interface, or lets it take it again. One that is already
    /// so is no error.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn attach_driver(&self, interface: u8, attach: bool) -> Result<(), HalError> {
        match ioctl::usb_attach_driver(&self.descriptor, interface, attach) {
            Ok(()) | Err(Errno::NODATA | Errno::BUSY) => Ok(()),
            Err(errno) => Err(self.error(errno, "change the driver of", LONGEST)),
        }
    }

    /// Resets the device: it keeps its address and loses its state.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn reset(&self) -> Result<(), HalError> {
        ioctl::usb_reset(&self.descriptor).map_err(|errno| self.error(errno, "reset", LONGEST))
    }

    fn error(&self, errno: Errno, doing: &str, allowed: Duration) -> HalError {
        match errno {
            Errno::NODEV | Errno::SHUTDOWN => gone(&self.name),
            Errno::TIMEDOUT => timed_out(&self.name, allowed),
            Errno::PIPE => {
                let message = format!("{} refused a request", self.name);
                HalError::new(crate::ErrorKind::Unsupported, &self.name, message)
                    .with_hint("is it really a device of this model?")
            }
            _ => HalError::from_io(doing, &self.name, errno.into()),
        }
    }
}
