//! A console that comes back: what vanished (an adapter, a console server) is opened again within
//! a time, and every gap is reported.
//!
//! Wraps any console. It never types anything by itself: what was typed into the gap failed with
//! [`ErrorKind::Closed`] and stays the caller's to repeat. It never hides a gap: the observer is
//! told before the reader gets the first byte from behind it. It does not re-open a console whose
//! settings were wrong, or one that the caller closed.

use super::{Console, ConsoleTarget, Epoch, EpochCounter, LineControl, SerialFactory, UsbPort};
use crate::error::{ErrorKind, HalError};
use async_trait::async_trait;
use std::{
    fmt,
    future::Future,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Opens one console, as often as it is asked to.
#[async_trait]
pub trait Opener: Send + Sync {
    /// Opens it.
    ///
    /// # Errors
    /// Why it cannot be opened now. `NotFound`, `PermissionDenied` (udev comes a moment after the
    /// node), `Busy`, `Closed` and `Timeout` are tried again, others are not.
    async fn open(&self, deadline: Instant) -> Result<Box<dyn Console>, HalError>;

    /// Its name, for messages while it is not open.
    fn name(&self) -> String;

    /// Which device it is at this moment, where that can be known: text that another device in
    /// its place would not have.
    fn identity(&self) -> Option<String> {
        None
    }
}

/// A target opens its console with the board's epoch. A serial port over USB knows its device.
#[derive(Clone, Debug)]
pub struct TargetOpener {
    /// Where the console is.
    pub target: ConsoleTarget,
    /// The board's boot counter.
    pub epoch: EpochCounter,
}

#[async_trait]
impl Opener for TargetOpener {
    async fn open(&self, deadline: Instant) -> Result<Box<dyn Console>, HalError> {
        self.target.open(self.epoch.clone(), deadline).await
    }

    fn name(&self) -> String {
        self.target.to_string()
    }

    fn identity(&self) -> Option<String> {
        match &self.target {
            ConsoleTarget::Serial { node, .. } => serial_identity(node),
            _ => None,
        }
    }
}

fn serial_identity(node: &Path) -> Option<String> {
    let UsbPort {
        vendor,
        product,
        serial,
        interface,
        place,
        ..
    } = SerialFactory::default().usb_of(node)?;
    // Without a serial number its place tells as much as can be known.
    let which = match serial {
        Some(serial) => format!("serial number {serial}"),
        None => format!("at {place}"),
    };
    Some(format!(
        "{vendor}:{product}, {which}, interface {interface}"
    ))
}

/// How patient to be. The caller's deadline counts as well: see [`Reopening::set_deadline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReopenTiming {
    /// How long a gap may last. 30 s by default: a hub that resets takes seconds.
    pub within: Duration,
    /// How long to wait before each attempt. 250 ms by default. At least 1 ms.
    pub pause: Duration,
}

impl Default for ReopenTiming {
    fn default() -> Self {
        Self {
            within: Duration::from_secs(30),
            pause: Duration::from_millis(250),
        }
    }
}

/// Whether the device that came back is the one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Returned {
    /// It is.
    Same,
    /// It is not: another adapter sits where the first one was.
    Other {
        /// What was there.
        before: String,
        /// What is there.
        after: String,
    },
    /// There is no telling: networks and on-board ports have no identity.
    Unknown,
}

/// A time without a console. What the board sent in it is lost, and nobody knows how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the console was found closed.
    pub closed_at: Instant,
    /// When it was open again.
    pub reopened_at: Instant,
    /// Why it closed, and the attempts that failed, for a message.
    pub reason: String,
    /// How many attempts it took.
    pub attempts: u32,
    /// Which device came back.
    pub returned: Returned,
}

/// What an observer of a [`Reopening`] is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReopenEvent {
    /// It closed, and is being opened again.
    Closed {
        /// When that was noticed.
        at: Instant,
        /// Why, for a message.
        reason: String,
    },
    /// It is open again.
    Reopened(Gap),
    /// It did not come back in time: reads now say that it is closed.
    GaveUp {
        /// When it was given up.
        at: Instant,
        /// The last attempt's error, for a message.
        reason: String,
    },
}

