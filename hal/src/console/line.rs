//! How a serial line is set: its speed, its frame, its flow control and its outputs.
//!
//! Shared by local ports and by RFC 2217, which set the same things by other means. The words are
//! those of a console's address: `?baud=115200&parity=none`.

use crate::error::{ErrorKind, HalError};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{fmt, str::FromStr};

/// The speed of a local port whose address names none.
pub const DEFAULT_BAUD: u32 = 115_200;

/// How to set a serial line.
///
/// What is `None` is 115200 baud, 8 data bits, no parity, 1 stop bit, no flow control at a local
/// port, and stays as the server has it over RFC 2217. Outputs that are `None` are left as opening
/// the port leaves them: Linux switches both on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LineSettings {
    /// Bits per second, any number that the hardware can divide down to.
    pub baud: Option<u32>,
    /// Data bits of a frame.
    pub data_bits: Option<DataBits>,
    /// The parity bit of a frame.
    pub parity: Option<Parity>,
    /// Stop bits of a frame.
    pub stop_bits: Option<StopBits>,
    /// How either side is told to wait.
    pub flow: Option<FlowControl>,
    /// The DTR output right after opening. Tolerated where the port has none.
    pub dtr: Option<bool>,
    /// The RTS output right after opening. Tolerated where the port has none.
    pub rts: Option<bool>,
}

/// The inputs of a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ModemLines {
    /// Clear to send.
    pub cts: bool,
    /// Data set ready.
    pub dsr: bool,
    /// Data carrier detect.
    pub carrier: bool,
    /// Ring indicator.
    pub ring: bool,
}

/// A set of words, each of which stands for a value.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident, $what:literal { $($(#[$inner:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$inner])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its word in an address.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = HalError;

            fn from_str(text: &str) -> Result<Self, HalError> {
                let found = Self::ALL.iter().find(|value| value.as_str() == text);
                found.copied().ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    let message = format!("{} '{}' is unknown", $what, text.escape_debug());
                    HalError::new(ErrorKind::InvalidInput, $what, message)
                        .with_hint(format!("it is one of: {}", words.join(", ")))
                })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

words! {
    /// Data bits of a frame.
    DataBits, "data bits" {
        /// 5.
        Five = "5",
        /// 6.
        Six = "6",
        /// 7.
        Seven = "7",
        /// 8.
        Eight = "8",
    }
}

words! {
    /// The parity bit of a frame.
    Parity, "parity" {
        /// There is none.
        None = "none",
        /// The number of ones is odd.
        Odd = "odd",
        /// The number of ones is even.
        Even = "even",
    }
}

words! {
    /// Stop bits of a frame.
    StopBits, "stop bits" {
        /// 1.
        One = "1",
        /// 2.
        Two = "2",
    }
}

words! {
    /// How either side of a line is told to wait.
    FlowControl, "flow control" {
        /// Not at all: what comes too fast is lost.
        None = "none",
        /// By the characters XON and XOFF, which then cannot be typed.
        Software = "software",
        /// By the lines RTS and CTS.
        Hardware = "hardware",
    }
}

impl DataBits {
    /// The number.
    pub fn count(self) -> u8 {
        match self {
            Self::Five => 5,
            Self::Six => 6,
            Self::Seven => 7,
            Self::Eight => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_others_are_refused_with_the_list() {
        for parity in Parity::ALL {
            assert_eq!(parity.to_string().parse::<Parity>().unwrap(), *parity);
        }
        for bits in DataBits::ALL {
            assert_eq!(bits.as_str(), bits.count().to_string());
        }
        let error = "rtscts".parse::<FlowControl>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.hint(), Some("it is one of: none, software, hardware"));
    }
}
