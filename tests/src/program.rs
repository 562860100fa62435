//! The programs of this workspace, as they are now.
//!
//! Cargo builds the programs of other packages neither for `cargo test -p integration` nor again
//! when they change, and a test of a stale program proves nothing.

use crate::{command, root};
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The `pumice` of this checkout.
pub fn pumice() -> PathBuf {
    program("pumice")
}

/// A program of this workspace, built when it is missing or older than its sources.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("tests are in target/*/deps");
    let program = folder.join(name);
    if !is_current(&program) {
        build(folder, name);
    }
    assert!(program.is_file(), "cargo did not make {program:?}");
    program
}

/// Whether a program is there and newer than what cargo says it was made of.
fn is_current(program: &Path) -> bool {
    let Some(built) = modified(program) else {
        return false;
    };
    let Ok(dependencies) = fs_err::read_to_string(program.with_extension("d")) else {
        return false;
    };
    let sources = dependencies
        .split_once(": ")
        .map_or("", |(_, sources)| sources);
    sources
        .split_whitespace()
        .all(|source| modified(Path::new(source)).is_some_and(|changed| changed <= built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs_err::metadata(path).ok()?.modified().ok()
}

/// Cargo's own lock keeps tests that do this at the same time apart.
fn build(folder: &Path, name: &str) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let target = folder.parent().expect("target/* has a parent");
    let output = command(Path::new(env!("CARGO")))
        .args(["build", "--locked", "--quiet", "--package", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "{name} cannot be built: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
