//! The programs of this host that overlays need: git and those of e2fsprogs.

use super::git::without_password;
use hal::{
    ErrorKind, HalError,
    process::{Command, CommandLine},
};
use job::Fault;
use std::future::Future;
use tokio::time::Instant;

/// Runs a program of this host to its end.
pub trait RunCommand: Sync {
    /// Runs `arguments[0]` with the rest as its arguments, `environment` added to the usual one,
    /// without standard input, and gathers a bounded part of its output.
    ///
    /// The future owns the process: dropping it kills the process and its children.
    ///
    /// # Errors
    /// A fault when the program cannot be started or the deadline passes, not when it fails.
    fn run(
        &self,
        arguments: &[String],
        environment: &[(&str, &str)],
        deadline: Instant,
    ) -> impl Future<Output = Result<CommandOutput, Fault>> + Send;
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Whether it exited with 0.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// Runs programs through [`hal::process`].
#[derive(Clone, Copy, Debug, Default)]
pub struct HostCommands;

impl RunCommand for HostCommands {
    async fn run(
        &self,
        arguments: &[String],
        environment: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<CommandOutput, Fault> {
        let line = CommandLine::from_words(arguments)
            .ok_or_else(|| Fault::bug("a command without a program"))?;
        let program = arguments.first().map_or("", String::as_str);
        let output = Command::new(line)
            .envs(environment.iter().copied())
            .output(deadline)
            .await
            .map_err(|error| fault(program, &error))?;
        Ok(CommandOutput {
            success: output.exit.success(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        })
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The message names the command, which may hold a password.
fn fault(program: &str, error: &HalError) -> Fault {
    let fault = Fault::infrastructure(without_password(&error.to_string()));
    match (error.kind(), error.hint()) {
        (ErrorKind::NotFound, _) => {
            let package = if program == "git" { "git" } else { "e2fsprogs" };
            fault.with_hint(format!("install it: apt-get install {package}"))
        }
        (_, Some(hint)) => fault.with_hint(hint),
        (_, None) => fault,
    }
}
