//! Typing into consoles.

use super::{Consoles, Event, Wait, closed};
use crate::{
    expect::{Found, PatternSet},
    run::{context::hours_minutes_seconds, fault::of_hal},
};
use hal::{HalError, console::Console};
use job::{Fault, Namespace, python::text_repr};
use std::{
    future::poll_fn,
    task::{Context as Poller, Poll},
};
use tokio::time::Instant;
use wire::journal::Record;

/// How LAVA 2026.07 says that `#` will be typed if no prompt comes.
pub const FORCED_PROMPT: &str = "Waiting using forced prompt support";

impl Consoles {
    /// Types a line, followed by the line end in force, and logs it.
    pub async fn send_line(&mut self, namespace: &Namespace, line: &str) -> Result<(), Fault> {
        self.log.debug(format!("Sending line: {}", text_repr(line)));
        let session = self.session(namespace)?;
        let text = format!("{line}{}", session.line_end);
        self.send(namespace, text.as_bytes()).await
    }

    /// Types bytes.
    ///
    /// Not cancel-safe: when dropped, the board may have got a part of them.
    pub async fn send(&mut self, namespace: &Namespace, bytes: &[u8]) -> Result<(), Fault> {
        let session = self.session(namespace)?;
        let (connection, delay) = (session.connection, session.character_delay);
        self.log.record(Record::Input {
            connection,
            bytes: bytes.to_vec(),
        });
        if delay.is_zero() {
            return self.write(namespace, bytes).await;
        }
        for byte in bytes.chunks(1) {
            self.write(namespace, byte).await?;
            self.drain_until(Instant::now() + delay).await;
        }
        Ok(())
    }

    /// Writes while reading, so that a board that only prints cannot block a board that listens.
    async fn write(&mut self, namespace: &Namespace, bytes: &[u8]) -> Result<(), Fault> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (sessions, buffer) = (&mut self.sessions, &mut self.buffer);
            let Some(session) = sessions.get_mut(namespace) else {
                return Err(closed("nothing is connected"));
            };
            if let Some(reason) = &session.closed {
                return Err(closed(reason));
            }
            let console = &mut session.console;
            let done = poll_fn(|poller| write_or_read(console, poller, rest, buffer)).await;
            match done {
                Ok(Written::Some(count)) => rest = &rest[count..],
                Ok(Written::ReadInstead(0)) => {
                    let reason = self.end_reason(namespace).await;
                    let fault = closed(&reason);
                    self.note_closed(namespace, reason);
                    return Err(fault);
                }
                Ok(Written::ReadInstead(length)) => {
                    let now = self.lives.current();
                    let life = self.session(namespace)?.life(now);
                    self.take(Event::Read {
                        namespace: namespace.clone(),
                        length,
                        life,
                    });
                }
                Err(error) => {
                    self.note_closed(namespace, error.to_string());
                    return Err(of_hal(&error));
                }
            }
        }
        Ok(())
    }

    /// Waits for a prompt and, when none comes, presses `#` and Enter in case the board's output
    /// was damaged: after half of the time that is left, then after each further tenth of it, six
    /// times at most (LAVA 2026.07's forced prompt).
    pub async fn wait_forcing_prompt(
        &mut self,
        namespace: &Namespace,
        patterns: &PatternSet,
        what: &str,
        deadline: Instant,
    ) -> Result<Found, Fault> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.log.debug(format!(
            "{FORCED_PROMPT} (timeout {})",
            hours_minutes_seconds(left / 2)
        ));
        let mut pause = left / 2;
        for _ in 0..6 {
            let wait = Wait {
                patterns,
                what: what.to_owned(),
                until: Some(Instant::now() + pause),
            };
            match self.wait(namespace, wait).await {
                Err(fault) if fault.timed_out_after.is_some() => {}
                other => return other,
            }
            pause = left / 10;
            self.log.warning(format!(
                "No prompt yet: sending # in case the console's output was damaged; next try in {}",
                hours_minutes_seconds(pause)
            ));
            self.send_line(namespace, "#").await?;
        }
        // The action's own time is over before this one's.
        self.wait(
            namespace,
            Wait {
                patterns,
                what: what.to_owned(),
                until: None,
            },
        )
        .await
    }
}

enum Written {
    Some(usize),
    ReadInstead(usize),
}

fn write_or_read(
    console: &mut dyn Console,
    poller: &mut Poller<'_>,
    bytes: &[u8],
    buffer: &mut [u8],
) -> Poll<Result<Written, HalError>> {
    if let Poll::Ready(written) = console.poll_write(poller, bytes) {
        return Poll::Ready(written.map(Written::Some));
    }
    console
        .poll_read(poller, buffer)
        .map(|read| read.map(Written::ReadInstead))
}
