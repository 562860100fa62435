//! What idle consoles cost in memory and time.
//!
//! ```text
//! cargo run --release -p hal --example idle_consoles [CONSOLES] [SECONDS]
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod idle;

use hal::HalError;
use idle::{Idle, resident_kib};
use std::time::Duration;

fn main() -> Result<(), HalError> {
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|argument| argument.parse().ok());
    let count: usize = arguments.next().unwrap_or(1000);
    let seconds = arguments.next().unwrap_or(10);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| HalError::from_io("start", "the runtime", error))?;
    runtime.block_on(async {
        let before = resident_kib();
        let Some(mut lab) = Idle::open(count).await? else {
            println!("{count} consoles need more open files than allowed: see ulimit -n");
            return Ok(());
        };
        let opened = resident_kib();
        let cpu = cpu_time();
        lab.wait(Duration::from_secs(seconds as u64)).await;
        let used = cpu_time().saturating_sub(cpu);
        println!(
            "{count} consoles: {} KiB resident, {} KiB of that by opening them; waiting {seconds} s \
             took {used:.1?} of CPU ({:.3} %)",
            resident_kib(),
            opened - before,
            used.as_secs_f64() / seconds as f64 * 100.0
        );
        Ok(())
    })
}

fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.try_into().unwrap_or_default()
}
