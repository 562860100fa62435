//! Fastboot: flashing boards through their bootloaders, over USB, TCP and UDP.
//!
//! Used by the dispatcher's deploy and boot methods. [`open`] finds the device of a [`Target`] and
//! connects; [`Fastboot`] is the client. It starts no program, and knows neither slots nor
//! partition tables: what is flashed where is its caller's business.
//!
//! ```no_run
//! # async fn example() -> Result<(), hal::HalError> {
//! use hal::fastboot::{Fastboot, Image, RebootTarget, open};
//! let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
//! let mut board = Fastboot::new(open(&"udp:board01".parse()?, deadline).await?);
//! let image = Image::open("boot.img".as_ref())?;
//! board.flash("boot", &image, |_| {}, deadline).await?;
//! board.reboot(RebootTarget::System, deadline).await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod feed;
mod image;
pub mod protocol;
mod refusal;
pub mod sparse;
mod target;
pub mod tcp;
mod transport;
pub mod udp;
pub mod usb;

pub use client::{Fastboot, Progress, RebootTarget, Reply};
pub use image::{Download, Image};
pub use target::{Address, PORT, Target};
pub use transport::Transport;

use crate::error::HalError;
use tokio::time::Instant;

/// Connects to `target`, waiting for it until `deadline`.
///
/// # Errors
/// `Timeout` when it did not come; `InvalidInput` when two devices fit; `PermissionDenied` when it
/// may not be used, with what to change; `Protocol` when it is something else.
pub async fn open(target: &Target, deadline: Instant) -> Result<Box<dyn Transport>, HalError> {
    Ok(match target {
        Target::Usb(wanted) => Box::new(usb::UsbTransport::open(wanted.clone(), deadline).await?),
        Target::Tcp(address) => Box::new(tcp::TcpTransport::open(address.clone(), deadline).await?),
        Target::Udp(address) => Box::new(udp::UdpTransport::open(address.clone(), deadline).await?),
    })
}
