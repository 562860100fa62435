//! The subcommands, one file each.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod hal;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod power;
pub(crate) mod recover;
pub(crate) mod report;
pub(crate) mod run;
