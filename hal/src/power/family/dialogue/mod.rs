//! PDUs with a command line or menus, over telnet, raw TCP or a serial line.
//!
//! A row of the table says what to wait for and what to type: [`row`] has the keys, and
//! `session` walks through them. Each request is a session of its own, from login to logout:
//! most of these PDUs have one session, and somebody at the keyboard wants it too.

mod row;
mod session;
mod template;

use super::line::{SerialOptions, Target};
use crate::{
    error::HalError,
    lab::PduConfig,
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
};
use async_trait::async_trait;
use row::{Row, Step};
use session::Session;
use std::sync::Arc;
use template::Values;
use tokio::time::Instant;

/// The family.
pub(super) const DIALOGUE: Family = Family {
    name: "dialogue",
    description: "command lines and menus over telnet, raw TCP or a serial line",
    table: include_str!("../../tables/dialogue.toml"),
    parse: |row| Ok(Arc::new(Model(Arc::new(Row::parse(row)?)))),
};

/// A row of the table.
struct Model(Arc<Row>);

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let serial: SerialOptions = config.options()?;
        let row = self.0.clone();
        let username = config
            .username
            .clone()
            .unwrap_or_else(|| row.username.clone());
        let password = match &config.password {
            Some(password) => password.expose().to_owned(),
            None => row.password.clone(),
        };
        for (what, text) in [("username", &username), ("password", &password)] {
            if text.chars().any(char::is_control) {
                let what = format!("its {what} has a control character, which would be typed");
                return Err(config.invalid(&what));
            }
        }
        let target = Target::new(config, &row.reach, serial)?;
        Ok(Box::new(Dialogue {
            row,
            target,
            username,
            password,
        }))
    }

    fn reads_back(&self) -> bool {
        !self.0.state.is_empty()
    }
}

/// One PDU. Nothing is kept between two requests, so that a cancelled one leaves nothing behind.
struct Dialogue {
    row: Arc<Row>,
    target: Target,
    username: String,
    password: String,
}

impl Dialogue {
    async fn run(
        &self,
        steps: &[Step],
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let number = match self.row.outlets {
            Some([first, last]) => Some(outlet.number(self.target.pdu(), first, last)?),
            None => outlet.as_str().parse().ok(),
        };
        let values = Values {
            outlet: outlet.as_str(),
            number,
            username: &self.username,
            password: &self.password,
        };
        let line = self.target.connect(deadline).await?;
        let mut session = Session::new(&self.row, line, values)?;
        session.walk(&self.row.login).await?;
        let state = session.walk(steps).await?;
        session.leave().await;
        Ok(state)
    }
}

#[async_trait]
impl Pdu for Dialogue {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let steps = match to {
            PowerState::On => &self.row.on,
            PowerState::Off => &self.row.off,
        };
        self.run(steps, outlet, deadline).await.map(drop)
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        if self.row.state.is_empty() {
            return Ok(None);
        }
        self.run(&self.row.state, outlet, deadline).await
    }

    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        if self.row.reboot.is_empty() {
            return Ok(false);
        }
        self.run(&self.row.reboot, outlet, deadline).await?;
        Ok(true)
    }
}
