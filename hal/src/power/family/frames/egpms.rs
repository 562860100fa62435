//! Energenie's power strips on the network (EG-PMS-LAN, EG-PM2-LAN, EG-PMS-WLAN): TCP port 5000,
//! a challenge that is answered with the password, and states hidden by both.
//!
//! The strip sends a task of four bytes; the answer proves the password. Then it tells its four
//! states, and takes four controls: on, off, or leave alone. It never says "wrong password": it
//! says nothing.

use super::super::line::{Line, Target};
use crate::{
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{Outlet, Pdu, PowerState},
};
use async_trait::async_trait;
use tokio::time::Instant;

/// Begins a session, and ends one at once, where the strip would otherwise wait four seconds.
const ATTENTION: &[u8] = &[0x11];

const OUTLETS: usize = 4;
const SWITCH_ON: u8 = 1;
const SWITCH_OFF: u8 = 2;
const LEAVE: u8 = 4;

/// A driver for the strip at `target`.
pub(super) fn open(target: Target, config: &PduConfig) -> Box<dyn Pdu> {
    let password = config.password.as_ref();
    let key = key(password.map_or("", |password| password.expose()));
    Box::new(EgPms { target, key })
}

struct EgPms {
    target: Target,
    key: [u8; 8],
}

/// A session after the login.
struct Session {
    line: Line,
    cipher: Cipher,
    states: [u8; OUTLETS],
}

/// What hides states and controls.
#[derive(Clone, Copy)]
struct Cipher {
    task: [u8; 4],
    key: [u8; 8],
}

impl EgPms {
    async fn log_in(&self, deadline: Instant) -> Result<Session, HalError> {
        let mut line = self.target.connect(deadline).await?;
        line.send(ATTENTION).await?;
        let task = receive(&mut line, "its task").await?;
        let cipher = Cipher {
            task,
            key: self.key,
        };
        line.send(&cipher.answer()).await?;
        let states =
            receive(&mut line, "its states")
                .await
                .map_err(|error| match error.kind() {
                    // A wrong password is met with silence.
                    ErrorKind::Timeout | ErrorKind::Closed => {
                        let what = "refused the password, or fell silent";
                        line.error(ErrorKind::PermissionDenied, what, "").with_hint(
                            "set 'password' of this PDU in the lab file; it ignores a wrong one",
                        )
                    }
                    _ => error,
                })?;
        let states = cipher.states(states);
        Ok(Session {
            line,
            cipher,
            states,
        })
    }

    fn index(&self, outlet: &Outlet) -> Result<usize, HalError> {
        Ok(outlet.number(self.target.pdu(), 1, OUTLETS as u32)? as usize - 1)
    }
}

impl Session {
    async fn leave(mut self) {
        let _ = self.line.send(ATTENTION).await;
        self.line.close().await;
    }
}

#[async_trait]
impl Pdu for EgPms {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let index = self.index(outlet)?;
        let mut session = self.log_in(deadline).await?;
        let mut controls = [LEAVE; OUTLETS];
        controls[index] = match to {
            PowerState::On => SWITCH_ON,
            PowerState::Off => SWITCH_OFF,
        };
        session
            .line
            .send(&session.cipher.controls(controls))
            .await?;
        // It tells the new states: it has taken the controls.
        receive(&mut session.line, "its new states").await?;
        session.leave().await;
        Ok(())
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let index = self.index(outlet)?;
        let session = self.log_in(deadline).await?;
        let Some(state) = state(session.states[index]) else {
            // A wrong password is the likeliest reason of states that are none.
            let what = format!("tells no state of outlet '{outlet}'");
            return Err(session.line.error(ErrorKind::Protocol, &what, ""));
        };
        session.leave().await;
        Ok(Some(state))
    }
}

/// What a state means, by firmware: 2.0 (with and without voltage behind the relay), 2.1, WLAN.
fn state(state: u8) -> Option<PowerState> {
    match state {
        0x11 | 0x12 | 0x41 | 0x51 => Some(PowerState::On),
        0x22 | 0x21 | 0x82 | 0x92 => Some(PowerState::Off),
        _ => None,
    }
}

async fn receive(line: &mut Line, wanted: &str) -> Result<[u8; 4], HalError> {
    loop {
        if let Some(four) = line.unread().first_chunk::<4>() {
            let four = *four;
            line.take(4);
            return Ok(four);
        }
        line.receive(wanted, "").await?;
    }
}

/// The password as eight bytes, filled up with spaces.
fn key(password: &str) -> [u8; 8] {
    let mut key = [b' '; 8];
    for (slot, byte) in key.iter_mut().zip(password.bytes()) {
        *slot = byte;
    }
    key
}

impl Cipher {
    /// The proof that we know the password.
    fn answer(&self) -> [u8; 4] {
        let [low, high] = [0, 1].map(|half| {
            let task = |index: usize| u16::from(self.task[half + index]);
            let key = |index: usize| u16::from(self.key[half + index]);
            let product = (task(0) ^ key(2)).wrapping_mul(key(0));
            (product ^ (key(4) << 8 | key(6)) ^ task(2)).to_le_bytes()
        });
        [low[0], low[1], high[0], high[1]]
    }

    fn hide(&self, value: u8) -> u8 {
        let mixed = (value ^ self.task[2]).wrapping_add(self.task[3]);
        (mixed ^ self.key[0]).wrapping_add(self.key[1])
    }

    fn show(&self, hidden: u8) -> u8 {
        let mixed = hidden.wrapping_sub(self.key[1]) ^ self.key[0];
        mixed.wrapping_sub(self.task[3]) ^ self.task[2]
    }

    /// The states of outlets 1 to 4: they are sent last outlet first.
    fn states(&self, mut hidden: [u8; OUTLETS]) -> [u8; OUTLETS] {
        hidden.reverse();
        hidden.map(|hidden| self.show(hidden))
    }

    /// Controls of outlets 1 to 4 as they are sent.
    fn controls(&self, mut controls: [u8; OUTLETS]) -> [u8; OUTLETS] {
        controls.reverse();
        controls.map(|control| self.hide(control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_hidden_is_found(task: [u8; 4], password in "[ -~]{0,10}", states: [u8; 4]) {
            let cipher = Cipher { task, key: key(&password) };
            prop_assert_eq!(cipher.states(cipher.controls(states)), states);
        }

        #[test]
        fn the_answer_depends_on_the_password(task: [u8; 4]) {
            let answer = |password| Cipher { task, key: key(password) }.answer();
            prop_assert_ne!(answer("secret"), answer("Secres"));
            prop_assert_eq!(answer("longer than eight"), answer("longer t"));
        }
    }
}
