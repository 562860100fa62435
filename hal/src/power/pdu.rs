//! Devices with many outlets, shared by many boards.

use super::PowerState;
use crate::error::{ErrorKind, HalError};
use async_trait::async_trait;
use std::{fmt, str::FromStr, sync::Arc};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout_at},
};

/// The longest name of an outlet.
const LONGEST_OUTLET: usize = 64;

/// The name of one outlet, as the PDU knows it: a number, mostly; a name or a relay's id at some.
///
/// It goes into SNMP OIDs, URLs, command lines and telnet dialogues. Therefore it consists of
/// letters, digits and `_ . : / -` only, does not begin with `-`, and has at most 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outlet(String);

impl Outlet {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number, where the outlet is one and a driver needs it.
    ///
    /// # Errors
    /// `InvalidInput` when it is no number or lies outside `first..=last`.
    pub fn number(&self, pdu: &str, first: u32, last: u32) -> Result<u32, HalError> {
        match self.0.parse() {
            Ok(number) if (first..=last).contains(&number) => Ok(number),
            _ => {
                let message = format!("PDU '{pdu}' has no outlet '{self}'");
                Err(HalError::new(ErrorKind::InvalidInput, pdu, message)
                    .with_hint(format!("its outlets are {first} to {last}")))
            }
        }
    }
}

impl FromStr for Outlet {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        if text.is_empty()
            || text.len() > LONGEST_OUTLET
            || text.starts_with('-')
            || !text.bytes().all(allowed)
        {
            let shown: String = text.chars().take(LONGEST_OUTLET).collect();
            let message = format!("'{}' cannot be the name of an outlet", shown.escape_debug());
            return Err(HalError::new(ErrorKind::InvalidInput, "outlet", message)
                .with_hint("an outlet is a number, or a name of letters, digits and _ . : / - "));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device that switches outlets: a driver of one protocol with the data of one vendor.
///
/// The contract of every implementation:
/// - **One exchange at a time**, by `&mut self`: most PDUs have one session, and forget requests
///   that overlap.
/// - **What the answer says.** `Ok` from [`Self::switch`] means that the PDU accepted it, with
///   every check that its answer allows; whether the outlet moved is the caller's to read back.
/// - **No retry**, no wait beyond `deadline`.
/// - **Cancellation.** A dropped future may have left an exchange half done: the driver then drops
///   its connection and begins the next exchange on a new one.
/// - Errors name the PDU, and never a password.
#[async_trait]
pub trait Pdu: Send {
    /// Switches `outlet` on or off.
    ///
    /// # Errors
    /// `InvalidInput` for an outlet that it does not have, `PermissionDenied` when it refuses the
    /// login, `Protocol` when its answer makes no sense, `Timeout`, `Closed`.
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError>;

    /// Reads whether `outlet` is on; `None` when this PDU cannot tell.
    ///
    /// # Errors
    /// As [`Self::switch`].
    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let _ = (outlet, deadline);
        Ok(None)
    }

    /// Lets the PDU itself switch `outlet` off and on, where that is one request; `Ok(false)` when
    /// it has none, and the caller does it in two.
    ///
    /// # Errors
    /// As [`Self::switch`].
    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        let _ = (outlet, deadline);
        Ok(false)
    }
}

/// A PDU that several boards share: one request at a time, in the order of asking.
#[derive(Clone)]
pub struct SharedPdu {
    name: Arc<str>,
    driver: Arc<Mutex<Box<dyn Pdu>>>,
}

impl SharedPdu {
    /// Shares `driver`; `name` is the lab's name of the PDU, for messages.
    pub fn new(name: &str, driver: Box<dyn Pdu>) -> Self {
        Self {
            name: name.into(),
            driver: Arc::new(Mutex::new(driver)),
        }
    }

    /// The lab's name of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the requests before ours, and gives the PDU for ours. Cancel-safe.
    ///
    /// # Errors
    /// `Busy` when they are not done by `deadline`.
    pub async fn lock(&self, deadline: Instant) -> Result<MutexGuard<'_, Box<dyn Pdu>>, HalError> {
        timeout_at(deadline, self.driver.lock()).await.map_err(|_| {
            let message = format!("PDU '{}' is still busy with other outlets", self.name);
            HalError::new(ErrorKind::Busy, &*self.name, message)
                .with_hint("allow more time, or share it among fewer boards")
        })
    }
}

impl fmt::Debug for SharedPdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedPdu").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlets_are_names_that_harm_no_protocol() {
        for good in ["1", "24", "2/1/3", "relay_0", "1-1.4:2"] {
            assert_eq!(good.parse::<Outlet>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-1",
            "1;reboot",
            "1\r\n2",
            "a b",
            "%n",
            "é",
            &"1".repeat(65),
        ] {
            let error = bad.parse::<Outlet>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_checked_against_what_the_pdu_has() {
        let outlet: Outlet = "9".parse().unwrap();
        assert_eq!(outlet.number("rack1", 1, 16).unwrap(), 9);
        let error = outlet.number("rack1", 1, 8).unwrap_err();
        assert_eq!(error.to_string(), "PDU 'rack1' has no outlet '9'");
        assert_eq!(error.hint(), Some("its outlets are 1 to 8"));
    }
}
