//! PDUs and relay boards that are talked to in frames of bytes, over TCP or a serial line.
//!
//! A row of the table has the frames: see [`row`] for its keys and [`pattern`] for their words.
//! Two protocols need code, because frames are encoded with what the PDU said before, and a row
//! names them: `protocol = "tplink"` and `protocol = "egpms"`. A third, `"modem-line"`, sends no
//! frames at all: a control line of a serial port is the switch.

mod checksum;
mod egpms;
mod fixed;
mod modem_line;
mod pattern;
mod row;
mod tplink;

use super::line::{Line, SerialOptions, Target};
use crate::{
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
};
use async_trait::async_trait;
use pattern::{Fields, Match, Pattern};
use row::{Exchange, Place, Row, RowTable};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The family.
pub(super) const FRAMES: Family = Family {
    name: "frames",
    description: "frames of bytes over TCP or a serial line; Modbus; control lines of a port",
    table: include_str!("../../tables/frames.toml"),
    parse,
};

/// How long a PDU may take over the logout; what was asked is done by then.
const LOGOUT: Duration = Duration::from_secs(1);

fn parse(mut row: toml::Table) -> Result<Arc<dyn Open>, String> {
    let protocol = row.remove("protocol");
    let protocol = protocol
        .as_ref()
        .map(|protocol| protocol.as_str().unwrap_or_default());
    match protocol {
        None => {
            let table = RowTable::deserialize(row).map_err(|error| error.to_string())?;
            Ok(Arc::new(Model(Arc::new(Row::parse(table)?))))
        }
        Some("tplink") => Ok(Arc::new(fixed::Model::parse(row, tplink::open)?)),
        Some("egpms") => Ok(Arc::new(fixed::Model::parse(row, egpms::open)?)),
        Some("modem-line") => Ok(Arc::new(modem_line::Model::parse(row)?)),
        Some(_) => Err("'protocol' is 'tplink', 'egpms' or 'modem-line'".to_owned()),
    }
}

/// A row of the table.
struct Model(Arc<Row>);

/// What a lab file may say among a PDU's options, beside the row's values.
#[derive(Debug, Default, Deserialize)]
struct Options {
    #[serde(flatten)]
    serial: SerialTable,
    /// Which contact of the relays the boards hang on; pdudaemon's name for it.
    #[serde(default)]
    logic: Logic,
    #[serde(flatten)]
    values: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct SerialTable {
    baud: Option<u32>,
    #[serde(default)]
    parity: Option<crate::console::Parity>,
}

/// Which contact of a relay a board hangs on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum Logic {
    /// "Normally open": a board has power while the relay is active.
    #[default]
    #[serde(rename = "NO")]
    NormallyOpen,
    /// "Normally closed": a board has power while the relay is not.
    #[serde(rename = "NC")]
    NormallyClosed,
}

impl Logic {
    /// What the relay does when the board is to be, or is, `state`; and the other way round.
    fn relay(self, state: PowerState) -> PowerState {
        match (self, state) {
            (Self::NormallyOpen, state) => state,
            (Self::NormallyClosed, PowerState::On) => PowerState::Off,
            (Self::NormallyClosed, PowerState::Off) => PowerState::On,
        }
    }
}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let options: Options = config.options()?;
        let mut values = self.0.values.clone();
        for (name, value) in options.values {
            let value = value
                .as_integer()
                .and_then(|value| u16::try_from(value).ok());
            match (values.get_mut(&name), value) {
                (Some(known), Some(value)) => *known = value,
                (Some(_), None) => {
                    return Err(config.invalid(&format!("options: '{name}' is 0 to 65535")));
                }
                (None, _) => return Err(config.invalid(&format!("options: unknown '{name}'"))),
            }
        }
        let serial = SerialOptions {
            baud: options.serial.baud,
            parity: options.serial.parity,
        };
        let password = match &config.password {
            Some(password) => password.expose().to_owned(),
            None => self.0.password.clone(),
        };
        Ok(Box::new(Frames {
            target: Target::new(config, &self.0.reach, serial)?,
            row: self.0.clone(),
            values,
            password,
            logic: options.logic,
            id: 0,
        }))
    }

    fn reads_back(&self) -> bool {
        self.0.state.is_some()
    }
}

/// One PDU. Nothing is kept between two requests, so that a cancelled one leaves nothing behind.
struct Frames {
    row: Arc<Row>,
    target: Target,
    values: BTreeMap<String, u16>,
    password: String,
    logic: Logic,
    /// Tells the answers to different requests apart.
    id: u16,
}

