//! Power that fails, and PDUs that lie.

use super::Plan;
use crate::{
    error::{ErrorKind, HalError},
    power::{Outlet, Pdu, PowerAction, PowerControl, PowerState},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Something that goes wrong with a request to switch. Positions of its [`Plan`] count the
/// requests; reading a state is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerFault {
    /// It says OK and does nothing: a stuck relay. Reading back shows it.
    Ignore,
    /// It says OK, does nothing, and shows the state that was asked for, until the next honest
    /// request: only the board's console can tell.
    Lie,
    /// It says OK and does the opposite: a relay wired to the wrong contact.
    Opposite,
    /// It takes this long, or until the deadline.
    Delay(Duration),
    /// It fails like this, and does nothing.
    Fail(ErrorKind),
}

/// What becomes of one request.
enum Outcome {
    Done,
    Nothing,
    Lie,
    Opposite,
}

/// Decides about requests.
#[derive(Debug)]
struct Whims {
    plan: Plan<PowerFault>,
    next: Option<(u64, PowerFault)>,
    requests: u64,
}

impl Whims {
    fn new(mut plan: Plan<PowerFault>) -> Self {
        let next = plan.take();
        Self {
            plan,
            next,
            requests: 0,
        }
    }

    async fn decide(&mut self, subject: &str, deadline: Instant) -> Result<Outcome, HalError> {
        let now = self.requests;
        self.requests += 1;
        let mut outcome = Outcome::Done;
        while let Some((_, fault)) = self.next.take_if(|(at, _)| *at <= now) {
            self.next = self.plan.take();
            outcome = match fault {
                PowerFault::Ignore => Outcome::Nothing,
                PowerFault::Lie => Outcome::Lie,
                PowerFault::Opposite => Outcome::Opposite,
                PowerFault::Fail(kind) => return Err(self.error(subject, kind, "fails")),
                PowerFault::Delay(duration) => {
                    let done = Instant::now() + duration;
                    sleep_until(done.min(deadline)).await;
                    if done > deadline {
                        return Err(self.error(subject, ErrorKind::Timeout, "is too slow"));
                    }
                    outcome
                }
            };
        }
        Ok(outcome)
    }

    fn error(&self, subject: &str, kind: ErrorKind, what: &str) -> HalError {
        let message = format!("{subject} {what}, as planned ({})", self.plan);
        HalError::new(kind, subject, message)
    }
}

fn opposite(state: PowerState) -> PowerState {
    match state {
        PowerState::On => PowerState::Off,
        PowerState::Off => PowerState::On,
    }
}

/// A board's power that fails as a plan says.
#[derive(Debug)]
pub struct FaultyPower<P> {
    power: P,
    whims: Whims,
    claimed: Option<PowerState>,
}

impl<P: PowerControl> FaultyPower<P> {
    /// Lets requests to `power` fail as `plan` says.
    pub fn new(power: P, plan: Plan<PowerFault>) -> Self {
        Self {
            power,
            whims: Whims::new(plan),
            claimed: None,
        }
    }

    /// Ends the faults.
    pub fn into_inner(self) -> P {
        self.power
    }
}

#[async_trait]
impl<P: PowerControl> PowerControl for FaultyPower<P> {
    async fn set(&mut self, action: PowerAction, deadline: Instant) -> Result<(), HalError> {
        let outcome = self.whims.decide("the board's power", deadline).await?;
        self.claimed = None;
        match outcome {
            Outcome::Done => self.power.set(action, deadline).await,
            Outcome::Nothing => Ok(()),
            Outcome::Lie => {
                self.claimed = Some(match action {
                    PowerAction::Off => PowerState::Off,
                    PowerAction::On | PowerAction::Reset => PowerState::On,
                });
                Ok(())
            }
            Outcome::Opposite => {
                let instead = match action {
                    PowerAction::Off => PowerAction::On,
                    PowerAction::On | PowerAction::Reset => PowerAction::Off,
                };
                self.power.set(instead, deadline).await
            }
        }
    }

    fn supports(&self, action: PowerAction) -> bool {
        self.power.supports(action)
    }

    async fn state(&mut self, deadline: Instant) -> Result<Option<PowerState>, HalError> {
        match self.claimed {
            Some(claimed) => Ok(Some(claimed)),
            None => self.power.state(deadline).await,
        }
    }
}

/// A PDU that fails, and lies, as a plan says.
#[derive(Debug)]
pub struct FaultyPdu<P> {
    pdu: P,
    whims: Whims,
    claimed: BTreeMap<Outlet, PowerState>,
}

impl<P: Pdu> FaultyPdu<P> {
    /// Lets requests to `pdu` fail as `plan` says.
    pub fn new(pdu: P, plan: Plan<PowerFault>) -> Self {
        Self {
            pdu,
            whims: Whims::new(plan),
            claimed: BTreeMap::new(),
        }
    }

    /// Ends the faults.
    pub fn into_inner(self) -> P {
        self.pdu
    }
}

