//! The messages of fastboot, without any transport: commands that go out, responses that come in.
//!
//! Used by the client of this module and by the devices that the rack plays. Source of all facts
//! here: the protocol's public description ("FastBoot Version 0.4"). Nothing here waits or
//! allocates beyond the message it was given.

use crate::error::{ErrorKind, HalError};
use std::fmt;

/// The longest command. Old bootloaders take 64 bytes; newer hosts and devices agree on 4096.
pub const MAX_COMMAND: usize = 4096;

/// The length that every bootloader takes.
pub const SAFE_COMMAND: usize = 64;

/// The longest response we take. Devices are allowed 256 bytes (64 in old versions of the
/// protocol); some send more in INFO lines.
pub const MAX_RESPONSE: usize = 4096;

/// The largest download that a command can announce: its size has eight hexadecimal digits.
pub const MAX_DOWNLOAD: u64 = u32::MAX as u64;

/// A command, checked: neither empty nor too long, and without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(String);

impl Command {
    /// Checks `text` ("getvar:product").
    ///
    /// # Errors
    /// `InvalidInput` when no device could understand it.
    pub fn new(text: impl Into<String>) -> Result<Self, HalError> {
        let text = text.into();
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAX_COMMAND {
            "it is longer than 4096 bytes"
        } else if text.chars().any(char::is_control) {
            "it has control characters"
        } else {
            return Ok(Self(text));
        };
        let shown = shorten(&text, SAFE_COMMAND);
        let message = format!("fastboot cannot send the command '{shown}': {why}");
        Err(HalError::new(ErrorKind::InvalidInput, shown, message))
    }

    /// The announcement of a download.
    pub fn download(size: u32) -> Self {
        Self(format!("download:{size:08x}"))
    }

    /// Whether a device that does it takes what comes next for data.
    pub fn announces_data(&self) -> bool {
        self.0.starts_with("download:")
    }

    /// As it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shorten(&self.0, SAFE_COMMAND))
    }
}

/// What a device answers. Text that is not UTF-8 is replaced, and control characters with it:
/// it goes into logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The command is done; its value, if it has one.
    Okay(String),
    /// The command failed, and why.
    Fail(String),
    /// The device is ready to take (or about to send) this many bytes.
    Data(u32),
    /// Something to show; more follows.
    Info(String),
    /// As `Info`, where a piece does not end a line; more follows.
    Text(String),
}

/// Why a response is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It does not begin with one of the five words.
    #[error("'{0}' is none of OKAY, FAIL, DATA, INFO and TEXT")]
    Unknown(String),
    /// The size after DATA is not eight hexadecimal digits.
    #[error("'DATA{0}' has no size of eight hexadecimal digits")]
    Size(String),
    /// It is longer than [`MAX_RESPONSE`].
    #[error("{0} bytes are more than a response may have")]
    TooLong(usize),
}

impl Response {
    /// Reads one message.
    ///
    /// # Errors
    /// When it is no response.
    pub fn parse(message: &[u8]) -> Result<Self, ResponseError> {
        if message.len() > MAX_RESPONSE {
            return Err(ResponseError::TooLong(message.len()));
        }
        let Some((word, rest)) = message.split_first_chunk::<4>() else {
            return Err(ResponseError::Unknown(printable(message)));
        };
        match word {
            b"OKAY" => Ok(Self::Okay(printable(rest))),
            b"FAIL" => Ok(Self::Fail(printable(rest))),
            b"INFO" => Ok(Self::Info(printable(rest))),
            // The end of a line is a part of it here.
            b"TEXT" => Ok(Self::Text(visible(&String::from_utf8_lossy(rest)))),
            b"DATA" => match size(rest) {
                Some(size) => Ok(Self::Data(size)),
                None => Err(ResponseError::Size(shorten(&printable(rest), SAFE_COMMAND))),
            },
            _ => Err(ResponseError::Unknown(shorten(
                &printable(message),
                SAFE_COMMAND,
            ))),
        }
    }

    /// As it goes over the wire, for the devices that we play.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Okay(text) => format!("OKAY{text}"),
            Self::Fail(text) => format!("FAIL{text}"),
            Self::Data(size) => format!("DATA{size:08x}"),
            Self::Info(text) => format!("INFO{text}"),
            Self::Text(text) => format!("TEXT{text}"),
        }
        .into_bytes()
    }
}

/// Eight hexadecimal digits; C strings keep their final zero on some devices.
fn size(digits: &[u8]) -> Option<u32> {
    let digits = digits.strip_suffix(b"\0").unwrap_or(digits);
    let all_digits = digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    u32::from_str_radix(digits, 16).ok()
}

/// What `max-download-size` says: decimal, or hexadecimal with `0x`. `None` when it is no size a
/// download could have.
pub fn parse_size(value: &str) -> Option<u64> {
    let value = value.trim();
    let hexadecimal = value.strip_prefix("0x").or(value.strip_prefix("0X"));
    let size = match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    size.ok().filter(|size| *size > 0)
}

/// Text for logs and messages: final zeros and blanks gone, everything else that could move a
/// terminal's cursor replaced. Tabs and ends of lines stay.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    visible(text.trim_end_matches(['\0', '\n', '\r', ' ']))
}

fn visible(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\t' && c != '\n' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

/// At most `limit` bytes of `text`, with an ellipsis where it was cut.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(limit)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn responses_of_real_devices() {
        let parsed = |text: &str| Response::parse(text.as_bytes());
        assert_eq!(parsed("OKAY0.4"), Ok(Response::Okay("0.4".into())));
        assert_eq!(parsed("OKAY"), Ok(Response::Okay(String::new())));
        assert_eq!(parsed("DATA00800000\0"), Ok(Response::Data(0x80_0000)));
        assert_eq!(
            parsed("FAILcannot find partition\n"),
            Ok(Response::Fail("cannot find partition".into()))
        );
        assert_eq!(
            parsed("INFO\x1b[2Jgone"),
            Ok(Response::Info("\u{fffd}[2Jgone".into()))
        );
    }

    #[test]
    fn what_is_no_response() {
        for wrong in [
            "",
            "OKA",
            "okay",
            "DATA",
            "DATA1234",
            "DATA+0000010",
            "DATA000000010",
        ] {
            assert!(Response::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let long = vec![b'I'; MAX_RESPONSE + 1];
        assert_eq!(
            Response::parse(&long),
            Err(ResponseError::TooLong(MAX_RESPONSE + 1))
        );
    }

    #[test]
    fn commands_are_checked() {
        assert_eq!(Command::download(0x80_0000).as_str(), "download:00800000");
        for wrong in [
            String::new(),
            "oem a\nb".to_owned(),
            "x".repeat(MAX_COMMAND + 1),
        ] {
            let error = Command::new(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().len() < 200, "{error}");
        }
    }

    #[test]
    fn sizes_as_bootloaders_print_them() {
        for (text, size) in [
            ("0x10000000", 1 << 28),
            ("268435456", 1 << 28),
            (" 0X10 ", 16),
        ] {
            assert_eq!(parse_size(text), Some(size), "{text}");
        }
        for text in ["", "0", "0x", "-1", "1 MiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Response::parse(&message);
        }

        #[test]
        fn what_a_device_sends_is_what_we_read(word in 0..4, text in "[!-~]{0,250}", size: u32) {
            let sent = [
                Response::Okay(text.clone()),
                Response::Fail(text.clone()),
                Response::Info(text),
                Response::Data(size),
            ][word as usize].clone();
            prop_assert_eq!(Response::parse(&sent.to_bytes()), Ok(sent));
        }
    }
}
