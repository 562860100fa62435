//! The line to a PDU that is talked to in bytes: TCP, telnet, or a serial device.
//!
//! Used by the families `dialogue` and `frames`. A line lives for one request, has the request's
//! deadline, and takes a bounded amount of bytes: a PDU that never stops talking is an error, not
//! a leak. Dropping it closes it.

use crate::{
    console::{
        Console, ConsoleExt, EpochCounter, LineSettings, Parity, SerialConsole, StreamConsole,
        telnet::codec::TelnetCodec,
    },
    error::{ErrorKind, HalError},
    lab::PduConfig,
};
use serde::Deserialize;
use std::{io, net::Ipv6Addr, path::PathBuf, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// The most bytes that a PDU may send in one request. The longest menus have 2 KiB a page.
const LONGEST_SESSION: usize = 64 * 1024;

/// How long a PDU is given to take a farewell.
const FAREWELL: Duration = Duration::from_millis(500);

/// How a model is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// The TCP port, when the address names none.
    pub(super) port: Option<u16>,
    /// Whether it speaks telnet over TCP.
    pub(super) telnet: bool,
    /// Bits per second on a serial line.
    pub(super) baud: Option<u32>,
}

/// What a lab file may change about a serial line, among the PDU's options.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SerialOptions {
    /// Bits per second.
    pub(super) baud: Option<u32>,
    /// "none" by default.
    pub(super) parity: Option<Parity>,
}

/// Where a PDU is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Network(String),
    Device {
        node: PathBuf,
        settings: LineSettings,
    },
}

/// A PDU that can be connected to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pdu: String,
    address: Address,
    telnet: bool,
    timeout: Duration,
}

impl Target {
    /// What `config` says about a PDU of a model that is reached by `reach`: a device node is a
    /// serial line, everything else is a host with an optional port. Models with a serial line
    /// are also found behind a console server's raw TCP port, when the address names the port.
    pub(super) fn new(
        config: &PduConfig,
        reach: &Reach,
        serial: SerialOptions,
    ) -> Result<Self, HalError> {
        let address = config.address()?;
        let address = if address.starts_with('/') {
            let Some(baud) = serial.baud.or(reach.baud) else {
                let model = &config.model;
                return Err(config.invalid(&format!(
                    "a PDU of model '{model}' is on the network, and '{address}' is a device; \
                     on a serial line it needs the option 'baud'"
                )));
            };
            Address::Device {
                node: address.into(),
                settings: LineSettings {
                    baud: Some(baud),
                    parity: serial.parity,
                    ..LineSettings::default()
                },
            }
        } else {
            let address = with_port(address, reach.port);
            Address::Network(address.map_err(|what| config.invalid(&what))?)
        };
        Ok(Self {
            pdu: config.name.clone(),
            address,
            telnet: reach.telnet,
            timeout: config.request_timeout(),
        })
    }

    /// The PDU's name in the lab.
    pub(super) fn pdu(&self) -> &str {
        &self.pdu
    }

