//! What a client asks for, whatever it speaks.

use crate::Refusal;
use std::{fmt, time::Duration};

/// The longest delay a client may ask for.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// The longest name of a PDU or a board.
const LONGEST_NAME: usize = 255;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Switch on.
    On,
    /// Switch off.
    Off,
    /// Switch off, wait, switch on.
    Reboot,
}

/// Which outlet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An outlet of a PDU; the PDU's name is called `hostname` by pdudaemon.
    Outlet {
        /// The PDU's name in the lab.
        pdu: String,
        /// The outlet's name at the PDU.
        outlet: String,
    },
    /// A board; pdudaemon calls its name an alias.
    Board(String),
}

/// A request to switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which outlet.
    pub target: Target,
    /// What to do with it.
    pub action: Action,
    /// How long a reboot leaves it off; how long to wait before anything else, which pdudaemon
    /// still allows and no longer recommends.
    pub delay: Option<Duration>,
}

impl Action {
    /// Understands pdudaemon's words.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            "reboot" => Some(Self::Reboot),
            _ => None,
        }
    }
}

impl Target {
    /// Understands the pairs of a query: `hostname` and `port`, or `alias`.
    ///
    /// # Errors
    /// `Invalid` when they name nothing, or two things.
    pub fn from_query(query: &Query) -> Result<Self, Refusal> {
        let target = match (&query.hostname, &query.port, &query.alias) {
            (Some(pdu), Some(outlet), None) => Self::Outlet {
                pdu: pdu.clone(),
                outlet: outlet.clone(),
            },
            (None, None, Some(alias)) => Self::Board(alias.clone()),
            (None, None, None) => {
                return Err(Refusal::invalid(
                    "which outlet? Give hostname and port, or alias",
                ));
            }
            (_, _, Some(_)) => {
                return Err(Refusal::invalid(
                    "give hostname and port, or alias, not both",
                ));
            }
            (_, None, _) => return Err(Refusal::invalid("port is missing")),
            (None, _, _) => return Err(Refusal::invalid("hostname is missing")),
        };
        target.check()?;
        Ok(target)
    }

    /// Names of nothing that could be in a lab are not passed on to its log.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let (Self::Outlet { pdu: name, .. } | Self::Board(name)) = self;
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(Refusal::invalid("this cannot be a name"));
        }
        Ok(())
    }
}

/// The pairs of a query that mean something; others are ignored, as pdudaemon does.
#[derive(Debug, Default)]
pub struct Query {
    hostname: Option<String>,
    port: Option<String>,
    alias: Option<String>,
    delay: Option<String>,
    /// The client's token.
    pub(crate) token: Option<String>,
}

impl Query {
    /// Reads the part of a URL after `?`. Of a name that is there twice the first counts.
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let slot = match &*name {
                "hostname" => &mut query.hostname,
                "port" => &mut query.port,
                "alias" => &mut query.alias,
                "delay" => &mut query.delay,
                "token" => &mut query.token,
                _ => continue,
            };
            slot.get_or_insert_with(|| value.into_owned());
        }
        query
    }

    pub(crate) fn delay(&self) -> Result<Option<Duration>, Refusal> {
        self.delay.as_deref().map(delay).transpose()
    }
}

/// Seconds, as pdudaemon has them.
pub(crate) fn delay(text: &str) -> Result<Duration, Refusal> {
    let seconds: Option<u64> = text.trim().parse().ok();
    seconds
        .map(Duration::from_secs)
        .filter(|delay| *delay <= LONGEST_DELAY)
        .ok_or_else(|| Refusal::invalid("delay is a number of seconds, at most 3600"))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Reboot => "reboot",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outlet { pdu, outlet } => {
                write!(f, "outlet {} of {pdu}", outlet.escape_debug())
            }
            Self::Board(board) => write!(f, "board {board}"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.target)?;
        match self.delay {
            Some(delay) => write!(f, ", delay {delay:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(query: &str) -> Result<Target, Refusal> {
        Target::from_query(&Query::parse(query))
    }

    #[test]
    fn a_query_names_one_outlet() {
        assert_eq!(
            target("hostname=192.0.2.1&port=3&other=1").unwrap(),
            Target::Outlet {
                pdu: "192.0.2.1".to_owned(),
                outlet: "3".to_owned(),
            }
        );
        assert_eq!(
            target("alias=board%201").unwrap(),
            Target::Board("board 1".to_owned())
        );
        for bad in [
            "",
            "hostname=a",
            "port=1",
            "hostname=a&port=1&alias=b",
            "hostname=a&alias=b",
            "alias=",
            "alias=a%0Ab",
        ] {
            assert!(matches!(target(bad), Err(Refusal::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn delays_are_seconds_within_an_hour() {
        assert_eq!(delay("5").unwrap(), Duration::from_secs(5));
        for bad in ["", "x", "-1", "1.5", "3601", "99999999999999999999"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_query_is_too_much(text in ".{0,200}") {
            let query = Query::parse(&text);
            let _ = (Target::from_query(&query), query.delay());
        }
    }
}
