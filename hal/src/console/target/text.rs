//! The parts of a console's address: percent-encoding, options, and names of hosts.

use super::nearest::nearest;
use crate::error::{ErrorKind, HalError};
use std::fmt;

/// The longest address.
const LONGEST: usize = 4096;

/// Characters besides letters and digits that stand for themselves.
const PLAIN: &[u8] = b"/:@,+=~._-";

/// An address that cannot be understood: `what` completes "the console '…' …".
pub(super) fn invalid(address: &str, what: &str) -> HalError {
    let shown: String = address.chars().take(200).collect();
    let shown = shown.escape_debug().to_string();
    let message = format!("the console '{shown}' {what}");
    HalError::new(ErrorKind::InvalidInput, shown, message)
}

/// Refuses what no address can be.
pub(super) fn check_length(address: &str) -> Result<(), HalError> {
    if address.len() > LONGEST {
        return Err(invalid(address, "is too long"));
    }
    Ok(())
}

/// Text in which `%20` is written for a blank, and so on.
pub(super) struct Encoded<'a>(pub(super) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Takes the percent-encoding away; `None` when it is malformed, or hides a zero or broken UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => break,
            [b'%', high, low, tail @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(*high)? * 16 + digit(*low)?;
                decoded.push(u8::try_from(value).ok()?);
                rest = tail;
            }
            [b'%', ..] => return None,
            [plain, tail @ ..] => {
                decoded.push(*plain);
                rest = tail;
            }
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!decoded.contains('\0')).then_some(decoded)
}

/// The options after the question mark: each at most once, all of them known.
pub(super) struct Options<'a> {
    address: &'a str,
    given: Vec<(&'a str, String)>,
}

impl<'a> Options<'a> {
    pub(super) fn parse(address: &'a str, text: &'a str, known: &[&str]) -> Result<Self, HalError> {
        let mut given: Vec<(&str, String)> = Vec::new();
        for option in text.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or_else(|| {
                let what = format!("has the option '{}' without a value", option.escape_debug());
                invalid(address, &what)
            })?;
            if !known.contains(&name) {
                return Err(unknown_option(address, name, known));
            }
            if given.iter().any(|(before, _)| *before == name) {
                return Err(invalid(address, &format!("has the option '{name}' twice")));
            }
            let value = decode(value).ok_or_else(|| {
                invalid(
                    address,
                    &format!("has a malformed % in the option '{name}'"),
                )
            })?;
            given.push((name, value));
        }
        Ok(Self { address, given })
    }

    /// The text of an option.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.given.iter().position(|(given, _)| *given == name)?;
        Some(self.given.swap_remove(place).1)
    }

    /// An option as `parse` understands it; `expected` is what it should be.
    pub(super) fn value<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, HalError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let value = parse(&text).ok_or_else(|| {
            let what = format!(
                "has {name}={}, which is not {expected}",
                text.escape_debug()
            );
            invalid(self.address, &what)
        })?;
        Ok(Some(value))
    }

    /// An option that is one of a set of words.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, HalError> {
        let words: Vec<_> = all.iter().map(|value| word(*value)).collect();
        let expected = format!("one of {}", words.join(", "));
        self.value(name, &expected, |text| {
            all.iter().copied().find(|value| word(*value) == text)
        })
    }
}

fn unknown_option(address: &str, name: &str, known: &[&str]) -> HalError {
    let error = invalid(
        address,
        &format!("has the unknown option '{}'", name.escape_debug()),
    );
    match nearest(name, known) {
        Some(meant) => error.with_hint(format!("did you mean '{meant}'?")),
        None if known.is_empty() => error.with_hint("this kind of console has no options"),
        None => error.with_hint(format!("its options are: {}", known.join(", "))),
    }
}

/// A host and a port: "rack:7001", "192.0.2.1:23", `[2001:db8::1]:23`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// `None` when `host` can be the name or the address of no host.
    pub fn new(host: impl Into<String>, port: u16) -> Option<Self> {
        let host = host.into();
        is_host(&host).then_some(Self { host, port })
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        Self::new(host, port?)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Host(&self.host), self.port)
    }
}

/// A host as it stands before a port.
pub(super) struct Host<'a>(pub(super) &'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}

/// Splits "host:port" or "host"; a host with colons has brackets around it.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => text
            .split_once(']')
            .filter(|(host, _)| host.contains(':'))?,
        None => match text.find(':') {
            Some(colon) => text.split_at(colon),
            None => (text, ""),
        },
    };
    match rest.strip_prefix(':') {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(port.parse().ok().filter(|port| *port > 0)?)))
        }
        None if rest.is_empty() => Some((host, None)),
        _ => None,
    }
}

/// Whether `host` may be the name or the address of a host; it goes into argument vectors.
pub(super) fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    (1..=253).contains(&host.len())
        && !host.starts_with('-')
        && host.bytes().all(allowed)
        // A zone is a part of an address only.
        && (host.contains(':') || !host.contains('%'))
}
