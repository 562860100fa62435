//! PDUs that are switched by SNMP: versions 1, 2c and 3.
//!
//! Rows name variables and values; `tables/snmp.toml` says how. Talked to by
//! [`OutletPower`](crate::power::OutletPower) through [`Pdu`]. Never walks an agent's variables,
//! and never reads a MIB.

mod ber;
mod message;
mod row;
mod session;
mod usm;

use crate::{
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
};
use async_trait::async_trait;
use row::Row;
use session::Agent;
use std::sync::Arc;
use tokio::time::Instant;

/// The family.
pub(super) static SNMP: Family = Family {
    name: "snmp",
    description: "SNMP versions 1, 2c and 3 over UDP",
    table: include_str!("../tables/snmp.toml"),
    parse,
};

fn parse(table: toml::Table) -> Result<Arc<dyn Open>, String> {
    let row = Row::parse(table.clone())?;
    Ok(Arc::new(SnmpModel { table, row }))
}

/// Reads a message as an agent's answer of each version, for the fuzzer: it must not panic.
#[cfg(fuzzing)]
pub fn read_any(message: &[u8]) {
    for number in [0, 1] {
        let _ = message::Answer::of_message(message, number);
    }
    usm::read_any(message);
}

struct SnmpModel {
    table: toml::Table,
    row: Row,
}

impl Open for SnmpModel {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let row = Row::with_options(&self.table, config)?;
        row.check_complete().map_err(|what| config.invalid(&what))?;
        let credentials = row.credentials(config)?;
        let timeout = config.request_timeout();
        let agent = Agent::new(&config.name, config.address()?, credentials, timeout);
        Ok(Box::new(SnmpPdu { row, agent }))
    }

    fn reads_back(&self) -> bool {
        self.row.reads_back()
    }
}

struct SnmpPdu {
    row: Row,
    agent: Agent,
}

#[async_trait]
impl Pdu for SnmpPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        if let Some(request) = self.row.switch(&self.agent.pdu, outlet, to)? {
            self.agent.ask(&request, true, deadline).await?;
        }
        Ok(())
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let Some(request) = self.row.state(&self.agent.pdu, outlet)? else {
            return Ok(None);
        };
        let value = self.agent.ask(&request, true, deadline).await?;
        match self.row.meaning(&value) {
            Some(state) => Ok(Some(state)),
            None => {
                let pdu = &self.agent.pdu;
                let message = format!(
                    "PDU '{pdu}': the state of outlet {outlet} is {value:?}, which means neither \
                     on nor off"
                );
                Err(HalError::new(ErrorKind::Protocol, pdu, message)
                    .with_hint("is it of another model than the lab file says?"))
            }
        }
    }

    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        let Some(request) = self.row.reboot(&self.agent.pdu, outlet)? else {
            return Ok(false);
        };
        // Sent once: twice could be two reboots.
        self.agent.ask(&request, false, deadline).await?;
        Ok(true)
    }
}
