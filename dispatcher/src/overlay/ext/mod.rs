//! Ext file systems, by the programs of e2fsprogs: no mount, no root, no virtual machine.

mod debugfs;
pub mod guest;
pub mod image;
mod partition;
mod stage;

use super::{CommandOutput, RunCommand};
use job::Fault;
use std::path::PathBuf;
use tokio::time::Instant;

/// Runs a program of e2fsprogs and returns what it printed, whether it succeeded or not.
async fn run(
    runner: &impl RunCommand,
    program: &str,
    arguments: &[String],
    deadline: Instant,
) -> Result<CommandOutput, Fault> {
    let mut all = vec![find(program)?.display().to_string()];
    all.extend_from_slice(arguments);
    // Its messages are read by this program.
    let environment = [("LC_ALL", "C"), ("DEBUGFS_PAGER", "cat")];
    runner.run(&all, &environment, deadline).await
}

/// Where a program is; people who are not root lack the directories that have it in their path.
fn find(program: &str) -> Result<PathBuf, Fault> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            Fault::infrastructure(format!(
                "the program {program} is not installed on this host"
            ))
            .with_hint("install it: apt-get install e2fsprogs")
        })
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
