//! GPIO lines of the Linux character device: relays on a header, power and reset buttons.
//!
//! `address` in the lab file is the chip (`/dev/gpiochip0`, or its label), an outlet a line's
//! number or name.
//!
//! **The kernel keeps a line's value only while somebody holds it.** What a line does when its
//! holder lets go is the business of the chip's driver: many keep the level, some make it an
//! input, and then a relay falls off. Therefore the driver holds each line from the first request
//! on for as long as the PDU is open: the power daemon holds it forever, a `pumice power on` that
//! ends does not. Other users of a held line get "busy", which names the holder.
//!
//! The state that is read is what the line really carries, also of a line that nobody set yet; a
//! line shorted to ground says so. A button has no state unless a second line (`sense`) shows
//! the board's power.

use crate::{
    blocking, device,
    error::{ErrorKind, HalError, kind_of, reason},
    lab::{PduConfig, REQUEST_TIMEOUT},
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
};
use async_trait::async_trait;
use gpiocdev::{
    Request,
    chip::Chip,
    line::{Bias, Drive, Offset, Value},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// The family.
pub(super) static GPIO: Family = Family {
    name: "gpio",
    description: "lines of a GPIO chip, by the Linux character device",
    table: include_str!("../tables/gpio.toml"),
    parse: |row| {
        let row: Row = row
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        Ok(Arc::new(row))
    },
};

/// The longest press of a button.
const LONGEST_PRESS: Duration = Duration::from_secs(60);

/// How a line means on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// The line is held at its value.
    Hold,
    /// The line is a power button, pressed for a while.
    Button,
    /// The line is a reset button.
    Reset,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Options {
    active_low: bool,
    open_drain: bool,
    pull: Option<Pull>,
    /// Milliseconds that a press to switch on takes.
    press_on: u64,
    /// Milliseconds that a press to switch off takes: PCs switch off after four seconds.
    press_off: u64,
    /// The line that shows whether the board has power.
    sense: Option<String>,
    sense_active_low: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            active_low: false,
            open_drain: false,
            pull: None,
            press_on: 500,
            press_off: 5000,
            sense: None,
            sense_active_low: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Pull {
    Up,
    Down,
    Off,
}

impl Open for Row {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let options: Options = config.options()?;
        let longest = Duration::from_millis(options.press_on.max(options.press_off));
        if longest > LONGEST_PRESS {
            return Err(config.invalid("a press is 60000 ms at most"));
        }
        if let Some(sense) = &options.sense {
            sense.parse::<Outlet>()?;
        }
        let timeout = REQUEST_TIMEOUT.max(longest + Duration::from_secs(2));
        Ok(Box::new(GpioPdu {
            name: config.name.clone(),
            timeout: config.timeout.unwrap_or(timeout),
            mode: self.mode,
            lines: Arc::new(Lines {
                pdu: config.name.clone(),
                chip: config.address()?.to_owned(),
                options,
                held: Mutex::default(),
            }),
        }))
    }

    fn reads_back(&self) -> bool {
        self.mode == Mode::Hold
    }
}

/// A chip.
struct GpioPdu {
    name: String,
    timeout: Duration,
    mode: Mode,
    lines: Arc<Lines>,
}

/// The lines of a chip that we hold.
struct Lines {
    pdu: String,
    chip: String,
    options: Options,
    held: Mutex<BTreeMap<Offset, Request>>,
}

impl GpioPdu {
    async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Lines) -> Result<T, HalError> + Send + 'static,
    ) -> Result<T, HalError> {
        let deadline = deadline.min(Instant::now() + self.timeout);
        let lines = self.lines.clone();
        blocking::run(&format!("PDU '{}'", self.name), deadline, move || {
            work(&lines)
        })
        .await
    }

    async fn set(&self, line: &Outlet, active: bool, deadline: Instant) -> Result<(), HalError> {
        let line = line.clone();
        self.run(deadline, move |lines| lines.set(line.as_str(), active))
            .await
    }

    /// Presses a button for so many milliseconds. One that does not fit before the deadline is not
    /// begun: half a press is another press.
    async fn press(&self, outlet: &Outlet, long: u64, deadline: Instant) -> Result<(), HalError> {
        let until = Instant::now() + Duration::from_millis(long);
        if until > deadline {
            let name = &self.name;
            let message = format!("PDU '{name}': no time is left to press {outlet} for {long} ms");
            return Err(HalError::new(ErrorKind::Timeout, name, message));
        }
        let mut press = Press {
            lines: self.lines.clone(),
            line: Some(outlet.clone()),
        };
        self.set(outlet, true, deadline).await?;
        sleep_until(until).await;
        self.set(outlet, false, until + REQUEST_TIMEOUT).await?;
        press.line = None;
        Ok(())
    }

    fn only_resets(&self) -> HalError {
        let name = &self.name;
        let message = format!("PDU '{name}' is a reset button: it switches nothing on or off");
        HalError::new(ErrorKind::Unsupported, name, message)
    }
}

