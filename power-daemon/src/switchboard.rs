//! Does what clients ask for: in order for each outlet, bounded in number and in time.

use crate::{Action, Refusal, Request, Target};
use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::Lab,
    power::{PowerAction, PowerControl, PowerState},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex as StdMutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::TaskTracker;

/// What the daemon allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request may take, delays and the off-time of a reboot not counted; 30 s by
    /// default.
    pub timeout: Duration,
    /// How many requests to one PDU may wait or run; further ones are refused. 64 by default.
    pub queue: usize,
    /// How long a reboot leaves an outlet off when the client does not say; `None`: as long as the
    /// lab file says, or by the PDU's own reboot.
    pub off_for: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            queue: 64,
            off_for: None,
        }
    }
}

/// The key of an outlet: the names of its PDU and itself.
type Key = (String, String);

/// A lab whose outlets clients switch.
pub struct Switchboard {
    lab: Lab,
    /// PDUs that cannot be used, and why: the others can.
    unusable: BTreeMap<String, String>,
    limits: Limits,
    queues: BTreeMap<String, Arc<Semaphore>>,
    /// Outlets in use. An entry lives as long as somebody uses or waits for it.
    outlets: StdMutex<HashMap<Key, Weak<Mutex<()>>>>,
    tasks: TaskTracker,
}

impl Switchboard {
    /// A switchboard for `lab`.
    pub fn new(lab: Lab, limits: Limits) -> Self {
        let queues = lab
            .pdus()
            .map(|name| (name.to_owned(), Arc::new(Semaphore::new(limits.queue))))
            .collect();
        Self {
            lab,
            unusable: BTreeMap::new(),
            limits,
            queues,
            outlets: StdMutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Names PDUs that are configured and cannot be used, with the reason that their clients get.
    #[must_use]
    pub fn with_unusable(mut self, unusable: BTreeMap<String, String>) -> Self {
        self.unusable = unusable;
        self
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Does a request; returns once it is done. Waits for requests before it to the same outlet.
    ///
    /// When the future is dropped, an exchange with a PDU may be half done.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn control(&self, request: &Request) -> Result<(), Refusal> {
        let mut place = self.place(&request.target)?;
        let wait = match request.action {
            Action::Reboot => Duration::ZERO,
            Action::On | Action::Off => request.delay.unwrap_or_default(),
        };
        sleep(wait).await;
        let off_for = match request.action {
            Action::Reboot => request.delay.or(self.limits.off_for),
            Action::On | Action::Off => None,
        };
        let deadline = Instant::now() + self.limits.timeout + off_for.unwrap_or_default();
        let _turn = self.turn(&place.key, deadline).await?;
        let power = &mut place.power;
        match (request.action, off_for) {
            (Action::On, _) => power.set(PowerAction::On, deadline).await?,
            (Action::Off, _) => power.set(PowerAction::Off, deadline).await?,
            (Action::Reboot, None) => power.set(PowerAction::Reset, deadline).await?,
            (Action::Reboot, Some(off_for)) => power.cycle(off_for, deadline).await?,
        }
        Ok(())
    }

    /// Whether an outlet is on; `None` when its PDU cannot tell.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub async fn status(&self, target: &Target) -> Result<Option<PowerState>, Refusal> {
        let mut place = self.place(target)?;
        let deadline = Instant::now() + self.limits.timeout;
        Ok(place.power.state(deadline).await?)
    }

    /// Where requests run that outlive their client.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Waits until what was begun is done. Their deadlines bound it.
    pub(crate) async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Finds an outlet and a place in the queue of its PDU.
    fn place(&self, target: &Target) -> Result<Place, Refusal> {
        let (key, power) = self.find(target)?;
        let Some(queue) = self.queues.get(&key.0) else {
            return Err(Refusal::NotFound(format!("there is no PDU '{}'", key.0)));
        };
        let permit = Arc::clone(queue).try_acquire_owned().map_err(|_| {
            let (pdu, most) = (&key.0, self.limits.queue);
            Refusal::TooMany(format!("{most} requests wait for PDU '{pdu}' already"))
        })?;
        Ok(Place {
            key,
            power,
            _permit: permit,
        })
    }

    fn find(&self, target: &Target) -> Result<(Key, Box<dyn PowerControl>), Refusal> {
        let epoch = EpochCounter::default();
        match target {
            Target::Outlet { pdu, outlet } => {
                self.check_usable(pdu)?;
                let power = self
                    .lab
                    .outlet(pdu, outlet, epoch)
                    .map_err(Refusal::of_name)?;
                Ok(((pdu.clone(), outlet.clone()), Box::new(power)))
            }
            Target::Board(board) => {
                self.check_usable(board)?;
                let power = self.lab.power(board, epoch).map_err(Refusal::of_name)?;
                let place = self
                    .lab
                    .board(board)
                    .map_err(Refusal::of_name)?
                    .power
                    .as_ref();
                let place = place
                    .ok_or_else(|| Refusal::NotFound(format!("board '{board}' has no power")))?;
                Ok(((place.pdu.clone(), place.outlet.clone()), power))
            }
        }
    }

    fn check_usable(&self, name: &str) -> Result<(), Refusal> {
        match self.unusable.get(name) {
            None => Ok(()),
            Some(why) => Err(Refusal::Failed(HalError::new(
                ErrorKind::Unsupported,
                name,
                format!("'{name}' cannot be used: {why}"),
            ))),
        }
    }

    /// Waits until nobody else uses the outlet. A reboot keeps it while it is off, so that an "on"
    /// that comes then is done after it.
    async fn turn(&self, key: &Key, deadline: Instant) -> Result<OwnedMutexGuard<()>, Refusal> {
        let outlet = self.outlet_lock(key);
        timeout_at(deadline, outlet.lock_owned())
            .await
            .map_err(|_| {
                let (pdu, outlet) = key;
                let message = format!("outlet {outlet} of PDU '{pdu}' is still busy");
                Refusal::Failed(HalError::new(ErrorKind::Busy, pdu, message))
            })
    }

    fn outlet_lock(&self, key: &Key) -> Arc<Mutex<()>> {
        let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = outlets.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        outlets.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Mutex::new(()));
        outlets.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}

/// An outlet that was found, and a place in the queue of its PDU.
struct Place {
    key: Key,
    power: Box<dyn PowerControl>,
    _permit: OwnedSemaphorePermit,
}
