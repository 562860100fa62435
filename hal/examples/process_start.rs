//! How long it takes to start a process and to see its end.
//!
//! ```text
//! cargo run --release -p hal --example process_start [MEBIBYTES OF MEMORY THE RUNNER HOLDS]
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use hal::{
    HalError,
    process::{Command, CommandLine},
};
use std::time::Duration;
use tokio::time::Instant;

const ROUNDS: usize = 200;

fn main() -> Result<(), HalError> {
    let held = std::env::args()
        .nth(1)
        .and_then(|size| size.parse().ok())
        .unwrap_or(16usize);
    // Touched, because it is the page table that a fork copies.
    let memory = vec![1u8; held << 20];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| HalError::from_io("start", "the runtime", error))?;
    let mut times = runtime.block_on(measure())?;
    times.sort();
    let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!(
        "`true`: median {median:.1?}, slowest {slowest:.1?}, holding {} MiB",
        memory.len() >> 20
    );
    Ok(())
}

async fn measure() -> Result<Vec<Duration>, HalError> {
    let command = Command::new(CommandLine::new("true"));
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let exit = command
            .run(Instant::now() + Duration::from_secs(10), |_| {})
            .await?;
        times.push(exit.duration);
    }
    Ok(times)
}
