//! The consoles of a job: the one place where they are read and typed into.
//!
//! Whatever a board prints is recorded before anyone looks at it, on every console of the job,
//! also while the job waits for another one. Actions wait for patterns ([`Consoles::wait`]), take
//! the bytes as they come ([`Consoles::next_chunk`]), or let the consoles run while they do
//! something on this host ([`Consoles::drain_until`]).

mod life;
mod session;
mod typing;
mod watch;

pub use typing::FORCED_PROMPT;

use super::{JobLog, Undos};
use crate::expect::{Found, Matcher, PatternSet};
use bytes::Bytes;
use hal::console::{Console, EpochCounter, Fenced};
use job::{Fault, Namespace};
use session::{Session, Tail};
use std::{
    collections::BTreeMap, convert::Infallible, future::poll_fn, task::Poll, time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wire::journal::{ConnectionId, Epoch, Record, UndoId};

/// One read takes at most this much. A PTY hands out 4 KiB at a time; a socket more.
const READ_BYTES: usize = 64 * 1024;
/// How long a panicking kernel may be silent before it counts as dead.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What runs behind a console that is closed gets this long to end by itself.
const CLOSING: Duration = Duration::from_millis(200);
/// A console counts as quiet after this silence.
pub const QUIET: Duration = Duration::from_millis(50);

/// All consoles of a job, by namespace.
pub struct Consoles {
    sessions: BTreeMap<Namespace, Session>,
    log: JobLog,
    undos: Undos,
    opened: u16,
    /// Counts the lives of the boards that a switch of their power began.
    lives: EpochCounter,
    /// How many times a board was rebooted from inside, which is another life as well.
    reboots: u32,
    waiting_for: Option<String>,
    buffer: Box<[u8]>,
}

/// A wait for one of some patterns.
pub struct Wait<'a> {
    /// What to look for.
    pub patterns: &'a PatternSet,
    /// How the log and a fault name it.
    pub what: String,
    /// When this wait is over, for waits that end before their action does.
    pub until: Option<Instant>,
}

/// Bytes of the console that is waited for.
pub struct Chunk {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they are recorded already: an earlier wait read them and left them.
    pub recorded: bool,
}

/// A life of the boards, as consoles count it; the journal's counts reboots as well.
type Life = hal::console::Epoch;

enum Event {
    Read {
        namespace: Namespace,
        length: usize,
        /// The life of the board in which these bytes came.
        life: Life,
    },
    Closed {
        namespace: Namespace,
        reason: String,
    },
}

impl Consoles {
    /// No console yet.
    pub fn new(log: JobLog, undos: Undos) -> Self {
        Self {
            sessions: BTreeMap::new(),
            log,
            undos,
            opened: 0,
            lives: EpochCounter::default(),
            reboots: 0,
            waiting_for: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// Takes a console into the job, in place of the namespace's former one.
    ///
    /// `undo` is what was registered for the process behind it; it is done when the console closes.
    pub fn open(
        &mut self,
        namespace: &Namespace,
        name: &str,
        console: Box<dyn Console>,
        undo: Option<UndoId>,
    ) {
        let connection = ConnectionId(self.opened);
        self.opened = self.opened.saturating_add(1);
        self.log.record(Record::ConnectionOpened {
            connection,
            namespace: namespace.clone(),
            name: name.to_owned(),
        });
        self.sessions.insert(
            namespace.clone(),
            Session {
                connection,
                console: Fenced::new(console, self.lives.clone()),
                switches: 0,
                matcher: Matcher::new(),
                tail: Tail::default(),
                line_end: "\n",
                character_delay: Duration::ZERO,
                feedback: false,
                closed: None,
                undo,
                kernel: None,
                boot: None,
            },
        );
    }

    /// Whether the namespace has a console that is still open.
    pub fn is_open(&self, namespace: &Namespace) -> bool {
        self.sessions
            .get(namespace)
            .is_some_and(|session| session.closed.is_none())
    }

    /// Sets the pause after each typed character.
    pub fn set_character_delay(&mut self, namespace: &Namespace, delay: Duration) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            session.character_delay = delay;
        }
    }