    /// Connects. The line ends at `deadline`, or earlier when the lab file gives a request less.
    ///
    /// # Errors
    /// `Timeout`, `NotFound`, `PermissionDenied`, `Busy`, `Closed` when nobody listens there.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Line, HalError> {
        let begun = Instant::now();
        let deadline = deadline.min(begun + self.timeout);
        let (place, console): (_, Box<dyn Console>) = match &self.address {
            Address::Network(address) => {
                let place = format!("PDU '{}' at {address}", self.pdu);
                let stream = connect(address, &place, deadline).await?;
                let console = StreamConsole::new(stream, &place, EpochCounter::default());
                (place, Box::new(console))
            }
            Address::Device { node, .. } => {
                let place = format!("PDU '{}' at {}", self.pdu, node.display());
                (place, Box::new(self.open_serial(deadline).await?))
            }
        };
        let telnet = self.telnet && matches!(self.address, Address::Network(_));
        Ok(Line {
            pdu: self.pdu.clone(),
            place,
            console,
            telnet: telnet.then(TelnetCodec::refusing),
            unread: Vec::new(),
            received: 0,
            begun,
            heard: begun,
            deadline,
        })
    }

    /// Opens the serial device of this PDU.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, `Busy`; `Unsupported` for a PDU on the network.
    pub(super) async fn open_serial(&self, deadline: Instant) -> Result<SerialConsole, HalError> {
        let Address::Device { node, settings } = &self.address else {
            let message = format!("PDU '{}' needs a serial device as its address", self.pdu);
            return Err(HalError::new(ErrorKind::Unsupported, &self.pdu, message));
        };
        let opened =
            SerialConsole::open_by(node, settings, EpochCounter::default(), deadline).await;
        let opened = opened.and_then(|mut port| {
            // What it said to whoever had it before is no answer to us.
            port.discard_input().map(|()| port)
        });
        opened.map_err(|error| self.blame(&error))
    }

    /// `error` of the device as one of this PDU.
    pub(super) fn blame(&self, error: &HalError) -> HalError {
        let message = format!("PDU '{}': {error}", self.pdu);
        let blamed = HalError::new(error.kind(), &self.pdu, message);
        match error.hint() {
            Some(hint) => blamed.with_hint(hint),
            None => blamed,
        }
    }
}

/// `address` with `port`, unless it has one.
fn with_port(address: &str, port: Option<u16>) -> Result<String, String> {
    let bare = address.parse::<Ipv6Addr>().is_ok();
    let host = if bare {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    let has_port = !bare
        && host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
    match port {
        _ if has_port => Ok(host),
        Some(port) => Ok(format!("{host}:{port}")),
        None => Err(format!(
            "the address '{address}' is no device node and names no port"
        )),
    }
}

async fn connect(address: &str, place: &str, deadline: Instant) -> Result<TcpStream, HalError> {
    let connecting = timeout_at(deadline, TcpStream::connect(address)).await;
    let stream = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    // A command must not wait for more of it.
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| {
        HalError::from_io("connect to", place, error)
            .with_hint("is it powered and on this network? Many PDUs allow one session at a time")
    })
}

/// A connection to a PDU for one request.
pub(super) struct Line {
    pdu: String,
    place: String,
    console: Box<dyn Console>,
    telnet: Option<TelnetCodec>,
    unread: Vec<u8>,
    received: usize,
    begun: Instant,
    heard: Instant,
    deadline: Instant,
}

impl Line {
    /// The PDU's name in the lab.
    pub(super) fn pdu(&self) -> &str {
        &self.pdu
    }

