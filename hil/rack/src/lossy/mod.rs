//! A link that loses things: a proxy between a client and a board that drops, doubles, delays and
//! reorders what passes, without root and without touching the network of the host.
//!
//! What happens to the n-th packet of a direction depends on the seed alone.

mod tcp;
mod udp;

pub use tcp::TcpProxy;
pub use udp::UdpProxy;

use hal::faults::Random;
use std::{fmt, time::Duration};

/// How bad a link is. Probabilities are from 0.0 to 1.0, for each packet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Packets that never arrive. On TCP, where the kernel repeats what is lost, a connection
    /// that ends.
    pub drop: f64,
    /// Packets that arrive twice. Not on TCP.
    pub duplicate: f64,
    /// Packets that arrive after the one behind them. Not on TCP.
    pub reorder: f64,
    /// How much later everything arrives.
    pub delay: Duration,
    /// How much more than that, at most.
    pub jitter: Duration,
    /// What happens when.
    pub seed: u64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            drop,
            duplicate,
            reorder,
            delay,
            jitter,
            seed,
        } = self;
        write!(
            f,
            "drop {drop}, duplicate {duplicate}, reorder {reorder}, delay {delay:?}, \
             jitter {jitter:?}, seed {seed}"
        )
    }
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) copies: u8,
    /// It waits for the one behind it.
    pub(crate) overtaken: bool,
    pub(crate) delay: Duration,
}

/// Decides about the packets of one direction.
#[derive(Clone, Debug)]
pub(crate) struct Fates {
    loss: Loss,
    random: Random,
}

impl Fates {
    /// `direction` tells the two of a link apart.
    pub(crate) fn new(loss: Loss, direction: u64) -> Self {
        let mut seeds = Random::new(loss.seed);
        for _ in 0..direction {
            seeds.number();
        }
        let random = Random::new(seeds.number());
        Self { loss, random }
    }

    pub(crate) fn next(&mut self) -> Fate {
        // All are drawn for each packet, so that one probability does not move the others.
        let [dropped, doubled, overtaken] =
            [self.loss.drop, self.loss.duplicate, self.loss.reorder]
                .map(|probability| self.random.chance(probability));
        let jitter = u64::try_from(self.loss.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.random.below(jitter.saturating_add(1)));
        Fate {
            copies: match (dropped, doubled) {
                (true, _) => 0,
                (false, true) => 2,
                (false, false) => 1,
            },
            overtaken,
            delay: self.loss.delay.saturating_add(jitter),
        }
    }
}

#[cfg(test)]
mod tests;
