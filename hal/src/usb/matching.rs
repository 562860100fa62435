//! Which USB device is meant.

use super::{Sysfs, UsbDevice};
use crate::{
    blocking,
    error::{ErrorKind, HalError},
};
use std::{fmt, str::FromStr, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How often to look for a device that is expected: a look costs about a millisecond, and a
/// device takes hundreds to enumerate.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a device is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsbIdentity<'a> {
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// Its serial number.
    pub serial: Option<&'a str>,
    /// Where it is plugged in; unknown for a device that is not on the USB.
    pub path: Option<&'a str>,
}

/// Which USB device is meant: all that is said here has to be true of it.
///
/// As text: `id=04d8:f2f7,serial=YK20001,path=1-1.4`, any of the three; or a path or serial number
/// alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsbMatch {
    /// Vendor and product, one of these; any if empty.
    pub ids: Vec<(u16, u16)>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Where it is plugged in: "1-1.4".
    pub path: Option<String>,
}

impl UsbMatch {
    /// Whether `device` is meant.
    pub fn matches(&self, device: UsbIdentity<'_>) -> bool {
        self.matches_but_serial(device)
            && self
                .serial
                .as_deref()
                .is_none_or(|serial| device.serial == Some(serial))
    }

    /// Whether `device` is meant, if its serial number is right.
    pub fn matches_but_serial(&self, device: UsbIdentity<'_>) -> bool {
        let ids = (device.vendor, device.product);
        (self.ids.is_empty() || self.ids.contains(&ids))
            && self
                .path
                .as_deref()
                .is_none_or(|path| device.path == Some(path))
    }

    /// The same, for devices of `ids` only.
    #[must_use]
    pub fn with_ids(mut self, ids: &[(u16, u16)]) -> Self {
        if self.ids.is_empty() {
            self.ids = ids.to_vec();
        }
        self
    }

    /// The one device that is meant.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` with the paths of all that match when there are several, as with
    /// two boards of one serial number.
    pub fn find(&self, sysfs: &Sysfs) -> Result<UsbDevice, HalError> {
        let devices = sysfs.usb_devices()?;
        let found = devices
            .into_iter()
            .filter(|device| self.matches(device.identity()));
        self.only(found.collect(), |device| {
            (device.path.clone(), device.describe())
        })
    }

    /// The one of `found`; `describe` gives its path and words for people.
    pub(crate) fn only<D>(
        &self,
        mut found: Vec<D>,
        describe: impl Fn(&D) -> (String, String),
    ) -> Result<D, HalError> {
        match (found.pop(), found.last()) {
            (Some(device), None) => Ok(device),
            (Some(last), Some(_)) => {
                found.push(last);
                let (paths, words): (Vec<_>, Vec<_>) = found.iter().map(describe).unzip();
                let message = format!("{} devices match {self}: {}", found.len(), words.join(", "));
                Err(
                    HalError::new(ErrorKind::InvalidInput, self.to_string(), message).with_hint(
                        format!("say which by its path: path={}", paths.join(" or path=")),
                    ),
                )
            }
            (None, _) => Err(self.not_found()),
        }
    }

    pub(crate) fn not_found(&self) -> HalError {
        HalError::new(
            ErrorKind::NotFound,
            self.to_string(),
            format!("no USB device matches {self}"),
        )
        .with_hint("is it plugged in and powered? `pumice hal list` shows what is there")
    }

    /// Waits until exactly one device is meant and `ready` holds of it: after a board switched to
    /// another USB mode, or a mux to another side. Cancel-safe.
    ///
    /// # Errors
    /// `Timeout` with what was missing; the error of [`Self::find`] when several match.
    pub async fn wait_until<F>(
        &self,
        sysfs: &Sysfs,
        deadline: Instant,
        ready: F,
    ) -> Result<UsbDevice, HalError>
    where
        F: Fn(&UsbDevice) -> bool,
    {
        let begun = Instant::now();
        loop {
            let (this, tree) = (self.clone(), sysfs.clone());
            let found = blocking::run("/sys", deadline, move || this.find(&tree)).await;
            match found {
                Ok(device) if ready(&device) => return Ok(device),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                let waited = deadline.saturating_duration_since(begun);
                let message = format!("no USB device that matches {self} came within {waited:.1?}");
                return Err(HalError::new(ErrorKind::Timeout, self.to_string(), message)
                    .with_hint("the kernel's log says what was plugged in and out"));
            }
            sleep_until((Instant::now() + LOOK_EVERY).min(deadline)).await;
        }
    }

