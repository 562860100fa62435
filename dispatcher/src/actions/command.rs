//! `command:` blocks: commands that the admin wrote into the device, by name.

use super::StepRun;
use crate::run::{Context, Extra, context::words};
use job::Fault;
use plan::step::UserCommand;
use std::time::Duration;
use wire::journal::Undo;

/// How long each command of an `undo` may take; LAVA 2026.07 bounds all of the clean-up alone.
const UNDO_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the command's `do` part. Its `undo` is registered first, so that it runs at the end of the
/// job even when `do` fails half-way (LAVA 2026.07 undoes a command that was begun).
pub async fn run(
    step: &StepRun<'_>,
    command: &UserCommand,
    context: &mut Context,
) -> Result<Extra, Fault> {
    if !command.undo.is_empty() {
        let commands = command
            .undo
            .iter()
            .map(|line| words(line))
            .collect::<Result<_, _>>()?;
        context.undos.register(Undo::Run {
            name: command.name.clone(),
            commands,
            timeout: UNDO_TIMEOUT,
        });
    }
    context
        .log
        .info(format!("Running user command '{}'", command.name));
    context
        .run_commands(&command.commands, step.deadline)
        .await?;
    Ok(Extra::new())
}
