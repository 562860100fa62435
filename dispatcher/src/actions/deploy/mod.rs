//! `deploy:` blocks.

pub mod append_overlays;
pub mod download;
pub mod guest;
pub mod overlay;

use crate::{
    overlay::{CommandOutput, RunCommand},
    run::Context,
};
use hal::process::{Command, CommandLine};
use job::Fault;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Runs work that would block the runner on another thread, the consoles being read meanwhile.
///
/// Cancel-safe: dropping the future tells the work to stop.
async fn blocking<T: Send + 'static>(
    context: &mut Context,
    work: impl FnOnce(CancellationToken) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let working = tokio::task::spawn_blocking(move || work(cancel));
    tokio::select! {
        done = working => done.unwrap_or_else(|error| Err(Fault::bug(error.to_string()))),
        never = context.consoles.drain() => match never {},
    }
}

/// Programs of this host: git and the tools of file systems.
struct Programs;

impl RunCommand for Programs {
    async fn run(
        &self,
        arguments: &[String],
        environment: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<CommandOutput, Fault> {
        let line = CommandLine::from_words(arguments)
            .ok_or_else(|| Fault::bug("a program without a name is to be run"))?;
        let output = Command::new(line)
            .envs(environment.iter().copied())
            .output(deadline)
            .await;
        let output = output.map_err(|error| crate::run::fault::of_hal(&error))?;
        Ok(CommandOutput {
            success: output.exit.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