impl Frames {
    /// Has one request's exchanges, and gives the state that the last of them told.
    async fn run(
        &mut self,
        exchanges: &[&Exchange],
        outlet: u32,
        deadline: Instant,
    ) -> Result<Vec<u8>, HalError> {
        self.id = self.id.wrapping_add(1);
        let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
        numbers.extend(
            self.values
                .iter()
                .map(|(name, value)| (name.as_str(), (*value).into())),
        );
        numbers.extend([("outlet", outlet.into()), ("id", self.id.into())]);
        let fields = Fields {
            numbers,
            password: &self.password,
        };
        let line = self.target.connect(deadline).await?;
        let mut talk = Talk {
            row: &self.row,
            fields,
            line,
        };
        let mut state = Vec::new();
        for exchange in self.row.login.iter().chain(exchanges.iter().copied()) {
            state = talk.exchange(exchange).await?;
        }
        talk.leave().await;
        Ok(state)
    }

    fn number(&self, outlet: &Outlet) -> Result<u32, HalError> {
        let [first, last] = self.row.outlets;
        outlet.number(self.target.pdu(), first, last)
    }
}

#[async_trait]
impl Pdu for Frames {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let outlet = self.number(outlet)?;
        let row = self.row.clone();
        let exchanges = match self.logic.relay(to) {
            PowerState::On => &row.on,
            PowerState::Off => &row.off,
        };
        let exchanges: Vec<_> = exchanges.iter().collect();
        self.run(&exchanges, outlet, deadline).await.map(drop)
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let outlet = self.number(outlet)?;
        let row = self.row.clone();
        let Some(state) = &row.state else {
            return Ok(None);
        };
        let told = self.run(&[&state.exchange], outlet, deadline).await?;
        let Some(relay) = state.place.state(&told, outlet) else {
            let pdu = self.target.pdu();
            let message = format!("PDU '{pdu}' tells no state of outlet '{outlet}' in {told:02x?}");
            return Err(HalError::new(ErrorKind::Protocol, pdu, message));
        };
        Ok(Some(self.logic.relay(relay)))
    }
}

impl Place {
    /// The state of `outlet` in what was told.
    fn state(&self, told: &[u8], outlet: u32) -> Option<PowerState> {
        let on = match self {
            Self::Bit(bit) => {
                let bit = usize::try_from(bit.value(outlet.into())?).ok()?;
                told.get(bit / 8)? >> (bit % 8) & 1 == 1
            }
            Self::Byte { at, on, off } => {
                let byte = *told.get(usize::try_from(at.value(outlet.into())?).ok()?)?;
                if byte != *on && byte != *off {
                    return None;
                }
                byte == *on
            }
        };
        Some(if on { PowerState::On } else { PowerState::Off })
    }
}

/// The exchanges of one request.
struct Talk<'a> {
    row: &'a Row,
    fields: Fields<'a>,
    line: Line,
}

impl Talk<'_> {
    /// Sends a frame, takes its answer, and gives the bytes of the state in it.
    async fn exchange(&mut self, exchange: &Exchange) -> Result<Vec<u8>, HalError> {
        if exchange.when_password && self.fields.password.is_empty() {
            return Ok(Vec::new());
        }
        let Some(frame) = exchange.send.encode(&self.fields) else {
            let pdu = self.line.pdu();
            let message = format!("PDU '{pdu}' cannot be told this outlet or value");
            return Err(HalError::new(ErrorKind::InvalidInput, pdu, message));
        };
        self.line.send(&frame).await?;
        match &exchange.answer {
            Some(answer) => self.answer(answer, exchange.skip.as_ref()).await,
            None => Ok(Vec::new()),
        }
    }

    async fn answer(
        &mut self,
        answer: &Pattern,
        skip: Option<&Pattern>,
    ) -> Result<Vec<u8>, HalError> {
        loop {
            let said = self.line.unread();
            let mut open = false;
            match answer.compare(said, &self.fields) {
                Match::Whole(length, state) => {
                    let frame = self.line.take(length);
                    return Ok(state.map(|state| frame[state].to_vec()).unwrap_or_default());
                }
                Match::Part => open = true,
                Match::Other => {}
            }
            for refusal in &self.row.refused {
                match refusal.answer.compare(said, &self.fields) {
                    Match::Whole(..) => return Err(self.error(refusal.kind, &refusal.means)),
                    Match::Part => open = true,
                    Match::Other => {}
                }
            }
            match skip.map(|skip| skip.compare(said, &self.fields)) {
                Some(Match::Whole(length, _)) => {
                    self.line.take(length);
                    continue;
                }
                Some(Match::Part) => open = true,
                Some(Match::Other) | None => {}
            }
            if !open {
                return Err(self.error(ErrorKind::Protocol, "gave an answer that makes no sense"));
            }
            self.line
                .receive("its answer", self.fields.password)
                .await?;
        }
    }

    /// Logs out as far as that goes: what was asked is done.
    async fn leave(mut self) {
        self.line.hurry(Instant::now() + LOGOUT);
        for exchange in &self.row.logout {
            if self.exchange(exchange).await.is_err() {
                break;
            }
        }
        self.line.close().await;
    }

    fn error(&self, kind: ErrorKind, what: &str) -> HalError {
        self.line.error(kind, what, self.fields.password)
    }
}
