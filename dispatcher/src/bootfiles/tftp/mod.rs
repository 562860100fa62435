//! Our TFTP server: boot loaders load kernels by it.
//!
//! Read-only. Serves many clients at once, with the options of RFC 2347 to 2349 and windows by
//! RFC 7440, so that a client need not answer every block. Every transfer is told to
//! [`Transfers`](super::Transfers). For deploys that a boot loader fetches; never writes a file, never
//! leaves its directory.

mod packet;
mod server;
mod window;

pub use packet::PORT;
#[cfg(fuzzing)]
pub use packet::read_any;
pub use server::{Limits, TftpServer};
