//! Runs plans: the pipeline, the console engine, downloads, overlays and the journal.
#![forbid(unsafe_code)]

pub mod actions;
pub mod archive;
mod blocking;
pub mod bootfiles;
pub mod download;
pub mod expect;
pub mod journal;
pub mod overlay;
pub mod run;
