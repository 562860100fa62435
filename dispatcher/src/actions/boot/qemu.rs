//! Boot method `qemu`: the virtual machine is the board, its serial line the console.

use super::connect;
use crate::{
    actions::StepRun,
    run::{Context, Extra, NamespaceState, context},
};
use hal::process::CommandLine;
use job::{Fault, FaultClass};
use plan::step::ExecuteQemu;

/// Starts QEMU.
pub fn start(
    step: &StepRun<'_>,
    qemu: &ExecuteQemu,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let command = command_line(qemu, context.namespace(&step.action.namespace))?;
    context.log.info(format!("Boot command: {command}"));
    connect::open(step, &command, &command.to_string(), context)?;
    context.log.debug("started a shell command");
    Ok(Extra::from_iter([
        (
            "host_arch".to_owned(),
            debian_architecture(std::env::consts::ARCH).into(),
        ),
        ("job_arch".to_owned(), qemu.architecture.clone().into()),
    ]))
}

/// The command line. Each option is a piece of one and may hold several words, quoted as LAVA's
/// users write them; the files are put in after that, so their paths may hold anything.
fn command_line(qemu: &ExecuteQemu, state: &NamespaceState) -> Result<CommandLine, Fault> {
    let mut words = Vec::new();
    for option in std::iter::once(&qemu.command).chain(&qemu.options) {
        words.extend(context::words(option)?);
    }
    for (_, argument) in &qemu.images {
        let pieces = context::words(argument).map_err(|fault| Fault {
            class: FaultClass::Job,
            ..fault
        })?;
        words.extend(pieces.into_iter().map(|word| {
            state.files.iter().fold(word, |word, (label, path)| {
                word.replace(&format!("{{{label}}}"), &path.display().to_string())
            })
        }));
    }
    if let (Some(drive), Some(guest)) = (&qemu.guest, &state.guest) {
        // A comma ends a value of -drive; two stand for one.
        let file = guest.path.display().to_string().replace(',', ",,");
        words.push("-drive".to_owned());
        words.push(format!(
            "format=raw,file={file},media=disk,if={},id={}",
            drive.interface, drive.drive_id
        ));
    }
    CommandLine::from_words(words).ok_or_else(|| Fault::configuration("the device names no QEMU"))
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
