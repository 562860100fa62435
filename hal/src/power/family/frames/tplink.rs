//! TP-Link's smart plugs and strips (HS1xx, HS300, KP…): JSON over TCP port 9999, each byte
//! hidden by the one before it. There is no login: who reaches the port switches the plug.
//!
//! Newer plugs speak KLAP or TPAP over HTTP, with a cloud account's password; those are not
//! spoken here.

use super::super::line::{Line, Target};
use crate::{
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{Outlet, Pdu, PowerState},
};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What the first byte is hidden by.
const FIRST_KEY: u8 = 171;

/// The longest answer: a strip with six outlets needs 2 KiB.
const LONGEST_ANSWER: usize = 32 * 1024;

/// A driver for the plug or strip at `target`.
pub(super) fn open(target: Target, _: &PduConfig) -> Box<dyn Pdu> {
    Box::new(TpLink { target })
}

struct TpLink {
    target: Target,
}

/// What a plug says of itself, as far as we need it.
#[derive(Deserialize)]
struct SystemInformation {
    relay_state: Option<u8>,
    #[serde(default)]
    children: Vec<Child>,
}

/// One outlet of a strip.
#[derive(Deserialize)]
struct Child {
    id: String,
    #[serde(default)]
    alias: String,
    state: Option<u8>,
}

/// An outlet: its id where the plug is a strip, and whether it is on.
struct Found {
    child: Option<String>,
    state: Option<u8>,
}

impl TpLink {
    /// Asks, and gives the part of the answer that is called `part` in `system`.
    async fn ask(&self, line: &mut Line, question: &Value, part: &str) -> Result<Value, HalError> {
        line.send(&encode(&question.to_string())).await?;
        let header = receive(line, 4).await?;
        let length = header
            .iter()
            .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if length > LONGEST_ANSWER {
            let what = format!("announces an answer of {length} bytes");
            return Err(line.error(ErrorKind::Protocol, &what, ""));
        }
        let hidden = receive(line, length).await?;
        let answer: Option<Value> = serde_json::from_slice(&decode(&hidden)).ok();
        let pointer = format!("/system/{part}");
        let Some(answer) = answer.and_then(|mut answer| Some(answer.pointer_mut(&pointer)?.take()))
        else {
            let what = "gave an answer that makes no sense";
            return Err(line.error(ErrorKind::Protocol, what, ""));
        };
        match answer.get("err_code").and_then(Value::as_i64) {
            None | Some(0) => Ok(answer),
            Some(code) => {
                let text = answer
                    .get("err_msg")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let what = format!("refused with code {code}: {}", text.escape_debug());
                Err(line.error(ErrorKind::CommandFailed, &what, ""))
            }
        }
    }

    async fn find(&self, line: &mut Line, outlet: &Outlet) -> Result<Found, HalError> {
        let question = json!({ "system": { "get_sysinfo": {} } });
        let answer = self.ask(line, &question, "get_sysinfo").await?;
        let Ok(plug) = SystemInformation::deserialize(answer) else {
            let what = "says nothing of its relays";
            return Err(line.error(ErrorKind::Protocol, what, ""));
        };
        if plug.children.is_empty() {
            outlet.number(self.target.pdu(), 1, 1)?;
            return Ok(Found {
                child: None,
                state: plug.relay_state,
            });
        }
        let name = outlet.as_str();
        let named = |child: &&Child| child.alias == name || child.id == name;
        let child = match plug.children.iter().find(named) {
            Some(child) => child,
            None => {
                let last = u32::try_from(plug.children.len()).unwrap_or(u32::MAX);
                let number = outlet.number(self.target.pdu(), 1, last)?;
                &plug.children[number as usize - 1]
            }
        };
        Ok(Found {
            child: Some(child.id.clone()),
            state: child.state,
        })
    }
}

#[async_trait]
impl Pdu for TpLink {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let mut line = self.target.connect(deadline).await?;
        let found = self.find(&mut line, outlet).await?;
        let state = u8::from(to == PowerState::On);
        let mut request = json!({ "system": { "set_relay_state": { "state": state } } });
        if let Some(child) = found.child {
            request["context"] = json!({ "child_ids": [child] });
        }
        self.ask(&mut line, &request, "set_relay_state").await?;
        line.close().await;
        Ok(())
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let mut line = self.target.connect(deadline).await?;
        let found = self.find(&mut line, outlet).await?;
        let state = match found.state {
            Some(1) => PowerState::On,
            Some(0) => PowerState::Off,
            _ => {
                let what = format!("tells no state of outlet '{outlet}'");
                return Err(line.error(ErrorKind::Protocol, &what, ""));
            }
        };
        line.close().await;
        Ok(Some(state))
    }
}

async fn receive(line: &mut Line, length: usize) -> Result<Vec<u8>, HalError> {
    while line.unread().len() < length {
        line.receive("its answer", "").await?;
    }
    Ok(line.take(length))
}

/// `text` with its length before it, each byte hidden by the hidden one before.
fn encode(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut frame = length.to_be_bytes().to_vec();
    let mut key = FIRST_KEY;
    for byte in text.bytes() {
        key ^= byte;
        frame.push(key);
    }
    frame
}

/// What was hidden.
fn decode(hidden: &[u8]) -> Vec<u8> {
    let mut key = FIRST_KEY;
    let shown = hidden
        .iter()
        .map(|byte| std::mem::replace(&mut key, *byte) ^ byte);
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_bytes_are_those_that_every_client_sends() {
        // 0xAB ^ '{' = 0xD0, 0xD0 ^ '"' = 0xF2, …
        assert_eq!(encode("{\"s"), [0, 0, 0, 3, 0xd0, 0xf2, 0x81]);
    }

    proptest! {
        #[test]
        fn what_is_hidden_is_found(text in ".{0,60}") {
            let frame = encode(&text);
            prop_assert_eq!(decode(&frame[4..]), text.as_bytes());
        }
    }
}
