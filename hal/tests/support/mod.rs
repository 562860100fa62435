//! What the tests of this crate share.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "every test program uses a part of it, and fails where it cannot go on"
)]

pub mod peers;

use hal::{
    console::{Console, ConsoleExt},
    process::{CommandLine, ProcessIdentity},
};
use std::{fmt::Debug, time::Duration};
use tokio::time::Instant;

/// Far longer than anything here takes on a loaded machine.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// `sh -c script`.
pub fn shell(script: &str) -> CommandLine {
    CommandLine::new("sh").arg("-c").arg(script)
}

/// Asks `probe` until it answers, and panics with what it last said.
pub async fn wait_for<T, E: Debug>(mut probe: impl FnMut() -> Result<T, E>) -> T {
    let deadline = soon();
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    loop {
        match probe() {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => panic!("never came: {last:?}"),
            Err(_) => ticks.tick().await,
        };
    }
}

/// Waits until the process of an earlier `identity` is gone.
pub async fn wait_until_dead(process: ProcessIdentity) {
    wait_for(|| {
        if process.is_alive() {
            Err(process)
        } else {
            Ok(())
        }
    })
    .await;
}

/// Reads until `text` was seen and gives everything read.
pub async fn read_until(console: &mut (impl Console + ?Sized), text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let reading = tokio::time::timeout_at(soon(), console.read(&mut buffer)).await;
        let shown = String::from_utf8_lossy(&seen);
        let chunk = reading
            .unwrap_or_else(|_| panic!("no {text:?} in {shown:?}"))
            .unwrap();
        assert!(!chunk.is_end(), "closed before {text:?} in {shown:?}");
        seen.extend_from_slice(&buffer[..chunk.length]);
        if String::from_utf8_lossy(&seen).contains(text) {
            return String::from_utf8_lossy(&seen).into_owned();
        }
    }
}

/// Reads to the end.
pub async fn read_to_end(console: &mut (impl Console + ?Sized)) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let reading = tokio::time::timeout_at(soon(), console.read(&mut buffer)).await;
        let chunk = reading.expect("the console ends").unwrap();
        if chunk.is_end() {
            return all;
        }
        all.extend_from_slice(&buffer[..chunk.length]);
    }
}

/// The largest resident size this process ever had, in KiB.
pub fn peak_memory_kib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