#[async_trait]
impl Pdu for GpioPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        match self.mode {
            Mode::Hold => self.set(outlet, to == PowerState::On, deadline).await,
            Mode::Reset => Err(self.only_resets()),
            Mode::Button => {
                // A press would toggle what is already right.
                if self.read(outlet, deadline).await? == Some(to) {
                    return Ok(());
                }
                let options = &self.lines.options;
                let press = match to {
                    PowerState::On => options.press_on,
                    PowerState::Off => options.press_off,
                };
                self.press(outlet, press, deadline).await
            }
        }
    }

    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        if self.mode != Mode::Reset {
            return Ok(false);
        }
        let press = self.lines.options.press_on;
        self.press(outlet, press, deadline).await?;
        Ok(true)
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let (line, mode) = (outlet.clone(), self.mode);
        let active = self.run(deadline, move |lines| match (mode, &lines.options.sense) {
            (Mode::Hold, _) => lines.get(line.as_str()).map(Some),
            (_, None) => Ok(None),
            (_, Some(sense)) => lines.sense(sense).map(Some),
        });
        Ok(active.await?.map(|active| {
            if active {
                PowerState::On
            } else {
                PowerState::Off
            }
        }))
    }
}

/// A button that is down: it is let go when the future of the press is dropped.
struct Press {
    lines: Arc<Lines>,
    line: Option<Outlet>,
}

impl Drop for Press {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            // One ioctl, which does not block.
            let _ = self.lines.set(line.as_str(), false);
        }
    }
}

impl Lines {
    /// Drives a line, and holds it from now on.
    fn set(&self, line: &str, active: bool) -> Result<(), HalError> {
        let value = if active {
            Value::Active
        } else {
            Value::Inactive
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (chip, offset) = self.find(line)?;
        if let Some(request) = held.get(&offset) {
            let set = request.set_value(offset, value);
            return set
                .map(drop)
                .map_err(|error| self.error("set", line, &error));
        }
        let mut builder = Request::builder();
        builder
            .on_chip(chip.path())
            .with_consumer("pumice")
            .with_line(offset);
        builder.as_output(value);
        self.electrics(&mut builder);
        let request = builder
            .request()
            .map_err(|error| self.refused(&chip, offset, line, &error))?;
        held.insert(offset, request);
        Ok(())
    }

    /// What a line carries. One that we do not hold is looked at without changing it.
    fn get(&self, line: &str) -> Result<bool, HalError> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (chip, offset) = self.find(line)?;
        if let Some(request) = held.get(&offset) {
            let value = request.value(offset);
            return value
                .map(is_active)
                .map_err(|error| self.error("read", line, &error));
        }
        self.look(&chip, offset, line, self.options.active_low)
    }

    fn sense(&self, line: &str) -> Result<bool, HalError> {
        let (chip, offset) = self.find(line)?;
        self.look(&chip, offset, line, self.options.sense_active_low)
    }

    fn look(
        &self,
        chip: &Chip,
        offset: Offset,
        line: &str,
        active_low: bool,
    ) -> Result<bool, HalError> {
        let mut builder = Request::builder();
        builder
            .on_chip(chip.path())
            .with_consumer("pumice")
            .with_line(offset)
            .as_is();
        if active_low {
            builder.as_active_low();
        }
        let request = builder
            .request()
            .map_err(|error| self.refused(chip, offset, line, &error))?;
        let value = request.value(offset);
        value
            .map(is_active)
            .map_err(|error| self.error("read", line, &error))
    }

