//! Which device is meant, as people and device dictionaries write it.

use super::usb::UsbMatch;
use crate::error::{ErrorKind, HalError};
use std::{fmt, str::FromStr};

/// The port of fastboot over TCP and UDP.
pub const PORT: u16 = 5554;

/// A fastboot device, named as Debian's `fastboot -s` takes it.
///
/// | text | means |
/// |---|---|
/// | `tcp:HOST[:PORT]` | over TCP; port 5554 unless given; IPv6 addresses in brackets |
/// | `udp:HOST[:PORT]` | over UDP |
/// | `usb:1-1.2` | the USB device at that place, as sysfs names it |
/// | `usb:SERIAL` or `SERIAL` | the USB device with that serial number |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At a USB port of this machine.
    Usb(UsbMatch),
    /// Over TCP.
    Tcp(Address),
    /// Over UDP.
    Udp(Address),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                let port = match after {
                    "" => None,
                    _ => Some(after.strip_prefix(':')?),
                };
                (host, port)
            }
            None => match text.split_once(':') {
                // More than one colon without brackets: nobody can tell where the port begins.
                Some((_, port)) if port.contains(':') => return None,
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0)?,
            None => PORT,
        };
        let foreign = |c: char| c.is_whitespace() || "/[]".contains(c);
        let usable = !host.is_empty() && !host.contains(foreign);
        let host = host.to_owned();
        usable.then_some(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Target {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        let parsed = match text.split_once(':') {
            Some(("tcp", address)) => Address::parse(address).map(Self::Tcp),
            Some(("udp", address)) => Address::parse(address).map(Self::Udp),
            Some(("usb", name)) => UsbMatch::named(name).map(Self::Usb),
            _ => UsbMatch::named(text).map(Self::Usb),
        };
        parsed.ok_or_else(|| {
            let message = format!("'{text}' names no fastboot device");
            HalError::new(ErrorKind::InvalidInput, text, message)
                .with_hint("write tcp:HOST[:PORT], udp:HOST[:PORT], usb:1-1.2 or a serial number")
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb(wanted) => write!(f, "usb:{wanted}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_what_they_mean() {
        for (text, shown) in [
            ("tcp:board01", "tcp:board01:5554"),
            ("udp:127.0.0.1:5555", "udp:127.0.0.1:5555"),
            ("udp:[fd77::1]", "udp:[fd77::1]:5554"),
            ("tcp:[fd77::1]:99", "tcp:[fd77::1]:99"),
            ("usb:1-1.2", "usb:1-1.2"),
            ("0123456789ABCDEF", "usb:0123456789ABCDEF"),
            ("usb:0123", "usb:0123"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn texts_that_mean_nothing() {
        for text in [
            "",
            "tcp:",
            "udp::5554",
            "tcp:host:0",
            "tcp:host:port",
            "udp:fd77::1",
            "tcp:[::1",
            "tcp:[[]",
            "udp:a]",
            "usb:",
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in "((tcp|udp|usb):)?[a-z0-9:.\\[\\]-]{0,12}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
            }
        }
    }
}
