//! Boot method `qemu`: the virtual machine is the board, its serial line the console.

use super::connect;
use crate::{
    actions::StepRun,
    run::{Context, Extra},
};
use hal::process::CommandLine;
use job::Fault;
use plan::step::ExecuteQemu;

/// Starts QEMU.
pub fn start(
    step: &StepRun<'_>,
    qemu: &ExecuteQemu,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let line = command_line(step, qemu, context)?;
    let command = CommandLine::parse(&line)
        .map_err(|error| Fault::job(error.to_string()).with_command(&line))?;
    context.log.info(format!("Boot command: {line}"));
    connect::open(step, &command, &line, context)?;
    context.log.debug("started a shell command");
    Ok(Extra::from_iter([
        (
            "host_arch".to_owned(),
            debian_architecture(std::env::consts::ARCH).into(),
        ),
        ("job_arch".to_owned(), qemu.architecture.clone().into()),
    ]))
}

/// The command line as one text: LAVA's users write arguments with quotes, so each option is a
/// piece of a command line and may hold several words.
fn command_line(
    step: &StepRun<'_>,
    qemu: &ExecuteQemu,
    context: &mut Context,
) -> Result<String, Fault> {
    let state = context.namespace(&step.action.namespace);
    let mut parts = vec![qemu.command.clone()];
    parts.extend(qemu.options.iter().cloned());
    for (_, argument) in &qemu.images {
        let mut argument = argument.clone();
        for (label, path) in &state.files {
            argument = argument.replace(&format!("{{{label}}}"), &path.display().to_string());
        }
        parts.push(argument);
    }
    if let (Some(drive), Some(guest)) = (&qemu.guest, &state.guest) {
        parts.push(format!(
            "-drive format=raw,file={},media=disk,if={},id={}",
            guest.path.display(),
            drive.interface,
            drive.drive_id
        ));
    }
    Ok(parts.join(" "))
}

fn debian_architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "x86" => "i386",
        "aarch64" => "arm64",
        "arm" => "armhf",
        other => other,
    }
}
