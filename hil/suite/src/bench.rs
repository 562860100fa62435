//! A board on the bench: its console and its power.

use crate::config::Target;
use hal::{
    ErrorKind, HalError,
    console::{Console, ConsoleExt, Epoch, EpochCounter},
    lab::Lab,
    power::{PowerAction, PowerControl, PowerState},
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a board may take from power to its firmware's prompt.
pub(crate) const BOOT_WITHIN: Duration = Duration::from_secs(60);

/// How long a request to a PDU may take.
const SWITCH_WITHIN: Duration = Duration::from_secs(30);

/// The most that a board may print before what is waited for.
const MUCH: usize = 1 << 20;

/// A board: its console and its power, with the epoch they share.
pub struct Bench {
    console: Box<dyn Console>,
    power: Box<dyn PowerControl>,
    target: Target,
}

impl Bench {
    /// Opens a board of `lab`. Does not switch it.
    ///
    /// # Errors
    /// When it has no console or no power, or they cannot be opened.
    pub async fn open(lab: &Lab, name: &str, target: &Target) -> Result<Self, HalError> {
        let Some(console) = &lab.board(name)?.console else {
            let message = format!("board '{name}' has no console");
            return Err(HalError::new(ErrorKind::Unsupported, name, message));
        };
        let epoch = EpochCounter::default();
        let deadline = Instant::now() + SWITCH_WITHIN;
        Ok(Self {
            console: console.open(epoch.clone(), deadline).await?,
            power: lab.power(name, epoch)?,
            target: target.clone(),
        })
    }

    /// What its firmware says.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its console.
    pub fn console(&mut self) -> &mut dyn Console {
        &mut *self.console
    }

    /// Switches it.
    ///
    /// # Errors
    /// What the power control says.
    pub async fn power(&mut self, action: PowerAction) -> Result<(), String> {
        let deadline = Instant::now() + SWITCH_WITHIN;
        self.power
            .set(action, deadline)
            .await
            .map_err(|error| describe(&error))
    }

    /// Whether it has power, as the hardware says.
    ///
    /// # Errors
    /// What the power control says.
    pub async fn state(&mut self) -> Result<Option<PowerState>, String> {
        let deadline = Instant::now() + SWITCH_WITHIN;
        self.power
            .state(deadline)
            .await
            .map_err(|error| describe(&error))
    }

    /// Switches it off.
    pub(crate) async fn switch_off(&mut self) -> Result<(), String> {
        self.power(PowerAction::Off).await
    }

    /// Stops its firmware, which was just started, and gives the epoch of the prompt.
    ///
    /// # Errors
    /// What was waited for and what came instead.
    pub async fn interrupt(&mut self) -> Result<Epoch, String> {
        let Target {
            interrupt,
            key,
            prompt,
        } = self.target.clone();
        self.read_until(&interrupt).await?;
        self.say(&key).await?;
        Ok(self.read_until(&prompt).await?.1)
    }

    /// Types.
    ///
    /// # Errors
    /// What the console says.
    pub async fn say(&mut self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + SWITCH_WITHIN;
        let typed = self.console.write_all(text.as_bytes(), deadline).await;
        typed.map_err(|error| describe(&error))
    }

    /// Reads until `text` came, and gives what was read and the epoch of its end.
    ///
    /// # Errors
    /// What came instead.
    pub async fn read_until(&mut self, text: &str) -> Result<(String, Epoch), String> {
        let deadline = Instant::now() + BOOT_WITHIN;
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 4096]);
        loop {
            let read = timeout_at(deadline, self.console.read(&mut buffer)).await;
            let missing = |what: &str| {
                let end = String::from_utf8_lossy(&seen[seen.len().saturating_sub(200)..]);
                format!("{what} before {text:?}; its last words: {end:?}")
            };
            let chunk = match read {
                Err(_) => return Err(missing("silence")),
                Ok(Err(error)) => return Err(describe(&error)),
                Ok(Ok(chunk)) if chunk.is_end() => return Err(missing("the end")),
                Ok(Ok(_)) if seen.len() > MUCH => return Err(missing("a flood")),
                Ok(Ok(chunk)) => chunk,
            };
            // What is looked for may be cut by the ends of reads.
            let from = seen.len().saturating_sub(text.len());
            seen.extend_from_slice(&buffer[..chunk.length]);
            let found = seen[from..]
                .windows(text.len())
                .any(|window| window == text.as_bytes());
            if found {
                return Ok((String::from_utf8_lossy(&seen).into_owned(), chunk.epoch));
            }
        }
    }

    /// What comes within `time`.
    ///
    /// # Errors
    /// What the console says.
    pub async fn read_for(&mut self, time: Duration) -> Result<String, String> {
        let deadline = Instant::now() + time;
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 4096]);
        while let Ok(read) = timeout_at(deadline, self.console.read(&mut buffer)).await {
            let chunk = read.map_err(|error| describe(&error))?;
            if chunk.is_end() {
                break;
            }
            seen.extend_from_slice(&buffer[..chunk.length]);
        }
        Ok(String::from_utf8_lossy(&seen).into_owned())
    }
}

fn describe(error: &HalError) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}
