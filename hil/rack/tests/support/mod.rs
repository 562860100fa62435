//! What the tests of the rack share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use hal::console::{Console, ConsoleExt, EpochCounter, TcpConsole};
use rack::{Board, Rack, RackConfig};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

/// Nothing takes this long unless it is broken; a loaded machine is slow.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Reads until `text` was seen, and gives everything up to the end of that read.
pub(crate) async fn read_until(console: &mut dyn Console, text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let deadline = soon();
    loop {
        let reading = timeout_at(deadline, console.read(&mut buffer)).await;
        let end = String::from_utf8_lossy(&seen[seen.len().saturating_sub(400)..]);
        let chunk = reading
            .unwrap_or_else(|_| panic!("no {text:?} in {end:?}"))
            .unwrap();
        assert!(!chunk.is_end(), "closed before {text:?} in {end:?}");
        seen.extend_from_slice(&buffer[..chunk.length]);
        let tail = &seen[seen.len().saturating_sub(chunk.length + text.len())..];
        if tail
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            return String::from_utf8_lossy(&seen).into_owned();
        }
    }
}

/// What the board says within `time`.
pub(crate) async fn read_for(console: &mut dyn Console, time: Duration) -> String {
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let deadline = Instant::now() + time;
    while let Ok(read) = timeout_at(deadline, console.read(&mut buffer)).await {
        let chunk = read.unwrap();
        if chunk.is_end() {
            break;
        }
        seen.extend_from_slice(&buffer[..chunk.length]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

pub(crate) async fn say(console: &mut dyn Console, text: &str) {
    console.write_all(text.as_bytes(), soon()).await.unwrap();
}

/// A rack with these boards of the built-in one; `None`, loudly, if one cannot run here.
pub(crate) async fn rack(boards: &[&str]) -> Option<(Rack, TempDir)> {
    let mut config = RackConfig::built_in().unwrap().only(boards).unwrap();
    // Not those of a rack that somebody else may be running.
    config.pdu = rack::PduConfig::default();
    let directory = tempfile::tempdir().unwrap();
    let rack = Rack::start(config, &directory.path().join("rack"))
        .await
        .unwrap();
    for (board, why) in rack.left_out() {
        eprintln!("SKIPPED: board {board} cannot run here: {why} (see `tools/packages rack`)");
    }
    rack.left_out().is_empty().then_some((rack, directory))
}

/// The board's console, over TCP.
pub(crate) async fn console(board: &Board) -> TcpConsole {
    let address = board.console_tcp().to_string();
    TcpConsole::connect(&address, EpochCounter::default(), soon())
        .await
        .unwrap()
}

/// Stops the firmware of a board that was just switched on, and gives what it said.
pub(crate) async fn interrupt(console: &mut dyn Console) -> String {
    let mut seen = read_until(console, "stop autoboot").await;
    say(console, " ").await;
    seen += &read_until(console, "=> ").await;
    seen
}

/// Whether a program is installed; says so loudly if it is not.
pub(crate) fn installed(program: &str) -> bool {
    let found = hal::process::find_program(program.as_ref(), None, None);
    if let Err(error) = &found {
        eprintln!("SKIPPED: {error} (see `tools/packages rack`)");
    }
    found.is_ok()
}
