//! Power through the commands of the device dictionary.

use super::{PowerAction, PowerControl};
use crate::{
    console::EpochCounter,
    error::{ErrorKind, HalError},
    process::{Command, CommandLine, Exit, Leftovers},
};
use async_trait::async_trait;
use std::fmt;
use tokio::time::Instant;

/// The commands of one device: `power_on`, `power_off` and `hard_reset` of a LAVA device, each a
/// list that is run in order. An empty list: the device has no such control.
#[derive(Clone, Debug, Default)]
pub struct PowerCommands {
    /// To switch on.
    pub on: Vec<CommandLine>,
    /// To switch off.
    pub off: Vec<CommandLine>,
    /// To reset.
    pub reset: Vec<CommandLine>,
}

/// What a command of the list does, to be logged.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandEvent<'a> {
    /// It is about to start.
    Started(&'a CommandLine),
    /// It printed a line.
    Line(&'a [u8]),
    /// It ended.
    Ended(&'a Exit),
}

/// Power through commands that run on this host.
///
/// No shell is involved. Processes the commands leave behind run on: a command may start a
/// daemon. Each `On` and `Reset` begins a new epoch, before the first command runs, so that the
/// first words of the board are in it.
pub struct CommandPower {
    device: String,
    commands: PowerCommands,
    environment: Vec<(String, String)>,
    epoch: EpochCounter,
    log: Box<dyn FnMut(CommandEvent<'_>) + Send>,
}

impl CommandPower {
    /// Power of the device called `device`. `environment` is added to the commands' (LAVA gives
    /// them `LAVA_JOB_ID` and the job's secrets); `log` hears what they do.
    pub fn new(
        device: impl Into<String>,
        commands: PowerCommands,
        environment: Vec<(String, String)>,
        epoch: EpochCounter,
        log: impl FnMut(CommandEvent<'_>) + Send + 'static,
    ) -> Self {
        Self {
            device: device.into(),
            commands,
            environment,
            epoch,
            log: Box::new(log),
        }
    }

    fn list(&self, action: PowerAction) -> &[CommandLine] {
        match action {
            PowerAction::On => &self.commands.on,
            PowerAction::Off => &self.commands.off,
            PowerAction::Reset => &self.commands.reset,
        }
    }

    fn unsupported(&self, action: PowerAction) -> HalError {
        let (device, key) = (&self.device, key(action));
        let message = format!("device '{device}' has no command to {action}");
        HalError::new(ErrorKind::Unsupported, device, message)
            .with_hint(format!("set commands: {key} in the device dictionary"))
    }

    async fn run(&mut self, line: CommandLine, deadline: Instant) -> Result<(), HalError> {
        let log = &mut self.log;
        log(CommandEvent::Started(&line));
        let variables = self.environment.iter().map(|(name, value)| (name, value));
        let command = Command::new(line)
            .envs(variables)
            .leftovers(Leftovers::Leave);
        let exit = command
            .run(deadline, |line| log(CommandEvent::Line(line)))
            .await?;
        log(CommandEvent::Ended(&exit));
        if exit.success() {
            Ok(())
        } else {
            Err(command.failure(&exit))
        }
    }
}

#[async_trait]
impl PowerControl for CommandPower {
    async fn set(&mut self, action: PowerAction, deadline: Instant) -> Result<(), HalError> {
        let lines = self.list(action).to_vec();
        if lines.is_empty() {
            return Err(self.unsupported(action));
        }
        if action != PowerAction::Off {
            self.epoch.advance();
        }
        for line in lines {
            self.run(line, deadline).await?;
        }
        Ok(())
    }

    fn supports(&self, action: PowerAction) -> bool {
        !self.list(action).is_empty()
    }
}

impl fmt::Debug for CommandPower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.debug_struct("CommandPower")
            .field("device", &self.device)
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

/// LAVA's name of the list in the device dictionary.
fn key(action: PowerAction) -> &'static str {
    match action {
        PowerAction::On => "power_on",
        PowerAction::Off => "power_off",
        PowerAction::Reset => "hard_reset",
    }
}
