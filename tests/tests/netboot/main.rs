//! Boots over the network, through real boot loaders on the rack's boards: the console through
//! socat, power through the rack's PDU, as in a lab.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod failures;
mod nbd;
mod retries;
mod transfer;
mod uboot;
mod x86;
