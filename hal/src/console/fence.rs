//! The line between two lives of a board, in a stream of bytes.
//!
//! A byte has no date: what the board sent before it lost its power may still be in the kernel
//! when the next life begins, and a plain console stamps it with the life in which it is *read*.
//! [`Fenced`] keeps it out of the new one.
//!
//! ## What is guaranteed
//! Whatever this machine's kernel held when the epoch advanced is stamped with the epoch before:
//! advancing wakes the reader, and until a timer of [`SETTLE`] has fired, which cannot happen
//! before the runtime has looked at all descriptors once more, what comes still belongs to the
//! old life. A reader that comes late (its task did other work for seconds) finds the old and the
//! new behind each other without a mark: all that can be read at once is then old. So a stale
//! byte never satisfies a prompt of the next life; a late reader may lose the first words of it.
//!
//! ## What is not
//! Bytes that are still on their way (in a console server, a USB adapter's buffer, the network)
//! when the epoch advances arrive later and look new. Power off, then
//! [`ConsoleExt::drain`](super::ConsoleExt::drain) until the line is quiet, then on: so they are
//! read in the old life. A power control that switches a board off, waits, and advances the epoch
//! right before it switches it on gives them that time by itself.

use super::{Console, Epoch, EpochCounter, LineControl};
use crate::error::HalError;
use async_trait::async_trait;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::futures::OwnedNotified,
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

/// How long after an advance of the epoch bytes still belong to the life before: one turn of the
/// runtime, and far less than any board needs from getting power to its first character.
pub const SETTLE: Duration = Duration::from_millis(2);

/// More than the kernel keeps for one terminal or connection by default: a board that prints so
/// much without a pause is in its next life by then.
const KERNEL_HOLDS: usize = 8 << 20;

/// A console whose bytes are stamped with the life in which they arrived here, not with the one
/// in which they are read. See the [module](self).
pub struct Fenced<C> {
    console: C,
    counter: EpochCounter,
    /// The life that bytes belong to now.
    life: Epoch,
    /// Becomes ready when the counter moves; made again after that.
    moved: Option<Pin<Box<OwnedNotified>>>,
    /// While it runs, bytes belong to the life before.
    settling: Option<Pin<Box<Sleep>>>,
    /// How much came without a pause since that timer fired.
    late: usize,
}

impl<C: Console> Fenced<C> {
    /// Stamps what `console` gives by `counter`, which should be the one the console was made
    /// with, and the one that the board's power control advances.
    pub fn new(console: C, counter: EpochCounter) -> Self {
        let life = counter.current();
        Self {
            console,
            counter,
            life,
            moved: None,
            settling: None,
            late: 0,
        }
    }

    /// The console inside. What is read from it directly bypasses the fence.
    pub fn into_inner(self) -> C {
        self.console
    }

    /// Notices that the epoch moved, and that the fence is passed. Gives whether it settles now.
    fn poll_fence(&mut self, cx: &mut Context<'_>) -> bool {
        // Registered before the counter is read: an advance in between is not missed.
        loop {
            let counter = &self.counter;
            let moved = self.moved.get_or_insert_with(|| Box::pin(counter.moved()));
            if moved.as_mut().poll(cx).is_pending() {
                break;
            }
            self.moved = None;
        }
        let now = self.counter.current();
        if now != self.life && self.settling.is_none() {
            self.settling = Some(Box::pin(sleep_until(Instant::now() + SETTLE)));
        }
        self.settling.is_some()
    }
}

#[async_trait]
impl<C: Console> Console for Fenced<C> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        loop {
            let settling = self.poll_fence(cx);
            // The timer is asked before the bytes: what is there when it has fired already may
            // have waited for a late reader, and is then of the old life as well.
            let settled = match &mut self.settling {
                Some(timer) if settling => timer.as_mut().poll(cx).is_ready(),
                _ => false,
            };
            let passed = settled && self.late >= KERNEL_HOLDS;
            if !passed {
                let read = self.console.poll_read(cx, buffer);
                if let (true, Poll::Ready(Ok(length))) = (settled, &read) {
                    self.late = self.late.saturating_add(*length);
                }
                // A task that used up its turn is told "pending" whatever there is.
                if read.is_ready() || !settled || !has_budget_remaining() {
                    return read;
                }
            }
            (self.settling, self.late) = (None, 0);
            self.life = self.counter.current();
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        self.console.poll_write(cx, bytes)
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        self.console.close(grace).await
    }

    fn description(&self) -> String {
        self.console.description()
    }

    fn epoch(&self) -> Epoch {
        self.life
    }

    async fn end_reason(&mut self) -> Option<String> {
        self.console.end_reason().await
    }

    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        self.console.line_control()
    }
}

impl<C: fmt::Debug> fmt::Debug for Fenced<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fenced")
            .field("console", &self.console)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