    /// What was received and not taken yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Takes the first `length` bytes of what was received.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.unread.split_off(length.min(self.unread.len()));
        std::mem::replace(&mut self.unread, rest)
    }

    /// Sends `bytes`.
    ///
    /// # Errors
    /// `Timeout`, `Closed`.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), HalError> {
        if self.telnet.is_some() {
            let mut encoded = Vec::with_capacity(bytes.len());
            TelnetCodec::escape(bytes, &mut encoded);
            self.console.write_all(&encoded, self.deadline).await
        } else {
            self.console.write_all(bytes, self.deadline).await
        }
    }

    /// Waits until there is more in [`Self::unread`]; `wanted` says what for, for messages.
    /// `hide` is what must not appear in them.
    ///
    /// # Errors
    /// `Timeout` when nothing came, or not enough; `Protocol` when something else came, or more
    /// than any PDU has to say; `Closed`.
    pub(super) async fn receive(&mut self, wanted: &str, hide: &str) -> Result<(), HalError> {
        let mut buffer = [0; 4096];
        let Ok(chunk) = timeout_at(self.deadline, self.console.read(&mut buffer)).await else {
            return Err(self.silent(wanted, hide));
        };
        let length = chunk?.length;
        if length == 0 {
            let what = format!("closed the connection before {wanted}");
            return Err(self
                .error(ErrorKind::Closed, &what, hide)
                .with_hint("is somebody else logged in? Many PDUs allow one session at a time"));
        }
        self.heard = Instant::now();
        self.received += length;
        if self.received > LONGEST_SESSION {
            let what = format!("does not stop talking, and never came to {wanted}");
            return Err(self.error(ErrorKind::Protocol, &what, hide));
        }
        match &mut self.telnet {
            None => self.unread.extend_from_slice(&buffer[..length]),
            Some(telnet) => {
                let text = telnet.decode(&mut buffer[..length]);
                self.unread.extend_from_slice(&buffer[..text]);
                let answer = std::mem::take(telnet.replies());
                self.console.write_all(&answer, self.deadline).await?;
            }
        }
        Ok(())
    }

    /// Waits at most `patience` for the first word, and says whether there was one.
    ///
    /// # Errors
    /// As [`Self::receive`], but for `Timeout`.
    pub(super) async fn speaks(&mut self, patience: Duration) -> Result<bool, HalError> {
        let deadline = (Instant::now() + patience).min(self.deadline);
        while self.unread.is_empty() {
            match timeout_at(deadline, self.receive("its greeting", "")).await {
                Ok(received) => received?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The deadline passed. Who said something else and then waited makes no sense; who said
    /// nothing, or is still saying it, is late.
    fn silent(&self, wanted: &str, hide: &str) -> HalError {
        let waited = self.deadline.saturating_duration_since(self.begun);
        let quiet = self.deadline.saturating_duration_since(self.heard);
        let kind = if !self.unread.is_empty() && quiet > waited / 2 {
            ErrorKind::Protocol
        } else {
            ErrorKind::Timeout
        };
        self.error(kind, &format!("was not done with {wanted} in time"), hide)
    }

    /// Says farewell, as long as somebody listens, and closes.
    pub(super) async fn close(mut self) {
        // The request is done; a PDU that hangs up first has taken it.
        let _ = self.console.close(FAREWELL).await;
    }

    /// An error of `kind` of this PDU, which `what`; with the last of what it said, without
    /// `hide`.
    pub(super) fn error(&self, kind: ErrorKind, what: &str, hide: &str) -> HalError {
        let message = match last_words(&self.unread, hide) {
            words if words.is_empty() => format!("{} {what}", self.place),
            words => format!("{} {what}; it said '{words}'", self.place),
        };
        HalError::new(kind, &self.pdu, message)
    }

    /// Ends the line at `deadline` if that is earlier.
    pub(super) fn hurry(&mut self, deadline: Instant) {
        self.deadline = self.deadline.min(deadline);
    }
}

/// The end of `said`, printable, without `hide`.
fn last_words(said: &[u8], hide: &str) -> String {
    let mut text = String::from_utf8_lossy(said).into_owned();
    if !hide.is_empty() {
        text = text.replace(hide, "…");
    }
    let skipped = text.chars().count().saturating_sub(100);
    let end: String = text.chars().skip(skipped).collect();
    end.trim().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_port_of_the_model() {
        let of = |address| with_port(address, Some(23)).unwrap();
        assert_eq!(of("rack1"), "rack1:23");
        assert_eq!(of("rack1:2323"), "rack1:2323");
        assert_eq!(of("fe80::1"), "[fe80::1]:23");
        assert_eq!(of("[fe80::1]"), "[fe80::1]:23");
        assert_eq!(of("[fe80::1]:2323"), "[fe80::1]:2323");
        assert!(with_port("rack1", None).is_err());
    }

    #[test]
    fn last_words_hide_the_password_and_stay_short() {
        let said = format!("{}\r\nlogin admin s3cret\r\n> ", "x".repeat(500));
        let words = last_words(said.as_bytes(), "s3cret");
        assert!(words.ends_with(r"x\r\nlogin admin …\r\n>"), "{words}");
        assert!(words.len() < 150);
    }
}