#[async_trait]
impl<P: Pdu> Pdu for FaultyPdu<P> {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let outcome = self.whims.decide("the PDU", deadline).await?;
        self.claimed.remove(outlet);
        match outcome {
            Outcome::Done => self.pdu.switch(outlet, to, deadline).await,
            Outcome::Opposite => self.pdu.switch(outlet, opposite(to), deadline).await,
            Outcome::Nothing => Ok(()),
            Outcome::Lie => {
                self.claimed.insert(outlet.clone(), to);
                Ok(())
            }
        }
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        match self.claimed.get(outlet) {
            Some(&claimed) => Ok(Some(claimed)),
            None => self.pdu.read(outlet, deadline).await,
        }
    }

    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        match self.whims.decide("the PDU", deadline).await? {
            Outcome::Done => self.pdu.reboot(outlet, deadline).await,
            // A reboot that did not happen shows "on" before and after: lie and truth look alike.
            Outcome::Nothing | Outcome::Lie | Outcome::Opposite => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        console::EpochCounter,
        power::{OutletPower, OutletTiming, SharedPdu},
    };

    /// A PDU that always does as it is told.
    #[derive(Default)]
    struct Honest(BTreeMap<Outlet, PowerState>);

    #[async_trait]
    impl Pdu for Honest {
        async fn switch(
            &mut self,
            outlet: &Outlet,
            to: PowerState,
            _: Instant,
        ) -> Result<(), HalError> {
            self.0.insert(outlet.clone(), to);
            Ok(())
        }

        async fn read(
            &mut self,
            outlet: &Outlet,
            _: Instant,
        ) -> Result<Option<PowerState>, HalError> {
            Ok(Some(self.0.get(outlet).copied().unwrap_or(PowerState::Off)))
        }
    }

    fn outlet(faults: impl IntoIterator<Item = (u64, PowerFault)>) -> OutletPower {
        let pdu = FaultyPdu::new(Honest::default(), Plan::listed(faults));
        OutletPower::new(
            SharedPdu::new("rack1", Box::new(pdu)),
            "3".parse().unwrap(),
            OutletTiming::default(),
            EpochCounter::default(),
        )
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test(start_paused = true)]
    async fn reading_back_finds_what_was_not_done() {
        for fault in [PowerFault::Ignore, PowerFault::Opposite] {
            let mut power = outlet([(1, fault)]);
            power.set(PowerAction::On, soon()).await.unwrap();
            let switched = power.set(PowerAction::Off, soon()).await;
            match fault {
                // Asked for off, the relay does "on": it is on, and was asked for off.
                PowerFault::Ignore | PowerFault::Opposite => {
                    assert_eq!(switched.unwrap_err().kind(), ErrorKind::Unconfirmed);
                }
                _ => unreachable!(),
            }
            // The next one is honest again.
            power.set(PowerAction::Off, soon()).await.unwrap();
            assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lie_is_believed_until_the_next_request() {
        let pdu = FaultyPdu::new(Honest::default(), Plan::listed([(0, PowerFault::Lie)]));
        let shared = SharedPdu::new("rack1", Box::new(pdu));
        let timing = OutletTiming::default();
        let mut power = OutletPower::new(
            shared,
            "3".parse().unwrap(),
            timing,
            EpochCounter::default(),
        );
        power.set(PowerAction::On, soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_request_is_done_late_or_not_at_all() {
        let delay = Duration::from_secs(3);
        let mut power = FaultyPower::new(
            outlet([]),
            Plan::listed([(0, PowerFault::Delay(delay)), (1, PowerFault::Delay(delay))]),
        );
        let begun = Instant::now();
        power.set(PowerAction::On, soon()).await.unwrap();
        assert_eq!(begun.elapsed(), delay);
        let deadline = Instant::now() + Duration::from_secs(1);
        let error = power.set(PowerAction::Off, deadline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(Instant::now(), deadline);
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
    }

    #[tokio::test(start_paused = true)]
    async fn board_power_lies_and_fails_and_does_the_opposite() {
        let plan = Plan::listed([
            (0, PowerFault::Lie),
            (1, PowerFault::Fail(ErrorKind::Closed)),
            (2, PowerFault::Opposite),
            (3, PowerFault::Ignore),
        ]);
        let mut power = FaultyPower::new(outlet([]), plan);
        power.set(PowerAction::On, soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
        let error = power.set(PowerAction::On, soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        // Off, done as on.
        power.set(PowerAction::Off, soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
        power.set(PowerAction::Off, soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
        power.set(PowerAction::Off, soon()).await.unwrap();
        assert_eq!(
            power.into_inner().state(soon()).await.unwrap(),
            Some(PowerState::Off)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_seed_gives_the_same_failures_again() {
        let outcomes = async |seed| {
            let faults = [PowerFault::Ignore, PowerFault::Fail(ErrorKind::Protocol)];
            let plan = Plan::drawn(seed, 3.try_into().unwrap(), faults);
            let mut power = FaultyPower::new(outlet([]), plan);
            let mut kinds = Vec::new();
            for _ in 0..50 {
                let result = power.set(PowerAction::On, soon()).await;
                kinds.push(result.err().map(|error| (error.kind(), error.to_string())));
            }
            kinds
        };
        assert_eq!(outcomes(9).await, outcomes(9).await);
        assert_ne!(outcomes(9).await, outcomes(10).await);
        let failed = outcomes(9).await.into_iter().flatten().next().unwrap();
        assert!(failed.1.contains("seed 9"), "{}", failed.1);
    }
}
