//! What the end-to-end tests share.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Reference data that the project does not carry: `$PUMICE_SHARED`, else `shared` beside the
/// checkout. Says loudly when it is not there, so that a skipped case is seen.
pub fn reference_data() -> Option<PathBuf> {
    let path =
        std::env::var_os("PUMICE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    skipped("the reference data is not here (PUMICE_SHARED)");
    None
}

/// The demo's kernel and ramdisk, as `demo/image` makes them: `$PUMICE_DEMO_IMAGES`.
pub fn demo_images() -> Option<PathBuf> {
    let path = std::env::var_os("PUMICE_DEMO_IMAGES")
        .map_or_else(|| root().join(".cache/demo"), PathBuf::from);
    if path.join("vmlinuz").is_file() && path.join("ramdisk.cpio.gz").is_file() {
        return Some(path);
    }
    skipped("the demo's images are not here; run demo/image .cache/demo");
    None
}

/// Says that a test did not run.
#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
pub fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}
