//! One request's conversation with a broker.

use super::packet::{self, DISCONNECT, Message, PING, Received};
use crate::{
    error::{ErrorKind, HalError},
    lab::Secret,
    power::family::line::{Line, Target},
};
use std::collections::VecDeque;
use tokio::time::Instant;

/// A login to the broker.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Secret,
}

/// What the broker told.
#[derive(Debug)]
pub(super) enum Event {
    Message(Message),
    /// It took what was published before [`Session::ask_whether_taken`].
    Taken,
}

/// A connection that the broker accepted. The bytes that it may send are bounded by the line.
pub(super) struct Session<'a> {
    line: Line,
    password: &'a str,
    /// What came while something else was waited for.
    early: VecDeque<Message>,
}

impl<'a> Session<'a> {
    /// Connects and logs in.
    pub(super) async fn open(
        target: &Target,
        login: &'a Login,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let password = login.password.expose();
        let mut session = Self {
            line: target.connect(deadline).await?,
            password,
            early: VecDeque::new(),
        };
        let name = session.client_name()?;
        let connect = packet::connect(&name, &login.username, password.as_bytes());
        session.send(connect).await?;
        match session.receive("its greeting").await? {
            Received::Connected(0) => Ok(session),
            Received::Connected(code) => Err(session.refused(code)),
            _ => Err(session.error(ErrorKind::Protocol, "speaks before it greets")),
        }
    }

    /// Asks for the messages of `topics`.
    pub(super) async fn subscribe(&mut self, topics: &[&str]) -> Result<(), HalError> {
        if topics.is_empty() {
            return Ok(());
        }
        self.send(packet::subscribe(topics)).await?;
        loop {
            match self.receive("its answer to a subscription").await? {
                Received::Subscribed { granted: true } => return Ok(()),
                Received::Subscribed { granted: false } => {
                    let what = format!("lets us not hear {}", topics.join(" and "));
                    return Err(self.error(ErrorKind::PermissionDenied, &what));
                }
                Received::Message(message) => self.early.push_back(message),
                Received::Connected(_) => return Err(self.greets_again()),
                Received::Pong | Received::Other => {}
            }
        }
    }

    /// Publishes a message, and asks the broker whether it took it: it answers in order.
    pub(super) async fn publish(&mut self, topic: &str, payload: &str) -> Result<(), HalError> {
        let mut publish = packet::publish(topic, payload.as_bytes());
        if let Some(publish) = &mut publish {
            publish.extend_from_slice(&PING);
        }
        self.send(publish).await
    }

    /// Asks for [`Event::Taken`] without publishing anything.
    pub(super) async fn ask_whether_taken(&mut self) -> Result<(), HalError> {
        self.line.send(&PING).await
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Result<Event, HalError> {
        if let Some(message) = self.early.pop_front() {
            return Ok(Event::Message(message));
        }
        loop {
            match self.receive("a message").await? {
                Received::Message(message) => return Ok(Event::Message(message)),
                Received::Pong => return Ok(Event::Taken),
                Received::Connected(_) => return Err(self.greets_again()),
                Received::Subscribed { .. } | Received::Other => {}
            }
        }
    }

    /// Takes leave.
    pub(super) async fn close(mut self) {
        // What was asked is done; a broker that hangs up first knows that we leave.
        let _ = self.line.send(&DISCONNECT).await;
        self.line.close().await;
    }

    /// An error of `kind` of this PDU, which `what`.
    pub(super) fn error(&self, kind: ErrorKind, what: &str) -> HalError {
        self.line.error(kind, what, self.password)
    }

    async fn send(&mut self, packet: Option<Vec<u8>>) -> Result<(), HalError> {
        let Some(packet) = packet else {
            let what = "cannot be told this: a topic, a message or the login is too long";
            return Err(self.error(ErrorKind::InvalidInput, what));
        };
        self.line.send(&packet).await
    }

    async fn receive(&mut self, wanted: &str) -> Result<Received, HalError> {
        loop {
            match packet::parse(self.line.unread()) {
                Ok(Some((received, length))) => {
                    self.line.take(length);
                    return Ok(received);
                }
                Ok(None) => self.line.receive(wanted, self.password).await?,
                Err(what) => {
                    let error = self.error(ErrorKind::Protocol, what);
                    return Err(error.with_hint("is it an MQTT broker, and its port without TLS?"));
                }
            }
        }
    }

    /// A name that no other client has: a broker ends the connection of the one who had it.
    fn client_name(&self) -> Result<String, HalError> {
        let mut bytes = [0; 8];
        let flags = rustix::rand::GetRandomFlags::empty();
        rustix::rand::getrandom(&mut bytes, flags)
            .map_err(|error| HalError::from_io("make a name for", self.line.pdu(), error.into()))?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // 22 letters and digits: every broker has to take up to 23 (section 3.1.3.1).
        Ok(format!("pumice{digits}"))
    }

    fn greets_again(&self) -> HalError {
        self.error(
            ErrorKind::Protocol,
            "greets in the middle of the conversation",
        )
    }

    /// The codes of section 3.2.2.3.
    fn refused(&self, code: u8) -> HalError {
        let (kind, what) = match code {
            1 => (
                ErrorKind::Unsupported,
                "does not speak MQTT 3.1.1".to_owned(),
            ),
            3 => (ErrorKind::Busy, "is not available now".to_owned()),
            4 | 5 => (ErrorKind::PermissionDenied, "refuses the login".to_owned()),
            _ => (
                ErrorKind::Protocol,
                format!("refuses us with the code {code}"),
            ),
        };
        let error = self.error(kind, &what);
        match kind {
            ErrorKind::PermissionDenied => {
                error.with_hint("set 'username' and 'password' in the lab file, or correct them")
            }
            _ => error,
        }
    }
}
