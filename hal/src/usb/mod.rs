//! What is on the USB, as `/sys` shows it: finding a device by what it says or by where it is
//! plugged in, and waiting until it is back.
//!
//! Used by every driver of a USB device. Reading `/sys` opens no device and changes nothing.
//! Transfers are the drivers' own; [`UsbHandle`] has the control transfers that switches need.

mod access;
mod control;
mod hidraw;
mod listing;
mod matching;
mod sysfs;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;

pub(crate) use access::rule_of;
pub use access::udev_rule;
pub use control::{ControlSetup, UsbHandle};
pub use hidraw::HidDevice;
pub(crate) use hidraw::HidHandle;
pub(crate) use listing::{listed, place_of};
pub(crate) use matching::parse_id;
pub use matching::{UsbIdentity, UsbMatch};
pub(crate) use sysfs::attribute;
pub use sysfs::{HubPort, Node, NodeKind, Sysfs, UsbDevice, UsbInterface};
