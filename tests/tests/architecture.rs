//! Keeps the table of ARCHITECTURE.md true: who may depend on whom.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The crates of ours that each crate may use, tests and build scripts left out. What a crate may
/// use is also open to those above it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("yaml", &[]),
    ("job", &["yaml"]),
    ("templates", &["yaml", "job"]),
    ("device-types", &[]),
    ("plan", &["yaml", "job", "templates"]),
    ("wire", &["yaml", "job"]),
    ("hal", &[]),
    (
        "dispatcher",
        &["yaml", "job", "templates", "plan", "wire", "hal"],
    ),
    ("power-daemon", &["hal"]),
    ("rack", &["hal"]),
    ("suite", &["hal", "rack"]),
    ("reference-data", &[]),
];

/// Crates that may use everything; nothing may use them.
const AT_THE_TOP: &[&str] = &["pumice", "integration", "bench", "xtask"];

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = MAY_USE
        .iter()
        .map(|(name, uses)| (*name, uses.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for (name, uses) in manifests() {
        if AT_THE_TOP.contains(&name.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in ARCHITECTURE.md's table"));
            continue;
        };
        for used in uses.iter().filter(|used| !allowed.contains(used.as_str())) {
            wrong.push(format!("{name} must not use {used}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_hal_may_contain_unsafe_code() {
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "hal" {
            continue;
        }
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let root = ["src/lib.rs", "src/main.rs"]
            .map(|file| manifest.with_file_name(file))
            .into_iter()
            .find(|file| file.is_file())
            .unwrap_or_else(|| panic!("{name} has no lib.rs and no main.rs"));
        let text = fs_err::read_to_string(&root).unwrap();
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{} must forbid it",
            root.display()
        );
    }
}

/// Every crate of the workspace with the crates of ours it uses.
fn manifests() -> Vec<(String, Vec<String>)> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let uses = dependencies
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap())
                .filter(|name| ours.contains(name))
                .map(str::to_owned)
                .collect();
            (package["name"].as_str().unwrap().to_owned(), uses)
        })
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may start cargo without hal's supervision"
)]
fn metadata() -> serde_json::Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(integration::root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
