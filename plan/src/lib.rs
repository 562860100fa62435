//! From a job definition and a device to the tree of actions that runs the job.
//!
//! Planning is pure: no file is opened, no clock is read. The tree has the names, levels, retries
//! and time limits that LAVA 2026.07 gives the same job on the same device, because users set
//! time limits by these names. How an action runs is the dispatcher's business; what it has to
//! do is in its [`Step`].
#![forbid(unsafe_code)]

pub mod action;
pub mod step;

pub use action::{Action, OnTimeout, Plan, Retry, Section};
pub use step::Step;