type Attempt = Pin<Box<dyn Future<Output = Came> + Send>>;

/// How the attempts of one gap ended.
struct Came {
    console: Result<Box<dyn Console>, HalError>,
    attempts: u32,
}

enum State {
    Open(Box<dyn Console>),
    /// The console that closed is asked why.
    Closing(Pin<Box<dyn Future<Output = Option<String>> + Send>>),
    Returning(Attempt),
    /// For good.
    Closed,
}

/// A console that is opened again when it vanishes. See the [module](self).
pub struct Reopening {
    opener: Arc<dyn Opener>,
    timing: ReopenTiming,
    deadline: Option<Instant>,
    observer: Box<dyn FnMut(ReopenEvent) + Send>,
    state: State,
    identity: Option<String>,
    closed_at: Instant,
    /// When the first of several gaps without a byte between them began.
    silent_since: Option<Instant>,
    reason: Option<String>,
    epoch: EpochCounter,
}

impl Reopening {
    /// Opens the console for the first time, once, without trying again. `epoch` is the board's,
    /// `observer` is told of every gap, from inside the reader's polls.
    ///
    /// # Errors
    /// As the opener says.
    pub async fn open(
        opener: Arc<dyn Opener>,
        timing: ReopenTiming,
        epoch: EpochCounter,
        observer: Box<dyn FnMut(ReopenEvent) + Send>,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let console = opener.open(deadline).await?;
        Ok(Self {
            identity: opener.identity(),
            opener,
            timing,
            deadline: None,
            observer,
            state: State::Open(console),
            closed_at: Instant::now(),
            silent_since: None,
            reason: None,
            epoch,
        })
    }

    /// No gap lasts beyond `deadline` from now on; `None` leaves it to the timing alone. A gap
    /// that has begun keeps the deadline that it began with.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether it is open at this moment, as far as the last read or write saw.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// The console vanished: ask it why, and go on with the attempts.
    fn vanished(&mut self, failed: Option<&HalError>) {
        self.closed_at = Instant::now();
        let State::Open(mut console) = std::mem::replace(&mut self.state, State::Closed) else {
            return;
        };
        let known = failed.map(ToString::to_string);
        // The console is dropped with this future, before it is opened again.
        self.state = State::Closing(Box::pin(async move {
            let reason = console.end_reason().await;
            reason.or(known)
        }));
    }

    /// The reason is known: tell it, and begin the attempts.
    fn begin_return(&mut self, reason: Option<String>) {
        let reason = reason.unwrap_or_else(|| format!("{} closed", self.opener.name()));
        let since = *self.silent_since.get_or_insert(self.closed_at);
        let mut until = since + self.timing.within;
        if let Some(deadline) = self.deadline {
            until = until.min(deadline);
        }
        (self.observer)(ReopenEvent::Closed {
            at: self.closed_at,
            reason: reason.clone(),
        });
        self.reason = Some(reason);
        let pause = self.timing.pause.max(Duration::from_millis(1));
        self.state = State::Returning(Box::pin(come_back(Arc::clone(&self.opener), pause, until)));
    }

    /// The attempts are over.
    fn returned(&mut self, came: Came) {
        let at = Instant::now();
        match came.console {
            Ok(console) => {
                let gap = Gap {
                    closed_at: self.closed_at,
                    reopened_at: at,
                    reason: self.reason.take().unwrap_or_default(),
                    attempts: came.attempts,
                    returned: self.compare_identity(),
                };
                (self.observer)(ReopenEvent::Reopened(gap));
                self.state = State::Open(console);
            }
            Err(error) => {
                let why = self.reason.take().unwrap_or_default();
                let reason = format!("{why}, and it did not come back: {error}");
                (self.observer)(ReopenEvent::GaveUp {
                    at,
                    reason: reason.clone(),
                });
                self.reason = Some(reason);
                self.state = State::Closed;
            }
        }
    }

