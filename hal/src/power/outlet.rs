//! One outlet of a PDU as a board's power.

use super::{Outlet, Pdu, PowerAction, PowerControl, PowerState, SharedPdu};
use crate::{
    console::EpochCounter,
    error::{ErrorKind, HalError},
};
use async_trait::async_trait;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How an outlet takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutletTiming {
    /// How long a reset leaves it off: capacitors discharge, hubs notice. 2 s by default.
    pub off_for: Duration,
    /// How long the PDU may take from accepting a request to showing it in its state; some
    /// relays are slow, and some PDUs stagger their outlets. 5 s by default.
    pub settle: Duration,
    /// How long to wait between two looks at its state. 100 ms by default.
    pub poll: Duration,
}

impl Default for OutletTiming {
    fn default() -> Self {
        Self {
            off_for: Duration::from_secs(2),
            settle: Duration::from_secs(5),
            poll: Duration::from_millis(100),
        }
    }
}

/// One outlet of a PDU as a board's power.
///
/// After each request it reads the state back, where the PDU has one, and reports an outlet that
/// did not move as [`ErrorKind::Unconfirmed`] with the PDU's and the outlet's name. `On` and
/// `Reset` begin a new epoch, before the board can have power.
#[derive(Debug)]
pub struct OutletPower {
    pdu: SharedPdu,
    outlet: Outlet,
    timing: OutletTiming,
    epoch: EpochCounter,
}

impl OutletPower {
    /// Power by `outlet` of `pdu`.
    pub fn new(pdu: SharedPdu, outlet: Outlet, timing: OutletTiming, epoch: EpochCounter) -> Self {
        Self {
            pdu,
            outlet,
            timing,
            epoch,
        }
    }

    async fn switch(&self, to: PowerState, deadline: Instant) -> Result<(), HalError> {
        let mut pdu = self.pdu.lock(deadline).await?;
        pdu.switch(&self.outlet, to, deadline).await?;
        self.confirm(&mut **pdu, to, deadline).await
    }

    /// Reads the state until it is `wanted`; a PDU that cannot tell is believed.
    async fn confirm(
        &self,
        pdu: &mut dyn Pdu,
        wanted: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let settled = (Instant::now() + self.timing.settle).min(deadline);
        loop {
            match pdu.read(&self.outlet, deadline).await? {
                None => return Ok(()),
                Some(state) if state == wanted => return Ok(()),
                Some(_) if Instant::now() >= settled => return Err(self.unconfirmed(wanted)),
                Some(_) => sleep_until((Instant::now() + self.timing.poll).min(settled)).await,
            }
        }
    }

    fn unconfirmed(&self, wanted: PowerState) -> HalError {
        let (pdu, outlet) = (self.pdu.name(), &self.outlet);
        let is = match wanted {
            PowerState::On => PowerState::Off,
            PowerState::Off => PowerState::On,
        };
        let message = format!(
            "PDU '{pdu}' accepted '{wanted}' for outlet {outlet}, and the outlet is still {is}"
        );
        HalError::new(ErrorKind::Unconfirmed, pdu, message).with_hint(
            "look at the outlet: is it locked, overloaded, or its relay stuck? \
             A slow one needs a longer 'settle' in the lab file",
        )
    }

    /// Off and on by one request of the PDU, where it has that.
    async fn reboot(&self, deadline: Instant) -> Result<bool, HalError> {
        let mut pdu = self.pdu.lock(deadline).await?;
        if !pdu.reboot(&self.outlet, deadline).await? {
            return Ok(false);
        }
        self.confirm(&mut **pdu, PowerState::On, deadline).await?;
        Ok(true)
    }
}

#[async_trait]
impl PowerControl for OutletPower {
    async fn set(&mut self, action: PowerAction, deadline: Instant) -> Result<(), HalError> {
        match action {
            PowerAction::Off => self.switch(PowerState::Off, deadline).await,
            PowerAction::On => {
                self.epoch.advance();
                self.switch(PowerState::On, deadline).await
            }
            // Two requests, so that each can be read back: a PDU's own reboot shows "on" before
            // and after, whether it happened or not. It is used where the state cannot be read.
            PowerAction::Reset => {
                if self.state(deadline).await?.is_none() {
                    self.epoch.advance();
                    if self.reboot(deadline).await? {
                        return Ok(());
                    }
                }
                self.cycle(self.timing.off_for, deadline).await
            }
        }
    }

    async fn state(&mut self, deadline: Instant) -> Result<Option<PowerState>, HalError> {
        let mut pdu = self.pdu.lock(deadline).await?;
        pdu.read(&self.outlet, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What happened, in order.
    type Log = Arc<Mutex<Vec<String>>>;

    /// A PDU that shows what it was asked `lag` later, or never.
    struct Slow {
        log: Log,
        shows: Option<PowerState>,
        asked: Option<(PowerState, Instant)>,
        lag: Option<Duration>,
    }

    #[async_trait]
    impl Pdu for Slow {
        async fn switch(
            &mut self,
            outlet: &Outlet,
            to: PowerState,
            _: Instant,
        ) -> Result<(), HalError> {
            self.log.lock().unwrap().push(format!("{outlet} {to}"));
            self.asked = Some((to, Instant::now()));
            Ok(())
        }

        async fn read(&mut self, _: &Outlet, _: Instant) -> Result<Option<PowerState>, HalError> {
            if let (Some((to, at)), Some(lag)) = (self.asked, self.lag)
                && at.elapsed() >= lag
            {
                self.shows = Some(to);
            }
            Ok(self.shows)
        }

        async fn reboot(&mut self, outlet: &Outlet, _: Instant) -> Result<bool, HalError> {
            self.log.lock().unwrap().push(format!("{outlet} reboot"));
            Ok(true)
        }
    }

    fn outlet(shows: Option<PowerState>, lag: Option<Duration>) -> (OutletPower, Log) {
        let log = Log::default();
        let driver = Slow {
            log: log.clone(),
            shows,
            asked: None,
            lag,
        };
        let power = OutletPower::new(
            SharedPdu::new("rack1", Box::new(driver)),
            "3".parse().unwrap(),
            OutletTiming::default(),
            EpochCounter::default(),
        );
        (power, log)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_outlet_is_waited_for() {
        let (mut power, _) = outlet(Some(PowerState::Off), Some(Duration::from_secs(3)));
        let begun = Instant::now();
        power.set(PowerAction::On, soon()).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outlet_that_does_not_move_is_named() {
        let (mut power, _) = outlet(Some(PowerState::On), None);
        let error = power.set(PowerAction::Off, soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unconfirmed);
        assert_eq!(
            error.to_string(),
            "PDU 'rack1' accepted 'off' for outlet 3, and the outlet is still on"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_that_can_be_confirmed_is_off_a_wait_and_on() {
        let (mut power, log) = outlet(Some(PowerState::On), Some(Duration::ZERO));
        let begun = Instant::now();
        power.set(PowerAction::Reset, soon()).await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["3 off", "3 on"]);
        assert_eq!(begun.elapsed(), OutletTiming::default().off_for);
    }

    #[tokio::test(start_paused = true)]
    async fn a_blind_pdu_resets_by_itself() {
        let (mut power, log) = outlet(None, None);
        power.set(PowerAction::Reset, soon()).await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["3 reboot"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pdu_in_use_is_waited_for_until_the_deadline() {
        let (mut power, _) = outlet(None, None);
        let pdu = power.pdu.clone();
        let held = pdu.lock(soon()).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        let error = power.set(PowerAction::On, deadline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        drop(held);
        power.set(PowerAction::On, soon()).await.unwrap();
    }
}
