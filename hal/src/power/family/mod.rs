//! The protocols that PDUs speak. Each family is a file here and a table of vendors in
//! `../tables`; [`FAMILIES`] is the list.

mod dialogue;
mod expression;
mod frames;
mod hid;
mod line;
mod telnet;

use super::models::Family;

/// Every family, in the order of the documentation.
pub const FAMILIES: &[&Family] = &[&dialogue::DIALOGUE, &frames::FRAMES, &hid::HID];
