//! Takes archives and compressed files apart.
//!
//! Downloads and test definitions bring them, from servers nobody vouches for: every size is
//! bounded, and nothing is ever written outside the directory that was asked for. All of it blocks,
//! so asynchronous callers run it in `tokio::task::spawn_blocking`.
//!
//! This module never fetches anything and never starts a program.

mod compression;
mod error;
mod tar;
mod zip;

pub use compression::{Compression, UnknownCompression};
pub use error::ArchiveError;
pub(crate) use error::write_fault;
pub use tar::{Limits, UnpackOptions, Unpacked, unpack_tar};
pub use zip::extract_only_member;
