//! `test:` blocks.

pub(crate) mod follow;
pub mod interactive;
pub mod monitor;
pub mod shell;
