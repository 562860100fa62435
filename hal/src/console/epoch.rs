//! Counting a board's boots.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::{Notify, futures::OwnedNotified};

/// Which life of the board console data belongs to: 0 until its power is first switched, then one
/// more with each time it is switched on or reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The current [`Epoch`] of one board, shared by its power control, which advances it, and its
/// consoles, which stamp what they read with it.
///
/// The stamp of a plain console is that of the moment of reading. [`Fenced`](super::Fenced) stamps
/// what was already here when the epoch advanced with the epoch before.
#[derive(Clone, Debug, Default)]
pub struct EpochCounter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    epoch: AtomicU32,
    moved: Arc<Notify>,
}

impl EpochCounter {
    /// The epoch now.
    pub fn current(&self) -> Epoch {
        Epoch(self.0.epoch.load(Ordering::Acquire))
    }

    /// Begins the next epoch, and wakes who reads a fenced console of this board.
    pub fn advance(&self) -> Epoch {
        let before = self.0.epoch.fetch_add(1, Ordering::AcqRel);
        self.0.moved.notify_waiters();
        Epoch(before.wrapping_add(1))
    }

    /// Sets the epoch, to continue a job from its journal.
    pub fn set(&self, epoch: Epoch) {
        self.0.epoch.store(epoch.0, Ordering::Release);
        self.0.moved.notify_waiters();
    }

    /// Becomes ready when the epoch moves after this call.
    pub(super) fn moved(&self) -> OwnedNotified {
        Arc::clone(&self.0.moved).notified_owned()
    }
}
