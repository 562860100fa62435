//! The overlay as an ext file system of its own.

use job::Fault;
use std::path::{Path, PathBuf};

/// A file system image with the overlay.
#[derive(Debug)]
pub struct GuestImage {
    /// Where it is.
    pub path: PathBuf,
    /// The UUID by which the guest finds it.
    pub uuid: String,
}

/// Makes the image.
///
/// # Errors
/// Always, for now.
pub async fn build(
    _directory: &Path,
    _size_mib: u32,
    _path: &Path,
    _deadline: tokio::time::Instant,
) -> Result<GuestImage, Fault> {
    Err(crate::actions::unsupported(
        "an overlay on a drive of its own",
    ))
}
