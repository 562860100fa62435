//! A lab in one process: what a thousand consoles cost that nobody types at.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../examples/idle/mod.rs"]
mod idle;
mod support;

use hal::console::ConsoleExt;
use idle::{Idle, resident_kib};

#[tokio::test]
async fn a_thousand_idle_consoles_fit_into_64_mebibytes() {
    let Some(mut lab) = Idle::open(1000).await.unwrap() else {
        eprintln!("SKIPPED: this user may not open some 2100 files: see ulimit -n");
        return;
    };
    let opened = resident_kib();
    // All of them are waited for, and all of them work.
    lab.wait(std::time::Duration::from_millis(200)).await;
    let waiting = resident_kib();
    assert_eq!(lab.consoles.len(), 1000);
    for index in [0, 399, 400, 999] {
        lab.say(index, b"x").await.unwrap();
        let chunk = lab.consoles[index].read(&mut [0; 8]).await.unwrap();
        assert_eq!(chunk.length, 1, "console {index}");
    }
    println!("{opened} KiB open, {waiting} KiB while they are read");
    assert!(waiting < 64 * 1024, "{waiting} KiB");
}
