//! Finds boards: in the lab file, or in the device dictionary that the user names.

use crate::{
    cli::{LabArguments, LabDeviceArguments},
    exit::{Exit, Stop},
    input, message,
};
use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::Lab,
    power::{CommandEvent, CommandPower, PowerCommands, PowerControl},
    process::CommandLine,
};
use job::{Device, device::Commands};
use std::path::{Path, PathBuf};

/// Where the lab file is when nobody says.
const OF_THE_HOST: &str = "/etc/pumice/lab.toml";

/// Power of something that the user named.
pub(crate) struct Powered {
    /// As the user named it.
    pub(crate) name: String,
    /// The board, when it is one: it may be held by a job.
    pub(crate) board: Option<String>,
    /// Its power.
    pub(crate) power: Box<dyn PowerControl>,
}

/// The lab, read from its file.
pub(crate) fn read(arguments: &LabArguments) -> Result<Lab, Stop> {
    let path = find(arguments).ok_or_else(|| {
        let user = of_the_user().unwrap_or_default();
        let text = format!(
            "there is no lab file: neither {OF_THE_HOST} nor {}\nhint: name one by --lab FILE or \
             PUMICE_LAB; docs/power-daemon.md shows what is in it",
            user.display()
        );
        Stop::bad_definition(text)
    })?;
    Lab::from_file(&path).map_err(|error| bad(&error))
}

/// The lab, or `None` when there is no lab file and none was asked for.
pub(crate) fn read_if_any(arguments: &LabArguments) -> Result<Option<Lab>, Stop> {
    if find(arguments).is_none() {
        return Ok(None);
    }
    read(arguments).map(Some)
}

fn find(arguments: &LabArguments) -> Option<PathBuf> {
    let exists = |path: &PathBuf| path.exists();
    let named = arguments.lab.clone();
    named
        .or_else(|| Some(PathBuf::from(OF_THE_HOST)).filter(exists))
        .or_else(|| of_the_user().filter(exists))
}

fn of_the_user() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&variable("HOME")?).join(".config")));
    base.map(|base| base.join("pumice/lab.toml"))
}

/// The power of what the user named.
pub(crate) fn powered(
    place: &LabDeviceArguments,
    targets: &[String],
) -> Result<Vec<Powered>, Stop> {
    if let Some(path) = &place.device {
        if !targets.is_empty() {
            let text = "name targets of the lab, or a device by --device, not both";
            return Err(Stop::bad_command_line(text));
        }
        let device = input::device_file(path, &place.device_types)?;
        let power = power_of(&device, EpochCounter::default())?;
        return Ok(vec![Powered {
            name: device.hostname.clone(),
            board: Some(device.hostname),
            power: Box::new(power),
        }]);
    }
    let lab = read(&place.lab)?;
    targets
        .iter()
        .map(|target| find_target(&lab, target))
        .collect()
}

/// A board comes first: its name may have a colon in it.
fn find_target(lab: &Lab, target: &str) -> Result<Powered, Stop> {
    let epoch = EpochCounter::default();
    let is_board = lab.boards().any(|board| board == target);
    match target.split_once(':') {
        Some((pdu, outlet)) if !is_board => {
            let power = lab
                .outlet(pdu, outlet, epoch)
                .map_err(|error| unknown(&error))?;
            let board = lab.boards().find(|board| {
                let power = lab.board(board).ok().and_then(|board| board.power.as_ref());
                power.is_some_and(|power| power.pdu == pdu && power.outlet == outlet)
            });
            Ok(Powered {
                name: target.to_owned(),
                board: board.map(str::to_owned),
                power: Box::new(power),
            })
        }
        _ => Ok(Powered {
            name: target.to_owned(),
            board: Some(target.to_owned()),
            power: lab.power(target, epoch).map_err(|error| unknown(&error))?,
        }),
    }
}

/// Power by the commands of a LAVA device, which are shown as they run.
pub(crate) fn power_of(device: &Device, epoch: EpochCounter) -> Result<CommandPower, Stop> {
    let commands = PowerCommands {
        on: lines(&device.commands, "power_on")?,
        off: lines(&device.commands, "power_off")?,
        reset: lines(&device.commands, "hard_reset")?,
    };
    let log = |event: CommandEvent<'_>| match event {
        CommandEvent::Started(line) => message::note(&format!("$ {line}")),
        CommandEvent::Line(line) => {
            message::note(&crate::table::harmless(&String::from_utf8_lossy(line)));
        }
        _ => {}
    };
    Ok(CommandPower::new(
        &device.hostname,
        commands,
        Vec::new(),
        epoch,
        log,
    ))
}

fn lines(commands: &Commands, key: &str) -> Result<Vec<CommandLine>, Stop> {
    let texts = commands.get(key).unwrap_or_default();
    let lines = texts.iter().map(|text| command_line(key, text));
    lines.collect()
}

/// A command of a device.
pub(crate) fn command_line(key: &str, text: &str) -> Result<CommandLine, Stop> {
    CommandLine::parse(text)
        .map_err(|error| Stop::bad_definition(format!("commands: {key}: {text}: {error}")))
}

/// The user named what is not there, or what cannot be named so.
pub(crate) fn unknown(error: &HalError) -> Stop {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidInput => Stop::bad_command_line(text(error)),
        _ => bad(error),
    }
}

/// The lab file is wrong.
pub(crate) fn bad(error: &HalError) -> Stop {
    Stop::bad_definition(text(error))
}

/// The hardware, or the way to it, failed.
pub(crate) fn failed(error: &HalError) -> Stop {
    Stop::new(exit_of(error), text(error))
}

/// The exit code of a failure of hardware.
pub(crate) fn exit_of(error: &HalError) -> Exit {
    match error.kind() {
        ErrorKind::Unsupported => Exit::BadDefinition,
        ErrorKind::InvalidInput => Exit::BadCommandLine,
        _ => Exit::InfrastructureFault,
    }
}

/// An error with its hint.
pub(crate) fn text(error: &HalError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}
