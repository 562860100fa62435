//! `rack up`, `list`, `down`: one process owns everything, and nothing outlives it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; what is skipped and how long it took is said"
)]

mod support;

use hal::process::{Command, CommandLine, ProcessIdentity, Running};
use rack::control::{self, Answer, Listing, Request};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use support::{installed, soon};
use tokio::time::{sleep, timeout_at};

fn program(directory: &Path, words: &[&str]) -> Command {
    let line = CommandLine::new(env!("CARGO_BIN_EXE_rack")).args(words);
    Command::new(line).env("PUMICE_RACK_DIRECTORY", directory)
}

async fn output(directory: &Path, words: &[&str]) -> (bool, String) {
    let output = program(directory, words).output(soon()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.exit.success(), String::from_utf8(text).unwrap())
}

/// Starts a rack and waits until it listens.
async fn up(directory: &Path) -> (Running, Listing) {
    let running = program(directory, &["up", "riscv64"]).spawn(None).unwrap();
    let listing = async {
        loop {
            if let Ok(Answer::Listing(listing)) = control::ask(directory, &Request::List).await {
                return *listing;
            }
            sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let listing = timeout_at(soon(), listing)
        .await
        .expect("the rack does not listen");
    (running, listing)
}

async fn gone(process: ProcessIdentity) {
    let wait = async {
        while process.is_alive() {
            sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout_at(soon(), wait)
        .await
        .expect("a process is left behind");
}

#[tokio::test]
async fn nothing_outlives_the_rack_even_when_it_is_killed() {
    if !installed("qemu-system-riscv64") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = &directory.path().join("rack");
    for kill in [true, false] {
        // The second time over what the killed one left.
        let (mut rack, listing) = up(directory).await;
        if let Some(why) = listing.left_out.get("riscv64") {
            eprintln!("SKIPPED: board riscv64 cannot run here: {why}");
            return;
        }
        let (done, said) = output(directory, &["power", "riscv64", "on"]).await;
        assert!(done, "{said}");
        let (_, json) = output(directory, &["list", "--json"]).await;
        let listing: Listing = serde_json::from_str(&json).unwrap();
        let [board] = &listing.boards[..] else {
            panic!("{json}")
        };
        let board = ProcessIdentity::of(board.pid.unwrap()).unwrap();
        if kill {
            let pid = i32::try_from(rack.pid()).unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        } else {
            let (done, said) = output(directory, &["down"]).await;
            assert!(done && said.is_empty(), "{said}");
            assert!(
                !board.is_alive(),
                "`down` came back before the board had ended"
            );
        }
        timeout_at(soon(), rack.exited()).await.unwrap().unwrap();
        gone(board).await;
    }
    let (done, said) = output(directory, &["down"]).await;
    assert!(done && said.contains("no rack runs in"), "{said}");
}

#[tokio::test]
async fn mistakes_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let directory = &directory.path().join("rack");
    let (done, said) = output(directory, &["list"]).await;
    assert!(
        !done && said.contains("hint: `rack up` starts one"),
        "{said}"
    );
    let (done, said) = output(directory, &["up", "amiga"]).await;
    assert!(!done && said.contains("has no board 'amiga'"), "{said}");
    let (_rack, _) = up(directory).await;
    let (done, said) = output(directory, &["up"]).await;
    assert!(!done && said.contains("another rack runs in"), "{said}");
    let (done, said) = output(directory, &["fault", "amiga", "hang"]).await;
    assert!(!done && said.contains("has no board 'amiga'"), "{said}");
    for words in [
        &["fault", "riscv64", "dance"][..],
        &["pdu", "slow=x"],
        &["up", "--fast"],
        &[],
    ] {
        let exit = program(directory, words).output(soon()).await.unwrap();
        assert_eq!(exit.exit.returncode(), 64, "{words:?}");
    }
}