    /// Waits until the device is there. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn wait(&self, sysfs: &Sysfs, deadline: Instant) -> Result<UsbDevice, HalError> {
        self.wait_until(sysfs, deadline, |_| true).await
    }

    /// Waits until no device is meant any more. Cancel-safe.
    ///
    /// # Errors
    /// `Timeout` when it stays.
    pub async fn wait_gone(&self, sysfs: &Sysfs, deadline: Instant) -> Result<(), HalError> {
        loop {
            let (this, tree) = (self.clone(), sysfs.clone());
            let found = blocking::run("/sys", deadline, move || this.find(&tree)).await;
            match found {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                _ if Instant::now() >= deadline => {
                    let message = format!("the USB device that matches {self} is still there");
                    return Err(HalError::new(ErrorKind::Timeout, self.to_string(), message));
                }
                _ => sleep_until((Instant::now() + LOOK_EVERY).min(deadline)).await,
            }
        }
    }
}

impl fmt::Display for UsbMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self
            .ids
            .iter()
            .map(|(vendor, product)| format!("id={vendor:04x}:{product:04x}"));
        let ids = ids.collect::<Vec<_>>().join("|");
        let serial = self.serial.iter().map(|serial| format!("serial={serial}"));
        let path = self.path.iter().map(|path| format!("path={path}"));
        let ids = (!ids.is_empty()).then_some(ids);
        let parts: Vec<_> = ids.into_iter().chain(serial).chain(path).collect();
        if parts.is_empty() {
            f.write_str("anything")
        } else {
            f.write_str(&parts.join(","))
        }
    }
}

impl FromStr for UsbMatch {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        let mut wanted = Self::default();
        if !text.contains('=') {
            if is_path(text) {
                wanted.path = Some(text.to_owned());
            } else if is_serial(text) {
                wanted.serial = Some(text.to_owned());
            } else {
                return Err(malformed(text));
            }
            return Ok(wanted);
        }
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("id", ids)) => {
                    wanted.ids = vec![parse_id(ids).ok_or_else(|| malformed(text))?]
                }
                Some(("serial", serial)) if is_serial(serial) => {
                    wanted.serial = Some(serial.to_owned());
                }
                Some(("path", path)) if is_path(path) => wanted.path = Some(path.to_owned()),
                _ => return Err(malformed(text)),
            }
        }
        Ok(wanted)
    }
}

/// "04d8:f2f7".
pub(crate) fn parse_id(text: &str) -> Option<(u16, u16)> {
    let (vendor, product) = text.split_once(':')?;
    let part = |text: &str| match text.len() {
        4 => u16::from_str_radix(text, 16).ok(),
        _ => None,
    };
    Some((part(vendor)?, part(product)?))
}

/// Whether `text` is a path like "1-1.4" or "usb2".
fn is_path(text: &str) -> bool {
    let number = |text: &str| {
        (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some(bus) = text.strip_prefix("usb") {
        return number(bus);
    }
    text.split_once('-')
        .is_some_and(|(bus, ports)| number(bus) && ports.split('.').all(number))
}

fn is_serial(text: &str) -> bool {
    (1..=126).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c == ',')
}

fn malformed(text: &str) -> HalError {
    let shown: String = text.chars().take(80).collect();
    let shown = shown.escape_debug();
    let message = format!("'{shown}' does not say which USB device");
    HalError::new(ErrorKind::InvalidInput, "USB device", message)
        .with_hint("write id=04d8:f2f7,serial=YK20001,path=1-1.4: any of the three")
}
