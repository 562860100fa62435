//! The lives of the boards: what one of them printed must not satisfy a wait of the next.
//!
//! Bytes are told apart by the life in which they came to this machine ([`hal::console::Fenced`]).
//! Not told apart is what the kernel holds at the first switch after a console was opened: see
//! [`Session::life`](super::session::Session::life).

use super::{Consoles, session::Session};
use hal::console::{Console as _, fence::SETTLE};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A board that prints without a pause does not hold up the switching of its power for longer.
const FENCED_WITHIN: Duration = Duration::from_millis(250);

/// What a console that was just opened may say before its fence is waited for no longer. A matcher
/// keeps several times as much.
const FIRST_WORDS: usize = 16 * 1024;

impl Consoles {
    /// The power is about to be switched: what the boards printed until now, also what is still in
    /// the kernel, is recorded and satisfies no wait from here on.
    ///
    /// Returns when what comes belongs to the new life, so that the first words of a board that is
    /// switched after it are heard: a few milliseconds.
    pub async fn begin_life(&mut self) {
        self.lives.advance();
        for session in self.sessions.values_mut() {
            session.switches += 1;
            // Another boot begins, if one is watched.
            session.boot = session.boot.take().map(|_| Default::default());
        }
        self.forget_all_pending();
        let deadline = Instant::now() + FENCED_WITHIN;
        while self.is_fencing() && Instant::now() < deadline {
            // A console says nothing when it has passed the fence: it is asked.
            let soon = (Instant::now() + SETTLE).min(deadline);
            if let Ok(event) = timeout_at(soon, self.event(None)).await {
                self.take(event);
            }
        }
    }

    /// A board rebooted from inside, and the words that prove it were waited for: what is left of
    /// what was read with them satisfies no wait from here on.
    pub fn note_reboot(&mut self) {
        self.reboots += 1;
        self.forget_all_pending();
    }

    fn is_fencing(&self) -> bool {
        let now = self.lives.current();
        let mut sessions = self.sessions.values();
        // What a console says at the first switch after it was opened counts as new anyway, and a
        // board that floods would push its first words out of reach while its fence is waited for.
        let is_needed = |session: &Session| {
            session.switches > 1 || session.matcher.pending().len() < FIRST_WORDS
        };
        let is_old = |session: &Session| session.console.epoch() != now && is_needed(session);
        sessions.any(|session| session.closed.is_none() && is_old(session))
    }

    fn forget_all_pending(&mut self) {
        for session in self.sessions.values_mut() {
            session.matcher.clear_epoch();
        }
    }
}
