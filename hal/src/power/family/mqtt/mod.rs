//! Plugs that are switched through an MQTT broker: Tasmota's, and any other by a row.
//!
//! The PDU's address is the broker's; the plug is named by topics. Each request is a session of
//! its own: connect, subscribe to where the plug tells its state, publish, wait. A message that
//! the broker kept from before says nothing about now and is not believed, unless the row has no
//! way to ask. What a broker takes is not what a plug does: a plug that does not answer is an
//! error. Brokers are reached without TLS.

mod packet;
mod row;
mod session;

use super::line::{Reach, SerialOptions, Target};
use crate::{
    error::{ErrorKind, HalError},
    lab::{PduConfig, Secret},
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
};
use async_trait::async_trait;
use row::{Row, Topics};
use serde::Deserialize;
use session::{Event, Login, Session};
use std::sync::Arc;
use tokio::time::Instant;

/// The family.
pub(super) const MQTT: Family = Family {
    name: "mqtt",
    description: "plugs behind an MQTT broker (3.1.1, without TLS): Tasmota, and others by their topics",
    table: include_str!("../../tables/mqtt.toml"),
    parse: |table| {
        let row = parse(table.clone())?;
        Ok(Arc::new(Model {
            reads_back: row.state.is_some(),
            table,
        }))
    },
};

/// A broker's port (IANA).
const PORT: u16 = 1883;

fn parse(table: toml::Table) -> Result<Row, String> {
    let row = Row::deserialize(table).map_err(|error| error.to_string().trim_end().to_owned())?;
    row.check()?;
    Ok(row)
}

/// A row of the table, to which a PDU's options are added.
struct Model {
    table: toml::Table,
    reads_back: bool,
}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let mut table = self.table.clone();
        table.extend(config.options.clone());
        let row = parse(table).map_err(|what| config.invalid(&format!("options: {what}")))?;
        // What the lab file lacks is told when it is read.
        row.topics("1").map_err(|what| config.invalid(&what))?;
        let username = config.username.clone().unwrap_or_default();
        if username.is_empty() && config.password.is_some() {
            return Err(config.invalid("a password needs a 'username' in MQTT 3.1.1"));
        }
        let reach = Reach {
            port: Some(row.port.unwrap_or(PORT)),
            ..Reach::default()
        };
        Ok(Box::new(Plug {
            target: Target::new(config, &reach, SerialOptions::default())?,
            login: Login {
                username,
                password: config.password.clone().unwrap_or_else(|| Secret::new("")),
            },
            row,
        }))
    }

    fn reads_back(&self) -> bool {
        self.reads_back
    }
}

/// A plug behind a broker. Nothing is kept between two requests.
struct Plug {
    target: Target,
    login: Login,
    row: Row,
}

/// How a conversation ended.
enum Told {
    State(PowerState),
    /// The broker took what was published, and nothing more is to come, or came in time.
    Nothing,
}

/// What a conversation waits for.
#[derive(Clone, Copy)]
struct Wanted {
    /// The only state that ends it.
    only: Option<PowerState>,
    /// Whether a message from before counts.
    kept: bool,
    /// Whether it ends when the broker has taken the message.
    taken: bool,
}

impl Plug {
    fn topics(&self, outlet: &Outlet) -> Result<Topics, HalError> {
        let pdu = self.target.pdu();
        if let Some([first, last]) = self.row.outlets {
            outlet.number(pdu, first, last)?;
        }
        self.row.topics(outlet.as_str()).map_err(|what| {
            let message = format!("PDU '{pdu}', outlet {outlet}: {what}");
            HalError::new(ErrorKind::InvalidInput, pdu, message)
        })
    }

    /// Publishes, and waits for what is wanted.
    async fn talk(
        &self,
        topics: &Topics,
        publish: Option<(&str, &str)>,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<Told, HalError> {
        let mut session = Session::open(&self.target, &self.login, deadline).await?;
        let heard = topics.state.iter().chain(&topics.online);
        session
            .subscribe(&heard.map(String::as_str).collect::<Vec<_>>())
            .await?;
        match publish {
            Some((topic, payload)) => session.publish(topic, payload).await?,
            None => session.ask_whether_taken().await?,
        }
        let told = self.listen(&mut session, topics, wanted).await;
        session.close().await;
        told
    }

    async fn listen(
        &self,
        session: &mut Session<'_>,
        topics: &Topics,
        wanted: Wanted,
    ) -> Result<Told, HalError> {
        let mut taken = false;
        loop {
            let message = match session.next().await {
                Ok(Event::Message(message)) => message,
                Ok(Event::Taken) if wanted.taken => return Ok(Told::Nothing),
                Ok(Event::Taken) => {
                    taken = true;
                    continue;
                }
                Err(error) if taken && error.kind() == ErrorKind::Timeout => {
                    return Ok(Told::Nothing);
                }
                Err(error) => return Err(error),
            };
            if Some(&message.topic) == topics.online.as_ref() {
                if self.row.is_offline(&message.payload) {
                    let what = format!("says on '{}' that the plug is gone", message.topic);
                    let error = session.error(ErrorKind::Closed, &what);
                    return Err(error.with_hint("has the plug power, and is it on its network?"));
                }
            } else if topics.state.contains(&message.topic)
                && (wanted.kept || !message.retained)
                && let Some(state) = self.row.told(&message.payload)
                && wanted.only.is_none_or(|only| only == state)
            {
                return Ok(Told::State(state));
            }
        }
    }

    fn silent(&self, kind: ErrorKind, what: &str, topics: &Topics) -> HalError {
        let pdu = self.target.pdu();
        let state = topics.state.join("' or '");
        let message = format!("PDU '{pdu}': {what}, and the plug tells nothing on '{state}'");
        HalError::new(kind, pdu, message).with_hint(
            "is the topic right (it counts capitals), is the plug at this broker, \
             and may this login publish there?",
        )
    }
}

#[async_trait]
impl Pdu for Plug {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let topics = self.topics(outlet)?;
        let wanted = Wanted {
            // Where the state can be asked for, the caller does that next.
            only: self.row.query.is_none().then_some(to),
            kept: false,
            taken: topics.state.is_empty(),
        };
        let publish = Some((topics.command.as_str(), self.row.payload(to)));
        match self.talk(&topics, publish, wanted, deadline).await? {
            Told::Nothing if !wanted.taken => {
                let what = format!("the broker took '{to}' for outlet {outlet}");
                Err(self.silent(ErrorKind::Unconfirmed, &what, &topics))
            }
            Told::State(_) | Told::Nothing => Ok(()),
        }
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let topics = self.topics(outlet)?;
        if topics.state.is_empty() {
            return Ok(None);
        }
        let query = self.row.query.as_deref();
        let wanted = Wanted {
            only: None,
            kept: query.is_none(),
            // Kept messages come before the broker's answer to what follows the subscription.
            taken: query.is_none(),
        };
        let publish = query.map(|query| (topics.query.as_str(), query));
        match self.talk(&topics, publish, wanted, deadline).await? {
            Told::State(state) => Ok(Some(state)),
            // Nobody asked it to keep its state: the switch itself was confirmed by a message.
            Told::Nothing if query.is_none() => Ok(None),
            Told::Nothing => {
                let what = format!("the broker took the question for outlet {outlet}");
                Err(self.silent(ErrorKind::Timeout, &what, &topics))
            }
        }
    }
}
