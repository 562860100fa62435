//! What the tests of fastboot share: images, and Debian's programs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    reason = "every test program uses a part of it, and fails where it cannot go on"
)]

pub mod served;

use hal::process::{Command, CommandLine};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// Far longer than anything here takes on a loaded machine.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

/// `length` bytes of data, zeros and repeated words, the same for each seed.
pub fn image(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let kind = next() % 4;
        let run = (next() % 16 + 1) * 4096;
        for _ in 0..run / 4 {
            let word: u32 = match kind {
                0 => 0,
                1 => 0xDEAD_BEEF,
                _ => next() as u32,
            };
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    bytes.truncate(length);
    bytes
}

/// Bytes that no image format shortens.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// Whether `program` is installed; says so on standard error when it is not.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|place| place.join(program).exists());
    if !found {
        eprintln!("SKIPPED: {program} is not installed (tools/packages test)");
    }
    found
}

/// Runs `program` to its end and gives what it printed; panics when it fails.
pub async fn run(program: &str, arguments: &[&str]) -> String {
    let (success, printed) = try_run(program, arguments).await;
    assert!(success, "{program} {arguments:?}: {printed}");
    printed
}

/// Runs `program` to its end, and says whether it succeeded and what it printed, on both streams.
pub async fn try_run(program: &str, arguments: &[&str]) -> (bool, String) {
    let line = CommandLine::new("sh")
        .args(["-c", "exec 2>&1; exec \"$@\"", "sh", program])
        .args(arguments.iter().copied());
    let output = Command::new(line).output(soon()).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.exit.success(), printed)
}

/// A path as the argument it is.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
