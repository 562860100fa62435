//! Our server of network block devices: the root file system of a board that mounts it over the
//! network (`deploy: to: nbd`).
//!
//! One image, which the job may write to, at a port of its own. Speaks the protocol's fixed
//! newstyle negotiation and simple replies, as Linux, `nbd-client` and QEMU do. Source: the
//! protocol's description, `doc/proto.md` of the NBD project. No TLS: boards mount a root before
//! they could check a certificate.

mod export;
mod negotiation;
mod request;
mod server;

pub use export::Export;
pub use server::{Limits, NbdServer};
