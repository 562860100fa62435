//! What the integration tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::path::PathBuf;

pub mod story;

/// A recording or other test data that is not part of the tree; `None`, said loudly, where it is
/// not there.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PUMICE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let file = folder.join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!(
        "SKIPPED: {} is not there; set PUMICE_SHARED to the folder with the test data",
        file.display()
    );
    None
}
