//! A row of the table of frames.
//!
//! ```toml
//! port = 17494                # on TCP, when the address names none
//! baud = 9600                 # on a serial line
//! outlets = [1, 8]            # their numbers
//! values = { unit = 1 }       # numbers that the lab file may change, among `options`
//! login = [{ when-password = true, send = "79 {password}", answer = "01" }]
//! on = [{ send = "20 {outlet} 00", answer = "00" }]
//! off = [{ send = "21 {outlet} 00", answer = "00" }]
//! state = { send = "24", answer = "{state:1}", bit = "outlet-1" }
//! logout = [{ when-password = true, send = "7b", answer = "00" }]
//! refused = [{ answer = "02", kind = "permission", means = "refused the password" }]
//! ```
//!
//! `pattern` has the words of frames. `skip` in an exchange is a frame that may come before the
//! answer, any number of times. A state is a `bit`, counted from the lowest bit of the first
//! byte, or a `byte`, whose values for on and off are `is-on` and `is-off`.

use super::{
    super::{expression::Expression, line::Reach},
    pattern::Pattern,
};
use crate::error::ErrorKind;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A row, understood.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) reach: Reach,
    pub(super) outlets: [u32; 2],
    pub(super) values: BTreeMap<String, u16>,
    pub(super) password: String,
    pub(super) login: Vec<Exchange>,
    pub(super) on: Vec<Exchange>,
    pub(super) off: Vec<Exchange>,
    pub(super) state: Option<State>,
    pub(super) logout: Vec<Exchange>,
    pub(super) refused: Vec<Refusal>,
}

/// A frame and its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Only where the PDU has a password.
    pub(super) when_password: bool,
    pub(super) send: Pattern,
    pub(super) answer: Option<Pattern>,
    pub(super) skip: Option<Pattern>,
}

/// How the state of an outlet is asked for.
#[derive(Debug)]
pub(super) struct State {
    pub(super) exchange: Exchange,
    pub(super) place: Place,
}

/// Where in the bytes that tell the state an outlet's is.
#[derive(Debug)]
pub(super) enum Place {
    Bit(Expression),
    Byte { at: Expression, on: u8, off: u8 },
}

/// An answer that refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) answer: Pattern,
    pub(super) kind: ErrorKind,
    pub(super) means: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RowTable {
    port: Option<u16>,
    baud: Option<u32>,
    outlets: [u32; 2],
    #[serde(default)]
    values: BTreeMap<String, u16>,
    #[serde(default)]
    password: String,
    #[serde(default)]
    login: Vec<ExchangeTable>,
    on: Vec<ExchangeTable>,
    off: Vec<ExchangeTable>,
    state: Option<ExchangeTable>,
    #[serde(default)]
    logout: Vec<ExchangeTable>,
    #[serde(default)]
    refused: Vec<RefusalTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct ExchangeTable {
    when_password: bool,
    send: String,
    answer: Option<String>,
    skip: Option<String>,
    bit: Option<String>,
    byte: Option<String>,
    is_on: Option<u8>,
    is_off: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalTable {
    answer: String,
    kind: RefusalKind,
    means: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RefusalKind {
    Busy,
    Failed,
    Outlet,
    Permission,
}

impl Row {
    pub(super) fn parse(table: RowTable) -> Result<Self, String> {
        if table.on.is_empty() || table.off.is_empty() {
            return Err("'on' and 'off' need at least one frame each".to_owned());
        }
        let mut names = vec!["outlet", "id"];
        names.extend(table.values.keys().map(String::as_str));
        let exchanges = |list: &str, tables: Vec<ExchangeTable>| {
            let exchanges = tables.into_iter().map(|table| table.exchange(&names));
            let exchanges: Result<Vec<_>, _> = exchanges.collect();
            exchanges.map_err(|what| format!("{list}: {what}"))
        };
        let state = table.state.map(|state| state.state(&names)).transpose();
        let refused = table
            .refused
            .into_iter()
            .map(|refused| refused.refusal(&names));
        Ok(Self {
            reach: Reach {
                port: table.port,
                telnet: false,
                baud: table.baud,
            },
            outlets: table.outlets,
            password: table.password,
            login: exchanges("login", table.login)?,
            on: exchanges("on", table.on)?,
            off: exchanges("off", table.off)?,
            state: state.map_err(|what| format!("state: {what}"))?,
            logout: exchanges("logout", table.logout)?,
            refused: refused.collect::<Result<_, _>>()?,
            values: table.values,
        })
    }
}

impl ExchangeTable {
    fn exchange(self, names: &[&str]) -> Result<Exchange, String> {
        if self.bit.is_some()
            || self.byte.is_some()
            || self.is_on.is_some()
            || self.is_off.is_some()
        {
            return Err("only 'state' has 'bit' and 'byte'".to_owned());
        }
        let answer = |text: String| Pattern::parse(&text, names);
        Ok(Exchange {
            when_password: self.when_password,
            send: Pattern::parse_request(&self.send, names)?,
            answer: self.answer.map(answer).transpose()?,
            skip: self.skip.map(answer).transpose()?,
        })
    }

    fn state(mut self, names: &[&str]) -> Result<State, String> {
        let place = match (
            self.bit.take(),
            self.byte.take(),
            self.is_on.take(),
            self.is_off.take(),
        ) {
            (Some(bit), None, None, None) => Place::Bit(Expression::parse(&bit)?),
            (None, Some(byte), Some(on), Some(off)) => Place::Byte {
                at: Expression::parse(&byte)?,
                on,
                off,
            },
            _ => return Err("needs 'bit', or 'byte' with 'is-on' and 'is-off'".to_owned()),
        };
        let (Place::Bit(sum) | Place::Byte { at: sum, .. }) = &place;
        if sum.name() != "outlet" {
            return Err("'bit' and 'byte' are a sum of outlet".to_owned());
        }
        let exchange = self.exchange(names)?;
        let answer = exchange.answer.as_ref();
        if answer.and_then(Pattern::state_length).is_none() {
            return Err("its answer needs a '{state:N}'".to_owned());
        }
        Ok(State { exchange, place })
    }
}

impl RefusalTable {
    fn refusal(self, names: &[&str]) -> Result<Refusal, String> {
        Ok(Refusal {
            answer: Pattern::parse(&self.answer, names)
                .map_err(|what| format!("refused: {what}"))?,
            kind: match self.kind {
                RefusalKind::Busy => ErrorKind::Busy,
                RefusalKind::Failed => ErrorKind::CommandFailed,
                RefusalKind::Outlet => ErrorKind::InvalidInput,
                RefusalKind::Permission => ErrorKind::PermissionDenied,
            },
            means: self.means,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let head = "outlets = [1, 8]\non = [{ send = '01' }]\noff = [{ send = '00' }]\n";
        let table: toml::Table = format!("{head}{text}").parse().unwrap();
        match RowTable::deserialize(table) {
            Ok(table) => Row::parse(table).unwrap_err(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(error("prot = 1").contains("prot"));
        assert_eq!(
            error("login = [{ send = 'x' }]"),
            "login: 'x': 'x' is no hexadecimal bytes"
        );
        assert!(error("login = [{ send = '01', bit = 'outlet' }]").contains("only 'state'"));
        assert!(error("login = [{ send = '{unit}' }]").contains("no 'unit'"));
        assert!(error("state = { send = '5b', answer = '{state:1}' }").contains("needs 'bit'"));
        assert!(error("state = { send = '5b', bit = 'outlet' }").contains("{state:N}"));
        assert!(error("state = { send = '5b', bit = 'id' }").contains("a sum of outlet"));
    }
}