    fn compare_identity(&mut self) -> Returned {
        let after = self.opener.identity();
        let before = std::mem::replace(&mut self.identity, after.clone());
        match (before, after) {
            (Some(before), Some(after)) if before == after => Returned::Same,
            (Some(before), Some(after)) => Returned::Other { before, after },
            (before, after) => {
                // What is unknown now is compared with what was known last.
                self.identity = after.or(before);
                Returned::Unknown
            }
        }
    }

    fn in_gap(&self) -> HalError {
        let name = self.opener.name();
        let message = match &self.reason {
            Some(reason) => format!("the console {name} is closed: {reason}"),
            None => format!("the console {name} is closed"),
        };
        HalError::new(ErrorKind::Closed, name, message)
            .with_hint("nothing was typed; type it again once the console is back")
    }
}

/// Attempts until one succeeds, fails for good, or time is over.
async fn come_back(opener: Arc<dyn Opener>, pause: Duration, until: Instant) -> Came {
    let mut attempts = 0;
    let mut last = None;
    loop {
        let next = Instant::now() + pause;
        if next > until {
            sleep_until(until).await;
            let console = Err(last.unwrap_or_else(|| too_late(&*opener)));
            return Came { console, attempts };
        }
        // Also before the first: a server that accepts and closes must not keep us busy.
        sleep_until(next).await;
        attempts += 1;
        let opened = timeout_at(until, opener.open(until)).await;
        match opened.unwrap_or_else(|_| Err(too_late(&*opener))) {
            Err(error) if is_passing(error.kind()) => last = Some(error),
            console => return Came { console, attempts },
        }
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::Busy
            | ErrorKind::Closed
            | ErrorKind::Timeout
            | ErrorKind::Other
    )
}

fn too_late(opener: &dyn Opener) -> HalError {
    let name = opener.name();
    let message = format!("{name} could not be opened in time");
    HalError::new(ErrorKind::Timeout, name, message)
}

#[async_trait]
impl Console for Reopening {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        loop {
            match &mut self.state {
                State::Open(console) => match ready!(console.poll_read(cx, buffer)) {
                    Ok(0) => self.vanished(None),
                    Err(error) if error.kind() == ErrorKind::Closed => self.vanished(Some(&error)),
                    read => {
                        self.silent_since = None;
                        return Poll::Ready(read);
                    }
                },
                State::Closing(reason) => {
                    let reason = ready!(reason.as_mut().poll(cx));
                    self.begin_return(reason);
                }
                State::Returning(attempt) => {
                    let came = ready!(attempt.as_mut().poll(cx));
                    self.returned(came);
                }
                State::Closed => return Poll::Ready(Ok(0)),
            }
        }
    }

    /// Fails with `Closed` during a gap: whether half a command is worth its other half is the
    /// caller's to decide.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        let State::Open(console) = &mut self.state else {
            return Poll::Ready(Err(self.in_gap()));
        };
        // The end is left to the reader, who gets what the board said last before it.
        console.poll_write(cx, bytes)
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(mut console) => console.close(grace).await,
            _ => Ok(()),
        }
    }

    fn description(&self) -> String {
        match &self.state {
            State::Open(console) => console.description(),
            _ => self.opener.name(),
        }
    }

    fn epoch(&self) -> Epoch {
        match &self.state {
            State::Open(console) => console.epoch(),
            _ => self.epoch.current(),
        }
    }

    async fn end_reason(&mut self) -> Option<String> {
        match &mut self.state {
            State::Open(console) => console.end_reason().await,
            _ => self.reason.clone(),
        }
    }

    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        match &mut self.state {
            State::Open(console) => console.line_control(),
            _ => None,
        }
    }
}

impl fmt::Debug for Reopening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reopening")
            .field("name", &self.opener.name())
            .field("is_open", &self.is_open())
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}
