//! The protocols that PDUs speak. Each family is a file here and a table of vendors in
//! `../tables`; [`FAMILIES`] is the list.

mod http;
mod snmp;

use super::models::Family;

/// Every family, in the order of the documentation.
pub const FAMILIES: &[&Family] = &[&http::HTTP, &snmp::SNMP];
