//! PDUs, plugs and relays that are switched by HTTP requests.
//!
//! Rows are requests and what their answers mean; `tables/http.toml` says how. Talked to by
//! [`OutletPower`](crate::power::OutletPower) through [`Pdu`]. Never follows a device to another
//! host, never reads more than 256 KiB, and keeps no connection or login between requests.

mod client;
mod cookies;
mod digest;
mod encoding;
mod failure;
mod judge;
mod row;
mod template;

use crate::{
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
};
use async_trait::async_trait;
use client::Device;
use cookies::Session;
use failure::Failure;
use judge::Shown;
use row::{Request, Row};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// The family.
pub(super) static HTTP: Family = Family {
    name: "http",
    description: "HTTP and HTTPS: pages with parameters, REST, JSON-RPC, XML-RPC",
    table: include_str!("../tables/http.toml"),
    parse,
};

/// How long to wait before asking an outlet again that is about to move.
const PENDING: Duration = Duration::from_millis(200);

fn parse(table: toml::Table) -> Result<Arc<dyn Open>, String> {
    let row = Row::parse(table.clone())?;
    Ok(Arc::new(HttpModel { table, row }))
}

struct HttpModel {
    table: toml::Table,
    row: Row,
}

impl Open for HttpModel {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let row = Row::with_options(&self.table, config)?;
        let device = Device::new(&row, config)?;
        let timeout = config.request_timeout();
        Ok(Box::new(HttpPdu {
            row,
            device,
            timeout,
        }))
    }

    fn reads_back(&self) -> bool {
        self.row.state.is_some()
    }
}

struct HttpPdu {
    row: Row,
    device: Device,
    timeout: Duration,
}

impl HttpPdu {
    /// Logs in, asks, and logs out, within the time of one request; gives the answer's text.
    async fn exchange(
        &mut self,
        outlet: &Outlet,
        request: &Request,
        deadline: Instant,
    ) -> Result<String, HalError> {
        if let Some([first, last]) = self.row.outlets {
            outlet.number(&self.device.pdu, first, last)?;
        }
        let begun = Instant::now();
        let end = deadline.min(begun + self.timeout);
        let (row, device) = (&self.row, &mut self.device);
        let steps = async {
            device.prepare(row).await?;
            let mut session = Session::default();
            for login in &row.login {
                device
                    .ask(row, &mut session, outlet.as_str(), login)
                    .await?;
            }
            let answer = device
                .ask(row, &mut session, outlet.as_str(), request)
                .await;
            for logout in &row.logout {
                // It was asked and has answered; that it does not let go is its own trouble.
                let _ = device.ask(row, &mut session, outlet.as_str(), logout).await;
            }
            answer
        };
        let result = match timeout_at(end, steps).await {
            Ok(result) => result,
            Err(_) => {
                let waited = begun.elapsed().as_secs_f64();
                let what = format!("it does not answer within {waited:.1} s");
                Err(Failure::new(ErrorKind::Timeout, what)
                    .hint("is it switched on, and is its address right?"))
            }
        };
        result.map_err(|failure| self.device.error(failure))
    }

    /// A request that changes something, judged by the row's own expectation too.
    async fn command(
        &mut self,
        outlet: &Outlet,
        request: &Request,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let answer = self.exchange(outlet, request, deadline).await?;
        if let (Some(expect), None) = (&self.row.expect, &request.expect) {
            let values = self.device.values(outlet.as_str(), request);
            let judged = expect.judge(&answer, values);
            judged.map_err(|what| self.device.error(Failure::answer(what)))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Pdu for HttpPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let request = match to {
            PowerState::On => self.row.on.clone(),
            PowerState::Off => self.row.off.clone(),
        };
        match request {
            Some(request) => self.command(outlet, &request, deadline).await,
            None => Ok(()),
        }
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let (Some(request), Some(show)) = (self.row.state.clone(), self.row.show.clone()) else {
            return Ok(None);
        };
        let end = deadline.min(Instant::now() + self.timeout);
        loop {
            let answer = self.exchange(outlet, &request, deadline).await?;
            let values = self.device.values(outlet.as_str(), &request);
            match show.state(&answer, values) {
                Ok(Shown::State(state)) => return Ok(Some(state)),
                Ok(Shown::Pending) if Instant::now() + PENDING < end => sleep(PENDING).await,
                Ok(Shown::Pending) => {
                    let what = format!("outlet {outlet} is about to move, and does not");
                    return Err(self.device.error(Failure::new(ErrorKind::Timeout, what)));
                }
                Err(what) => return Err(self.device.error(Failure::answer(what))),
            }
        }
    }

    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        match self.row.reboot.clone() {
            Some(request) => self
                .command(outlet, &request, deadline)
                .await
                .map(|()| true),
            None => Ok(false),
        }
    }
}
