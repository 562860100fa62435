//! Boot files: what boards load over the network.
//!
//! Deploy actions put files into a directory, and the servers here hand them out. They read only,
//! and nothing outside that directory. What was loaded, by whom and how fast is told to the job's
//! log, so that a boot that went wrong can say where.

mod connections;
pub mod http;
pub mod image_header;
pub mod nbd;
mod root;
pub mod tftp;
mod transfers;

pub use root::{NotServed, Root};
pub use transfers::{Outcome, Protocol, Report, Transfers};
