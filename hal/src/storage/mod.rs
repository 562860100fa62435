//! The card of a board: muxes that hand it from the host to the board, and images written to it.
//!
//! [`StorageMux`] is the hand-over; [`flash()`] is its user: card to the host, wait for the disk,
//! write and verify the image ([`ImageWriter`]), card to the board. No disk is written that is
//! mounted or otherwise in use.

mod bmap;
mod control_mux;
mod flash;
mod guard;
mod image;
mod list;
mod mux;
mod program_mux;

pub use bmap::{Bmap, BmapRange};
pub use control_mux::ControlMux;
pub use flash::{FlashImage, flash};
pub use guard::refuse_in_use;
pub use image::{ImageWriter, Progress, Written};
pub use mux::{Side, StorageMux, open_mux, release};
pub use program_mux::ProgramMux;

pub(crate) use list::StorageMuxes;
