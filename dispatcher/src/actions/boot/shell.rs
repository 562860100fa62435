//! `expect-shell-connection` and `export-device-env`: a shell answers, and gets its environment.

use crate::{
    actions::{StepRun, compile, group, quoted},
    run::{Context, Extra},
};
use job::{Fault, python::text_repr};
use std::time::Duration;
use tokio::time::Instant;

/// Presses Enter and waits for the shell to answer with a prompt.
pub async fn expect(
    step: &StepRun<'_>,
    prompts: &[String],
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    context.namespace(namespace).prompts = prompts.to_vec();
    let expected: Vec<&str> = prompts.iter().map(String::as_str).collect();
    context.log.debug(format!(
        "Forcing a shell prompt, looking for {}",
        quoted(&expected)
    ));
    context.consoles.send_line(namespace, "").await?;
    step.log_wait(&expected, context);
    let patterns = compile(&expected)?;
    context
        .consoles
        .wait_forcing_prompt(namespace, &patterns, &quoted(&expected), step.deadline)
        .await?;
    Ok(Extra::new())
}

/// Types the variables of `deploy-device-env` into the file that shells read, then reads it.
///
/// Each line waits for its prompt: a slow console loses what is typed while nobody reads.
pub async fn export_environment(
    step: &StepRun<'_>,
    shell_file: &str,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let variables = context
        .namespace(&step.action.namespace)
        .device_environment
        .clone();
    if variables.is_empty() {
        return Ok(Extra::new());
    }
    for (name, value) in &variables {
        // What the device's shell reads is `export NAME='value'`.
        let value = value.replace('\'', r"'\''");
        let line = format!("export {name}='{value}'");
        run(
            step,
            &format!("echo {} >> {shell_file}", shell_quoted(&line)),
            context,
        )
        .await?;
    }
    run(step, &format!(". {shell_file}"), context).await?;
    Ok(Extra::new())
}

/// Types a command and waits for the prompt after it.
pub async fn run(step: &StepRun<'_>, command: &str, context: &mut Context) -> Result<(), Fault> {
    let namespace = step.console_namespace();
    context.consoles.send_line(namespace, command).await?;
    let prompts = context.namespace(namespace).prompts.clone();
    let expected: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let patterns = compile(&expected)?;
    context
        .consoles
        .wait(namespace, step.wait(&patterns, &expected))
        .await?;
    Ok(())
}

/// Types a command and checks the code it returns (LAVA 2026.07 spells its marker this way).
pub async fn run_checked(
    step: &StepRun<'_>,
    command: &str,
    context: &mut Context,
) -> Result<(), Fault> {
    /// LAVA 2026.07 waits this long for the return code.
    const TIMEOUT: Duration = Duration::from_secs(15);
    run_checked_within(step, command, Some(TIMEOUT), context).await
}

/// As [`run_checked`], for commands that may take their time: as long as the action's connection
/// allows, where no other time is given.
pub async fn run_checked_within(
    step: &StepRun<'_>,
    command: &str,
    within: Option<Duration>,
    context: &mut Context,
) -> Result<(), Fault> {
    let namespace = step.console_namespace();
    let line = format!(r#"{command} ; printf "<LAVA_SIGNAL_RETRUNCODE $?>\n""#);
    context.consoles.send_line(namespace, &line).await?;
    let expected = [r"<LAVA_SIGNAL_RETRUNCODE (?P<code>\d+)>"];
    let patterns = compile(&expected)?;
    let mut wait = step.wait(&patterns, &[command]);
    if let Some(within) = within {
        wait.until = Some(Instant::now() + within);
    }
    wait.what = format!("the return code of {}", text_repr(command));
    let found = context.wait_while_serving(namespace, wait).await?;
    let code = group(&found, "code").unwrap_or_default();
    if code == "0" {
        return Ok(());
    }
    Err(Fault::job(format!(
        "'{command}' failed with return code {code}!"
    )))
}

/// One word for a POSIX shell, backslashes before quotes as LAVA types them.
fn shell_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if !(character.is_ascii_alphanumeric() || " =_-./:,@%+".contains(character)) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}
