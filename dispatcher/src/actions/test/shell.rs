//! Test blocks with `definitions`: `lava-test-runner` on the device, its signals here.

use crate::{
    actions::{
        StepRun,
        boot::shell::{run as type_command, run_checked},
    },
    run::{Context, Extra},
};
use job::Fault;
use plan::step::TestShell;

/// Starts the runner of the overlay and follows it to its end.
pub async fn run(
    step: &StepRun<'_>,
    shell: &TestShell,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    if !context.consoles.is_open(namespace) {
        return Err(Fault::job("No connection to the DUT")
            .with_hint("a boot block of this namespace must come before the test block"));
    }
    context
        .consoles
        .set_character_delay(namespace, shell.character_delay);
    context.log.debug(format!("Using namespace: {namespace}"));
    type_command(step, "#", context).await?;
    mount_guest(step, shell, context).await?;
    context.log.debug(format!("Using {}", shell.results_dir));
    type_command(step, &format!("export SHELL={}", shell.shell), context).await?;
    run_checked(
        step,
        &format!(". {}/environment", shell.results_dir),
        context,
    )
    .await
    .map_err(|fault| match fault.hint {
        None => {
            fault.with_hint("the device does not have the overlay: did it boot what was deployed?")
        }
        Some(_) => fault,
    })?;
    let runner = format!(
        "{0}/bin/lava-test-runner {0}/{1}",
        shell.results_dir, shell.stage
    );
    context.consoles.send_line(namespace, &runner).await?;
    super::follow::follow(step, shell, context).await?;
    context
        .log
        .info("ok: lava_test_shell seems to have completed");
    Ok(Extra::new())
}

/// Mounts the drive with the overlay, when the deploy made one.
async fn mount_guest(
    step: &StepRun<'_>,
    shell: &TestShell,
    context: &mut Context,
) -> Result<(), Fault> {
    let Some(guest) = &context.namespace(&step.action.namespace).guest else {
        return Ok(());
    };
    let results_dir = &shell.results_dir;
    let commands = [
        format!("mkdir {results_dir}"),
        format!(
            "mount /dev/disk/by-uuid/{} -t ext2 {results_dir}",
            guest.uuid
        ),
        format!("ls -la {results_dir}/bin/lava-test-runner"),
    ];
    for command in commands {
        type_command(step, &command, context).await?;
    }
    Ok(())
}
