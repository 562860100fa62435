//! A thousand scripted boards in one process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; what is skipped and how long it took is said"
)]

mod support;

use hal::console::{ConsoleExt, EpochCounter};
use rack::{Script, Variables};
use std::{path::Path, time::Instant};
use support::{read_until, soon};
use tokio::task::JoinSet;

/// How much one board may take: its thread's stack and buffers, and its console.
const KIB_EACH: u64 = 160;

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_thousand_boards_boot_to_their_prompt() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/uboot.board");
    let script = Script::load(&path, Variables::new()).unwrap();
    let (before, begun) = (memory("VmRSS:"), Instant::now());
    let mut boards = JoinSet::new();
    for number in 0..1000 {
        let console = rack::console(script.clone(), EpochCounter::default());
        let mut console = console.unwrap_or_else(|error| panic!("board {number}: {error}"));
        boards.spawn(async move {
            read_until(&mut console, "stop autoboot").await;
            console.write_all(b" ", soon()).await.unwrap();
            read_until(&mut console, "=> ").await;
            console
        });
    }
    let consoles = boards.join_all().await;
    let took = begun.elapsed();
    let each = (memory("VmRSS:") - before) / 1000;
    eprintln!("1,000 boards at their prompt after {took:.2?}, {each} KiB each");
    assert_eq!(consoles.len(), 1000);
    assert!(each < KIB_EACH, "{each} KiB each");
}