    fn electrics(&self, builder: &mut gpiocdev::request::Builder) {
        if self.options.active_low {
            builder.as_active_low();
        }
        if self.options.open_drain {
            builder.with_drive(Drive::OpenDrain);
        }
        if let Some(pull) = self.options.pull {
            builder.with_bias(match pull {
                Pull::Up => Bias::PullUp,
                Pull::Down => Bias::PullDown,
                Pull::Off => Bias::Disabled,
            });
        }
    }

    /// The chip and the number of a line, by its number or name.
    fn find(&self, line: &str) -> Result<(Chip, Offset), HalError> {
        let chip = self.open_chip()?;
        let info = chip
            .info()
            .map_err(|error| self.error("ask", line, &error))?;
        let offset = match line.parse() {
            Ok(offset) => (offset < info.num_lines).then_some(offset),
            Err(_) => chip.find_line_info(line).map(|info| info.offset),
        };
        match offset {
            Some(offset) => Ok((chip, offset)),
            None => {
                let (pdu, chip) = (&self.pdu, &self.chip);
                let message = format!("PDU '{pdu}': {chip} has no line '{line}'");
                let last = info.num_lines.saturating_sub(1);
                Err(HalError::new(ErrorKind::InvalidInput, pdu, message)
                    .with_hint(format!("its lines are 0 to {last}, or names: see gpioinfo")))
            }
        }
    }

    fn open_chip(&self) -> Result<Chip, HalError> {
        let path = if self.chip.starts_with('/') {
            PathBuf::from(&self.chip)
        } else {
            self.chip_by_label()?
        };
        // For the hint about the group, which the crate's error has not.
        drop(device::open_device(&path)?);
        Chip::from_path(&path).map_err(|error| self.error("open", &self.chip, &error))
    }

    fn chip_by_label(&self) -> Result<PathBuf, HalError> {
        let mut found = Vec::new();
        for path in gpiocdev::chip::chips().unwrap_or_default() {
            let info = Chip::from_path(&path).and_then(|chip| chip.info());
            if info.is_ok_and(|info| info.label == self.chip || info.name == self.chip) {
                found.push(path);
            }
        }
        let (pdu, chip) = (&self.pdu, &self.chip);
        match (found.pop(), found.is_empty()) {
            (Some(path), true) => Ok(path),
            (None, _) => Err(HalError::new(
                ErrorKind::NotFound,
                pdu,
                format!("PDU '{pdu}': no GPIO chip is called '{chip}'"),
            )
            .with_hint("gpiodetect lists the chips; is this user in their group?")),
            (Some(_), false) => Err(HalError::new(
                ErrorKind::InvalidInput,
                pdu,
                format!("PDU '{pdu}': several GPIO chips are called '{chip}'"),
            )
            .with_hint("say which by its node: address = \"/dev/gpiochip0\"")),
        }
    }

    /// The error of a line that is not to be had: with its holder, where there is one.
    fn refused(
        &self,
        chip: &Chip,
        offset: Offset,
        line: &str,
        error: &gpiocdev::Error,
    ) -> HalError {
        let error = self.error("request", line, error);
        let holder = chip.line_info(offset).ok().filter(|info| info.used);
        match (error.kind(), holder) {
            (ErrorKind::Busy, Some(info)) => {
                error.with_hint(format!("it is held by '{}'", info.consumer.escape_debug()))
            }
            _ => error,
        }
    }

    fn error(&self, doing: &str, line: &str, error: &gpiocdev::Error) -> HalError {
        let (pdu, chip) = (&self.pdu, &self.chip);
        let errno = match error {
            gpiocdev::Error::Os(errno)
            | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno)) => Some(errno.0),
            _ => None,
        };
        let (kind, why) = match errno.map(std::io::Error::from_raw_os_error) {
            Some(error) => (kind_of(&error), reason(&error)),
            None => (ErrorKind::Other, error.to_string()),
        };
        let message = format!("PDU '{pdu}': cannot {doing} line '{line}' of {chip}: {why}");
        HalError::new(kind, pdu, message)
    }
}

fn is_active(value: Value) -> bool {
    value == Value::Active
}

#[cfg(test)]
mod tests;
