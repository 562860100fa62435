//! The servers of boot files that speak TCP, against the clients that labs have.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says when it is skipped"
)]

mod http;
mod nbd;

use dispatcher::bootfiles::{Report, Transfers};
use hal::process::{Command, CommandLine};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// What a server told of its transfers.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Report>>>);

impl Told {
    fn transfers(&self) -> Transfers {
        let told = self.clone();
        Transfers::new(move |report| told.0.lock().unwrap().push(report))
    }

    fn all(&self) -> Vec<Report> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until so many transfers have ended: a client is done before its server is.
    async fn ended(&self, count: usize) -> Vec<Report> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.0.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "{:?}", self.all());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.all()
    }
}

/// What a program printed, and whether it succeeded; `None`, loudly, where it is not installed.
async fn program(name: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let command = Command::new(CommandLine::new(name).args(arguments.iter().copied()));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut printed = Vec::new();
    let line = |line: &[u8]| {
        printed.extend_from_slice(line);
        printed.push(b'\n');
    };
    match command.run(deadline, line).await {
        Ok(exit) => Some((
            exit.success(),
            String::from_utf8_lossy(&printed).into_owned(),
        )),
        Err(error) if error.kind() == hal::ErrorKind::NotFound => {
            eprintln!("SKIPPED: {name} is not installed (tools/packages test)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Bytes that differ everywhere.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}
