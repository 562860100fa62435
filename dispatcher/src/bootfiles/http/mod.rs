//! Our HTTP server: boot loaders that speak HTTP load kernels by it, and booted systems fetch the
//! tests' overlay (`transfer_overlay`).
//!
//! HTTP/1.1 as of RFC 9110 and 9112: `GET` and `HEAD`, one range of bytes, connections that are
//! used again. Reads only, lists no directory, never leaves its own. Every transfer is told to
//! [`Transfers`](super::Transfers).

mod body;
mod path;
mod range;
mod server;
mod stall;

pub use server::{HttpServer, Limits};
