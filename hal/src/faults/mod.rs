//! Fault wrappers: a capability that behaves badly, on purpose and repeatably.
//!
//! Tests and the virtual rack wrap a [`Console`](crate::console::Console), a
//! [`PowerControl`](crate::power::PowerControl) or a [`Pdu`](crate::power::Pdu) with them, to see
//! what the layers above do. What goes wrong, and when, is data: a [`Plan`]. A plan that is drawn
//! from a seed is the same for the same seed, wherever the stream happens to be cut into reads,
//! and the wrapper's description names the seed, so that every message of a failed test does.
//!
//! Nothing here is used by jobs.

mod console;
mod mangle;
mod plan;
mod power;

pub use console::FaultyConsole;
pub use mangle::ConsoleFault;
pub use plan::{Plan, Random};
pub use power::{FaultyPdu, FaultyPower, PowerFault};
