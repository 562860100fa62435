//! Where tests find data that the project does not carry: recordings of LAVA, its sample jobs.
//!
//! The one place that knows where that is. For tests only.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// `path` in the folder that `$PUMICE_SHARED` names, else in `shared` beside the checkout. `None`
/// where it is not there, said loudly, so that a skipped case is seen.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn reference_data(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("PUMICE_SHARED").map_or_else(beside, PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    let found = found.display();
    eprintln!("SKIPPED: {found} is not there; PUMICE_SHARED names the folder with reference data");
    None
}
