//! Counting a board's boots.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

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
/// The stamp is that of the moment of reading: who wants the last words of the old life in the
/// old epoch reads them before switching.
#[derive(Clone, Debug, Default)]
pub struct EpochCounter(Arc<AtomicU32>);

impl EpochCounter {
    /// The epoch now.
    pub fn current(&self) -> Epoch {
        Epoch(self.0.load(Ordering::Relaxed))
    }

    /// Begins the next epoch.
    pub fn advance(&self) -> Epoch {
        Epoch(self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }

    /// Sets the epoch, to continue a job from its journal.
    pub fn set(&self, epoch: Epoch) {
        self.0.store(epoch.0, Ordering::Relaxed);
    }
}
