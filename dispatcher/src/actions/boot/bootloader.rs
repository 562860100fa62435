//! Boot loaders: fill in their commands, stop them from booting by themselves, type the commands.

use crate::{
    actions::{StepRun, compile},
    expect::{Found, PatternSet},
    run::{Context, Extra, consoles::Wait},
};
use fs_err as fs;
use job::Fault;
use plan::step::netboot::{
    BootloaderCommands, BootloaderInterrupt, BootloaderOverlay, Keys, Placeholder,
};
use std::time::Duration;
use tokio::time::Instant;

/// How LAVA 2026.07 says that a command was answered by an error message.
pub const REFUSED: &str = "matched a bootloader error message";

/// How much of a command has to come back: consoles break longer lines in their own ways.
const ECHO_LENGTH: usize = 12;

/// How long to wait for it. The slowest consoles echo a line in half a second.
const ECHO_WITHIN: Duration = Duration::from_secs(2);

/// `bootloader-overlay`
pub async fn fill_in(
    step: &StepRun<'_>,
    overlay: &BootloaderOverlay,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let mut commands = overlay.commands.iter();
    if commands.any(|command| command.contains("{HTTP_PORT}")) {
        context.boot_files.serve_http(&context.undos).await?;
    }
    let values: Vec<(String, Option<String>)> = overlay
        .placeholders
        .iter()
        .map(|(name, placeholder)| {
            let value = value(step, placeholder, context);
            (
                format!("{{{name}}}"),
                value.filter(|value| !value.is_empty()),
            )
        })
        .collect();
    context.log.debug("substitutions:");
    for (name, value) in &values {
        let shown = value.as_deref().unwrap_or("None");
        context.log.debug(format!("- {name}: {shown}"));
    }
    let commands = substitute(&overlay.commands, &values);
    context.log.info("Parsed boot commands:");
    for command in &commands {
        context.log.info(format!("- {command}"));
    }
    let commands = if overlay.as_script {
        script(step, &commands, &values, context)?
    } else {
        commands
    };
    context.namespace(&step.action.namespace).boot_commands = commands;
    let addresses = overlay.addresses.iter();
    Ok(addresses
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect())
}

/// What stands for a placeholder; `None` leaves out the lines that need it.
fn value(step: &StepRun<'_>, placeholder: &Placeholder, context: &Context) -> Option<String> {
    let namespace = &step.action.namespace;
    let state = context.namespaces.get(namespace);
    match placeholder {
        Placeholder::Text(text) => Some(text.clone()),
        Placeholder::Nothing => None,
        Placeholder::File(label) => context.boot_files.path_of(state?.files.get(label)?),
        Placeholder::ExtraFiles => {
            let directory = state?.deploy.as_ref()?.join("extra_files");
            context.boot_files.path_of(&directory)
        }
        Placeholder::TftpPort => Some(context.boot_files.port().to_string()),
        Placeholder::HttpPort => Some(context.boot_files.http_port()?.to_string()),
        Placeholder::NbdPort => Some(context.boot_files.nbd_port(namespace)?.to_string()),
    }
}

/// Replaces placeholders one after the other, as LAVA 2026.07 does: a line that holds one without
/// a value is left out, and braces of others stay.
fn substitute(commands: &[String], values: &[(String, Option<String>)]) -> Vec<String> {
    let filled = commands.iter().filter_map(|command| {
        let mut line = command.clone();
        for (name, value) in values {
            if line.contains(name.as_str()) {
                line = line.replace(name.as_str(), value.as_deref()?);
            }
        }
        Some(line)
    });
    filled.collect()
}

/// Writes the commands as a script of iPXE's, and gives the commands that fetch it.
fn script(
    step: &StepRun<'_>,
    commands: &[String],
    values: &[(String, Option<String>)],
    context: &mut Context,
) -> Result<Vec<String>, Fault> {
    let state = context.namespace(&step.action.namespace);
    let path = state
        .deploy
        .as_ref()
        .map(|deploy| deploy.join("script.ipxe"));
    let served = path
        .as_ref()
        .and_then(|path| context.boot_files.path_of(path));
    let (Some(path), Some(served)) = (path, served) else {
        return Err(Fault::job(
            "use_bootscript needs files that are served: deploy to tftp first",
        ));
    };
    let text = format!("#!ipxe\n\n{}\n", commands.join("\n"));
    fs::write(&path, text).map_err(|error| crate::run::fault::of_io(&error))?;
    let server = values.iter().find(|(name, _)| name == "{SERVER_IP}");
    let server = server
        .and_then(|(_, value)| value.clone())
        .unwrap_or_default();
    Ok(vec![
        "dhcp net0".to_owned(),
        format!("chain tftp://{server}/{served}"),
    ])
}

/// `bootloader-interrupt`
pub async fn interrupt(
    step: &StepRun<'_>,
    interrupt: &BootloaderInterrupt,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    context
        .consoles
        .set_character_delay(namespace, interrupt.character_delay);
    context.consoles.watch_boot(namespace);
    context.boot_files.begin_boot();
    let Some(message) = interrupt.interrupt_prompt.as_deref() else {
        let expected = [interrupt.prompt.as_str()];
        wait_for(step, &compile(&expected)?, &expected, context).await?;
        context.namespace(namespace).at_bootloader_prompt = true;
        return Ok(Extra::new());
    };
    let expected = [message];
    wait_for(step, &compile(&expected)?, &expected, context).await?;
    match &interrupt.keys {
        Keys::Line(text) => context.consoles.send_line(namespace, text).await?,
        Keys::Text(text) => context.consoles.send(namespace, text.as_bytes()).await?,
        Keys::Control(letters) => {
            for letter in letters {
                context
                    .log
                    .debug(format!("Sending control character: {letter}"));
                // Control takes the two highest of an ASCII letter's seven bits away.
                let code = u8::try_from(*letter).unwrap_or_default() & 0x1f;
                context.consoles.send(namespace, &[code]).await?;
            }
        }
    }
    Ok(Extra::new())
}