    /// Forgets what no wait has consumed: it was printed before something is typed, so it cannot be
    /// the answer.
    pub fn forget_pending(&mut self, namespace: &Namespace) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            session.matcher.clear_epoch();
        }
    }

    /// Gives bytes of [`next_chunk`](Self::next_chunk) back that nobody looked at: they are
    /// recorded, and the next wait finds them.
    pub fn give_back(&mut self, namespace: &Namespace, bytes: &[u8], recorded: bool) {
        if !recorded {
            self.record_bytes(namespace, bytes);
        }
        if let Some(session) = self.sessions.get_mut(namespace) {
            session.matcher.push(bytes);
        }
    }

    /// Says what the job waits for now, where that is no pattern on a console.
    pub fn set_waiting_for(&mut self, what: Option<String>) {
        self.waiting_for = what;
    }

    /// What the job waited for when it was interrupted.
    pub fn waiting_for(&self) -> Option<&str> {
        self.waiting_for.as_deref()
    }

    /// The last lines of a console.
    pub fn tail(&self, namespace: &Namespace) -> Vec<String> {
        self.sessions
            .get(namespace)
            .map(|session| session.tail.lines())
            .unwrap_or_default()
    }

    /// Waits for one of the patterns; what follows the match stays for the next wait.
    ///
    /// Cancel-safe: bytes that were read are recorded and kept for the next wait.
    ///
    /// # Errors
    /// A fault of the job when the time is over, of the infrastructure when the console closes.
    pub async fn wait(&mut self, namespace: &Namespace, wait: Wait<'_>) -> Result<Found, Fault> {
        self.waiting_for = Some(wait.what.clone());
        let search = self.search(namespace, wait.patterns);
        let found = match wait.until {
            Some(until) => match timeout_at(until, search).await {
                Ok(found) => found,
                Err(_) => {
                    return Err(Fault::job(format!("wait for {} timed out", wait.what))
                        .with_timeout(Duration::ZERO)
                        .with_waited_for(wait.what));
                }
            },
            None => search.await,
        };
        match found {
            Ok(found) => {
                self.waiting_for = None;
                Ok(found)
            }
            Err(fault) => Err(fault.with_waited_for(wait.what)),
        }
    }

    async fn search(
        &mut self,
        namespace: &Namespace,
        patterns: &PatternSet,
    ) -> Result<Found, Fault> {
        loop {
            let session = self.session(namespace)?;
            if let Some(found) = session
                .matcher
                .find(patterns)
                .map_err(|error| error.fault())?
            {
                return Ok(found);
            }
            if let Some(reason) = &session.closed {
                return Err(closed(reason));
            }
            if session.is_dead() {
                return Err(Fault::job("the kernel stopped"));
            }
            let dying = session.kernel.as_ref().is_some_and(|kernel| kernel.fatal);
            let length = if dying {
                // The reason and the trace follow, unless the kernel could not print them.
                match timeout(LAST_WORDS, self.read(namespace)).await {
                    Ok(length) => length?,
                    Err(_) => return Err(Fault::job("the kernel stopped")),
                }
            } else {
                self.read(namespace).await?
            };
            self.record_output(namespace, length, self.lives.current());
            if let Some(session) = self.sessions.get_mut(namespace) {
                session.matcher.push(&self.buffer[..length]);
            }
        }
    }

    /// The next bytes of a console. Unlike [`wait`](Self::wait), this leaves recording to the
    /// caller ([`record_bytes`](Self::record_bytes)), who can put records of what it decodes
    /// between the lines they belong to.
    ///
    /// Cancel-safe: a chunk is either returned or still with the console.
    pub async fn next_chunk(&mut self, namespace: &Namespace) -> Result<Chunk, Fault> {
        let session = self.session(namespace)?;
        let left = Bytes::copy_from_slice(session.matcher.pending());
        if !left.is_empty() {
            session.matcher.clear_epoch();
            return Ok(Chunk {
                bytes: left,
                recorded: true,
            });
        }
        if let Some(reason) = &session.closed {
            return Err(closed(reason));
        }
        let length = self.read(namespace).await?;
        let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
        Ok(Chunk {
            bytes,
            recorded: false,
        })
    }

    /// Records bytes of [`next_chunk`](Self::next_chunk).
    pub fn record_bytes(&mut self, namespace: &Namespace, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            session.see(bytes);
            let life = self.lives.current();
            self.log
                .output(session.connection, Epoch(life.0 + self.reboots), bytes);
        }
    }

    /// Lets the consoles run, recording what comes, until a time.
    pub async fn drain_until(&mut self, until: Instant) {
        tokio::select! {
            () = sleep_until(until) => {}
            never = self.drain() => match never {},
        }
    }

    /// Lets the consoles run until all are quiet for [`QUIET`], at most until a time.
    pub async fn drain_until_quiet(&mut self, until: Instant) {
        loop {
            let quiet = (Instant::now() + QUIET).min(until);
            let Ok(event) = timeout_at(quiet, self.event(None)).await else {
                return;
            };
            self.take(event);
            if Instant::now() >= until || self.are_all_closed() {
                return;
            }
        }
    }

    /// Lets the consoles run for ever; for use beside work on this host.
    pub async fn drain(&mut self) -> Infallible {
        loop {
            let event = self.event(None).await;
            self.take(event);
        }
    }

    fn are_all_closed(&self) -> bool {
        let mut sessions = self.sessions.values();
        sessions.all(|session| session.closed.is_some())
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Read {
                namespace,
                length,
                life,
            } => {
                self.record_output(&namespace, length, life);
                // What is left of a life before is recorded, and looked at by nobody.
                if life == self.lives.current()
                    && let Some(session) = self.sessions.get_mut(&namespace)
                {
                    session.matcher.push(&self.buffer[..length]);
                }
            }
            Event::Closed { namespace, reason } => self.note_closed(&namespace, reason),
        }
    }

    /// Reads the console of `namespace` into the buffer; others are recorded as feedback, and what
    /// is left of a life before is recorded.
    async fn read(&mut self, namespace: &Namespace) -> Result<usize, Fault> {
        loop {
            match self.event(Some(namespace)).await {
                Event::Read {
                    namespace: from,
                    length,
                    life,
                } if from == *namespace && life == self.lives.current() => return Ok(length),
                Event::Closed {
                    namespace: from,
                    reason,
                } if from == *namespace => {
                    let fault = closed(&reason);
                    self.note_closed(&from, reason);
                    return Err(fault);
                }
                other => self.take(other),
            }
        }
    }

    /// The next thing that happens on any console.
    ///
    /// Writes the journal before it waits, not before it reads on: a board that floods its console
    /// is read without a write for each of its chunks.
    async fn event(&mut self, active: Option<&Namespace>) -> Event {
        for (namespace, session) in &mut self.sessions {
            let feedback = active.is_some_and(|active| active != namespace);
            if session.feedback != feedback {
                session.feedback = feedback;
                self.log.record(Record::Feedback {
                    connection: session.connection,
                    on: feedback,
                });
            }
        }
        let now = self.lives.current();
        let (sessions, buffer, log) = (&mut self.sessions, &mut self.buffer, &self.log);
        let (namespace, read, life) = poll_fn(|poller| {
            let open = sessions
                .iter_mut()
                .filter(|(_, session)| session.closed.is_none());
            for (namespace, session) in open {
                if let Poll::Ready(read) = session.console.poll_read(poller, buffer) {
                    return Poll::Ready((namespace.clone(), read, session.life(now)));
                }
            }
            log.commit();
            Poll::Pending
        })
        .await;
        match read {
            Ok(0) => {
                let reason = self.end_reason(&namespace).await;
                Event::Closed { namespace, reason }
            }
            Ok(length) => Event::Read {
                namespace,
                length,
                life,
            },
            Err(error) => Event::Closed {
                namespace,
                reason: error.to_string(),
            },
        }
    }

    /// Why a console gives nothing more. Cancel-safe: it goes on giving nothing.
    async fn end_reason(&mut self, namespace: &Namespace) -> String {
        let reason = match self.sessions.get_mut(namespace) {
            Some(session) => session.console.end_reason().await,
            None => None,
        };
        reason.unwrap_or_else(|| "end of output".to_owned())
    }

    fn record_output(&mut self, namespace: &Namespace, length: usize, life: Life) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            let bytes = &self.buffer[..length];
            session.see(bytes);
            self.log
                .output(session.connection, Epoch(life.0 + self.reboots), bytes);
        }
    }

    fn note_closed(&mut self, namespace: &Namespace, reason: String) {
        if let Some(session) = self.sessions.get_mut(namespace)
            && session.closed.is_none()
        {
            session.closed = Some(reason.clone());
            let connection = session.connection;
            self.log.record(Record::FlushLine { connection });
            self.log
                .record(Record::ConnectionClosed { connection, reason });
        }
    }

    fn session(&mut self, namespace: &Namespace) -> Result<&mut Session, Fault> {
        self.sessions.get_mut(namespace).ok_or_else(|| {
            Fault::job(format!(
                "no connection to the device in namespace '{namespace}'"
            ))
            .with_hint("a boot block of this namespace must come before")
        })
    }

    /// Closes a console; what runs behind it is ended.
    pub async fn close(&mut self, namespace: &Namespace, reason: &str) {
        self.note_closed(namespace, reason.to_owned());
        let Some(mut session) = self.sessions.remove(namespace) else {
            return;
        };
        match session.console.close(CLOSING).await {
            Ok(()) => {
                if let Some(undo) = session.undo {
                    self.undos.done(undo);
                }
            }
            Err(error) => self
                .log
                .error(format!("closing the console failed: {error}")),
        }
    }

    /// Closes all consoles.
    pub async fn close_all(&mut self, reason: &str) {
        for namespace in self.namespaces() {
            self.close(&namespace, reason).await;
        }
    }

    /// The namespaces that have a console, open or not.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.sessions.keys().cloned().collect()
    }
}

/// LAVA 2026.07 says `Connection closed`, which people search for.
fn closed(reason: &str) -> Fault {
    Fault::infrastructure(format!("Connection closed: {reason}"))
        .with_hint("the last lines of the console tell why; run the command by hand")
}
