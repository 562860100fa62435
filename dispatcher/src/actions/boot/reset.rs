//! Power and reset: commands of the device on this host, or a reboot typed into its shell.

use crate::{
    actions::{StepRun, compile},
    run::{Context, Extra},
};
use job::Fault;
use plan::step::DeviceCommands;
use wire::journal::Record;

/// Runs the commands of one key of the device's `commands` (`hard_reset`, `power_off`, …).
///
/// Before the power of a board is touched, its `power_off` is registered as an undo, so that no way
/// out of the job leaves the board powered.
pub async fn commands(
    step: &StepRun<'_>,
    commands: &DeviceCommands,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let changes_power = changes_power(&commands.key);
    if changes_power {
        context.expect_power()?;
    }
    let outcome = match changes_power {
        true => switch(&commands.commands, step, context).await,
        false => {
            context
                .run_commands(&commands.commands, step.deadline)
                .await
        }
    };
    if changes_power {
        let operation = commands.key.clone();
        context.log.record(Record::Power {
            operation,
            ok: outcome.is_ok(),
        });
    }
    outcome?;
    let mut extra = Extra::new();
    if !commands.commands.is_empty() {
        extra.insert("status".to_owned(), "success".into());
    }
    Ok(extra)
}

/// Runs commands that switch the power. Each of them begins a new life of the board: of "off, wait,
/// on" only the last one brings it up, and what it printed until then is of no interest. Within a
/// single command that does all of that nothing tells the lives apart.
async fn switch(
    commands: &[String],
    step: &StepRun<'_>,
    context: &mut Context,
) -> Result<(), Fault> {
    for (number, command) in commands.iter().enumerate() {
        // The board may be up already, and must be heard.
        if number == 0 || !is_pause(command) {
            context.consoles.begin_life().await;
        }
        let command = std::slice::from_ref(command);
        context.run_commands(command, step.deadline).await?;
    }
    Ok(())
}

/// Whether a command does nothing but wait.
fn is_pause(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    matches!(program.rsplit('/').next(), Some("sleep"))
}

/// Types the reboot commands and waits for the message that proves one of them worked.
pub async fn reboot(
    step: &StepRun<'_>,
    commands: &[String],
    shutdown_message: &str,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    for command in commands {
        context.consoles.send_line(namespace, command).await?;
    }
    let expected = [shutdown_message];
    let patterns = compile(&expected)?;
    let waited = context
        .consoles
        .wait(namespace, step.wait(&patterns, &expected))
        .await;
    waited.map_err(|fault| match fault.timed_out_after {
        Some(_) => Fault {
            message: "Soft reboot failed.".to_owned(),
            ..fault
        },
        None => fault,
    })?;
    context.consoles.note_reboot();
    Ok(Extra::new())
}

/// Commands after which the board is another boot, or off.
fn changes_power(key: &str) -> bool {
    matches!(key, "hard_reset" | "power_on" | "power_off")
}
