//! What the end-to-end tests share: the programs under test, labs of files and scripted boards,
//! web servers that misbehave, and the proof that a job left nothing behind.
//!
//! Everything here is a test's own: a failure ends the test by panicking.
#![forbid(unsafe_code)]

mod documents;
mod lab;
mod processes;
mod program;
mod run;
mod server;

pub use documents::{BOOT, OVERLAY, definition, deploy, inline, job};
pub use lab::Lab;
pub use processes::Processes;
pub use program::{program, pumice};
pub use run::{Finished, Run, Running};
pub use server::{Answer, Server};

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
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

/// The kernel and the ramdisk of a board, as `hil/rack/images` makes them for an architecture of
/// Debian's: `kernel`, `ramdisk.cpio.gz`.
pub fn board_images(architecture: &str) -> Option<PathBuf> {
    let path = root().join(".cache/boards").join(architecture);
    if path.join("kernel").is_file() && path.join("ramdisk.cpio.gz").is_file() {
        return Some(path);
    }
    skipped(&format!(
        "what {architecture} boards boot is not here; run hil/rack/images {architecture}"
    ));
    None
}

/// Whether this test runs as root, which some faults need. Says so when it does not.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped("only root can do this");
    }
    root
}

/// Says that a test did not run.
pub fn skipped(reason: &str) {
    say(&format!("SKIPPED: {reason}"));
}

/// Says something that who reads a test's output needs, such as a seed.
#[expect(clippy::print_stderr, reason = "tests talk to whoever runs them")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// The output of a shell script whose `$1` is a path; `None` when it fails.
pub fn shell(script: &str, path: &Path) -> Option<Vec<u8>> {
    let output = command(Path::new("sh"))
        .args(["-c", script, "sh"])
        .arg(path)
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start programs as a user would"
)]
fn command(program: &Path) -> Command {
    // Tests may run in the background of a script, where shells have Ctrl-C ignored, and so would
    // the programs they start. They are started as from a terminal.
    let mut command = Command::new("env");
    command
        .arg("--default-signal=INT,QUIT,HUP,TERM")
        .arg(program);
    command
}
