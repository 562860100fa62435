//! Hardware: consoles, power, and the one way to start a process.
//!
//! The dispatcher talks to boards through the traits of this crate ([`console::Console`],
//! [`power::PowerControl`]); drivers implement them. This crate never knows what a job is, never
//! decides a verdict and never retries a command: errors carry a [`error::ErrorKind`], and the
//! caller's retry policy decides.
//!
//! All waits end at a deadline the caller gives. All buffers are bounded. Processes die with
//! their owner: see [`process`].
#![deny(unsafe_code)]

mod blocking;
pub mod causes;
pub mod console;
pub mod device;
pub mod discover;
pub mod error;
pub mod fastboot;
pub mod faults;
pub mod lab;
pub mod player;
pub mod power;
pub mod process;
pub mod recording;
pub mod storage;
#[expect(
    unsafe_code,
    reason = "what happens between fork and exec, and the reactor, have no safe interface"
)]
mod sys;
pub mod tls;
pub mod usb;
pub mod virtual_port;

pub use error::{ErrorKind, HalError};
