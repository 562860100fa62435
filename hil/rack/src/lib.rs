//! The virtual lab rack: boards that exist only as files.
//!
//! A scripted board plays a boot from a [`Script`], either as a program on its standard input and
//! output (`rack board FILE`, to be used as a device's `connection_command`) or inside a test
//! ([`console`]). The language of the scripts is described in `hil/rack/README.md`.
//!
//! Used by tests and benchmarks; nothing a user of Pumice needs.
#![forbid(unsafe_code)]

pub mod fastboot_device;
mod player;
mod script;
pub mod uboot;

pub use player::{Played, console, play_on_stdio};
pub use script::{Script, ScriptError, Variables};