/// `bootloader-commands`
pub async fn commands(
    step: &StepRun<'_>,
    commands: &BootloaderCommands,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    context
        .consoles
        .set_character_delay(namespace, commands.character_delay);
    let prompt = [commands.prompt.as_str()];
    if !std::mem::take(&mut context.namespace(namespace).at_bootloader_prompt) {
        wait_for(step, &compile(&prompt)?, &prompt, context).await?;
    }
    let mut expected = prompt.to_vec();
    expected.extend(commands.error_messages.iter().map(String::as_str));
    let patterns = compile(&expected)?;
    let to_type = context
        .namespace(&step.action.namespace)
        .boot_commands
        .clone();
    for (index, command) in to_type.iter().enumerate() {
        if index > 0 {
            answered(step, &patterns, &expected, context).await?;
        }
        // A boot loader that is interrupted by more than one key prompts more than once. Whoever
        // takes the second prompt for the end of a command types into the next one, and boot
        // loaders throw away what is typed while they load: only behind its echo a prompt counts.
        context.consoles.forget_pending(namespace);
        context.consoles.send_line(namespace, command).await?;
        echoed(step, command, &expected[1..], context).await?;
    }
    if let Some(message) = &commands.final_message {
        expected[0] = message;
        answered(step, &compile(&expected)?, &expected, context).await?;
    }
    Ok(Extra::new())
}

/// A pattern for the beginning of a command as it comes back: some loaders (GRUB, the UEFI shell)
/// move the cursor or break the line after each character.
fn echo_of(command: &str) -> String {
    let characters = command.trim().chars().take(ECHO_LENGTH);
    let escaped: Vec<_> = characters
        .map(|character| regex::escape(character.encode_utf8(&mut [0; 4])))
        .collect();
    escaped.join(r"(?:\x1b\[[0-9;?]*[A-Za-z]|[\r\n\x08])*")
}

/// Waits for the echo of a command, not for long: a damaged console or one without echo goes on
/// with the next prompt that comes.
async fn echoed(
    step: &StepRun<'_>,
    command: &str,
    errors: &[&str],
    context: &mut Context,
) -> Result<(), Fault> {
    let echo = echo_of(command);
    if echo.is_empty() {
        return Ok(());
    }
    let mut expected = vec![echo.as_str()];
    expected.extend(errors);
    let patterns = compile(&expected)?;
    let wait = Wait {
        patterns: &patterns,
        what: format!("the echo of '{command}'"),
        until: Some(Instant::now() + ECHO_WITHIN),
    };
    let namespace = step.console_namespace();
    match context.consoles.wait(namespace, wait).await {
        Ok(found) if found.index > 0 => Err(failed(step, &expected, &found)),
        Err(fault) if fault.timed_out_after.is_none() => Err(fault),
        Err(_) => {
            context.log.debug(format!("No echo of '{command}'"));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Waits for the first of `expected`; the others mean that a command failed.
async fn answered(
    step: &StepRun<'_>,
    patterns: &PatternSet,
    expected: &[&str],
    context: &mut Context,
) -> Result<(), Fault> {
    let found = wait_for(step, patterns, expected, context).await?;
    if found.index == 0 {
        return Ok(());
    }
    Err(failed(step, expected, &found))
}

/// A command failed, as the boot loader says.
pub(super) fn failed(step: &StepRun<'_>, expected: &[&str], found: &Found) -> Fault {
    Fault::infrastructure(format!(
        "{} {REFUSED}: '{}' ({})",
        step.action.name, expected[found.index], found.index
    ))
}

/// Waits while boot files are fetched, which the log tells.
async fn wait_for(
    step: &StepRun<'_>,
    patterns: &PatternSet,
    expected: &[&str],
    context: &mut Context,
) -> Result<Found, Fault> {
    step.log_wait(expected, context);
    let wait: Wait<'_> = step.wait(patterns, expected);
    context
        .wait_while_serving(step.console_namespace(), wait)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_may_move_the_cursor() {
        let patterns = compile(&[echo_of("net_bootp (a) and more").as_str()]).unwrap();
        let mut matcher = crate::expect::Matcher::new();
        let echoed = "net_bootp (a"
            .chars()
            .map(|character| format!("{character}\x1b[12G\r\n"));
        matcher.push(echoed.collect::<String>().as_bytes());
        assert!(matcher.find(&patterns).unwrap().is_some());
        matcher.push(b"net_bot");
        assert!(matcher.find(&patterns).unwrap().is_none());
    }

    #[test]
    fn lines_without_a_value_are_left_out_and_unknown_braces_stay() {
        let commands = [
            "tftp {KERNEL_ADDR} {KERNEL}",
            "tftp {TEE_ADDR} {TEE}",
            "setenv initrd_size ${filesize} {UNKNOWN}",
        ]
        .map(str::to_owned);
        let values = [
            ("{KERNEL_ADDR}", Some("0x1")),
            ("{KERNEL}", Some("7/Image")),
            ("{TEE_ADDR}", Some("0x2")),
            ("{TEE}", None),
        ]
        .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(
            substitute(&commands, &values),
            [
                "tftp 0x1 7/Image",
                "setenv initrd_size ${filesize} {UNKNOWN}"
            ]
        );
    }
}
