//! Ext file systems, by the programs of e2fsprogs: no mount, no root, no virtual machine.

mod debugfs;
pub mod guest;
pub mod image;
mod partition;
mod stage;

use super::{CommandOutput, RunCommand};
use job::Fault;
use tokio::time::Instant;

/// Runs a program of e2fsprogs and returns what it printed, whether it succeeded or not.
async fn run(
    runner: &impl RunCommand,
    program: &str,
    arguments: &[String],
    deadline: Instant,
) -> Result<CommandOutput, Fault> {
    let mut all = vec![program.to_owned()];
    all.extend_from_slice(arguments);
    // Its messages are read by this program.
    let environment = [("LC_ALL", "C"), ("DEBUGFS_PAGER", "cat")];
    runner.run(&all, &environment, deadline).await
}

/// The last lines a program complained with, in one.
fn complaint(output: &CommandOutput) -> String {
    let lines: Vec<&str> = output
        .stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_banner(line))
        .collect();
    let from = lines.len().saturating_sub(3);
    match lines[from..].join("; ") {
        text if text.is_empty() => "it said nothing".to_owned(),
        text => text.chars().take(500).collect(),
    }
}

/// `debugfs 1.47.0 (5-Feb-2023)`, which all of them print first.
fn is_banner(line: &str) -> bool {
    ["debugfs ", "mke2fs ", "dumpe2fs ", "e2fsck ", "resize2fs "]
        .iter()
        .any(|name| line.starts_with(name) && line.ends_with(')'))
}
