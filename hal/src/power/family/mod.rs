//! The protocols that PDUs speak. Each family is a file here and a table of vendors in
//! `../tables`; [`FAMILIES`] is the list.

mod hid;

use super::models::Family;

/// Every family, in the order of the documentation.
pub const FAMILIES: &[&Family] = &[&hid::HID];
