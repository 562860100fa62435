//! The protocols that PDUs speak. Each family is a file here and a table of vendors in
//! `../tables`; [`FAMILIES`] is the list.

mod command;
mod dialogue;
mod expression;
mod frames;
mod gpio;
mod hid;
mod http;
mod line;
mod list;
mod mqtt;
mod snmp;
mod usb_hub;

pub(crate) use list::{GpioChips, HidSwitches, HubPorts};

#[cfg(fuzzing)]
pub use snmp::read_any as snmp_read_any;

use super::models::Family;

/// Every family, in the order of the documentation.
pub const FAMILIES: &[&Family] = &[
    &command::COMMAND,
    &dialogue::DIALOGUE,
    &frames::FRAMES,
    &gpio::GPIO,
    &hid::HID,
    &http::HTTP,
    &mqtt::MQTT,
    &snmp::SNMP,
    &usb_hub::USB_HUB,
];
