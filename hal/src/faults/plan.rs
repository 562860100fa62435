//! When which fault happens.

use std::{collections::VecDeque, fmt, num::NonZeroU64};

/// Numbers that look random, the same for the same seed. Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The numbers of `seed`; every seed is good.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: SplitMix64 (Steele, Lea, Flood 2014).
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, all of them almost equally likely; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: the bias is below `bound` / 2^64.
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// True with this probability (0.0 never, 1.0 always).
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits are what an `f64` holds exactly.
        let unit = (self.number() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// One of `choices`; `None` when there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(usize::try_from(self.below(choices.len() as u64)).ok()?)
    }
}

/// Which faults happen at which positions. A position counts the bytes of one direction of a
/// console, or the requests to a power control, from 0: a fault at position 3 happens after three
/// bytes, or to the fourth request.
///
/// `Display` says what kind of plan it is, with its seed.
#[derive(Clone, Debug)]
pub struct Plan<F> {
    source: Source<F>,
    seed: Option<u64>,
}

#[derive(Clone, Debug)]
enum Source<F> {
    Listed(VecDeque<(u64, F)>),
    Drawn {
        random: Random,
        mean: NonZeroU64,
        faults: Vec<F>,
        last: u64,
    },
}

impl<F> Default for Plan<F> {
    fn default() -> Self {
        Self::listed([])
    }
}

impl<F> Plan<F> {
    /// Exactly these faults at these positions. Those of one position keep their order.
    pub fn listed(faults: impl IntoIterator<Item = (u64, F)>) -> Self {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.sort_by_key(|&(position, _)| position);
        Self {
            source: Source::Listed(faults.into()),
            seed: None,
        }
    }

    /// A fault every `mean` positions on average, each one of `faults`, as `seed` says. At most
    /// one at each position. To have one more often than another, name it more than once.
    pub fn drawn(seed: u64, mean: NonZeroU64, faults: impl IntoIterator<Item = F>) -> Self {
        Self {
            source: Source::Drawn {
                random: Random::new(seed),
                mean,
                faults: faults.into_iter().collect(),
                last: 0,
            },
            seed: Some(seed),
        }
    }

    /// The seed, if it is drawn.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }
}

impl<F: Clone> Plan<F> {
    /// Takes the next fault and its position. Positions never decrease.
    pub fn take(&mut self) -> Option<(u64, F)> {
        match &mut self.source {
            Source::Listed(faults) => faults.pop_front(),
            Source::Drawn {
                random,
                mean,
                faults,
                last,
            } => {
                // Uniform over 1..2*mean, whose mean is `mean`.
                let gap = 1 + random.below(mean.get().saturating_mul(2).saturating_sub(1));
                let fault = random.pick(faults)?.clone();
                *last = last.saturating_add(gap);
                Some((*last, fault))
            }
        }
    }
}

impl<F> fmt::Display for Plan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.seed) {
            (Source::Drawn { mean, .. }, Some(seed)) => {
                write!(f, "a fault every {mean} on average, seed {seed}")
            }
            (Source::Listed(faults), _) => write!(f, "{} faults", faults.len()),
            (Source::Drawn { .. }, None) => f.write_str("drawn faults"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_seed_gives_the_same_plan_again(seed: u64, mean in 1_u64..1000) {
            let plan = || Plan::drawn(seed, mean.try_into().unwrap(), ["a", "b", "c"]);
            let (mut one, mut other) = (plan(), plan());
            let mut last = 0;
            for _ in 0..100 {
                let (position, fault) = one.take().unwrap();
                prop_assert_eq!(other.take(), Some((position, fault)));
                prop_assert!(position > last || last == 0);
                last = position;
            }
            // A hundred gaps of `mean` each: far from it would be a wrong distribution.
            prop_assert!(last >= mean.saturating_mul(60) && last <= mean.saturating_mul(140) + 1);
        }

        #[test]
        fn numbers_stay_below_their_bound(seed: u64, bound in 1_u64..) {
            prop_assert!(Random::new(seed).below(bound) < bound);
        }
    }

    #[test]
    fn listed_faults_come_in_order_and_end() {
        let mut plan = Plan::listed([(7, 'b'), (2, 'a'), (7, 'c')]);
        assert_eq!(plan.to_string(), "3 faults");
        let taken: Vec<_> = std::iter::from_fn(|| plan.take()).collect();
        assert_eq!(taken, [(2, 'a'), (7, 'b'), (7, 'c')]);
    }

    #[test]
    fn nothing_to_choose_from_is_no_fault() {
        let mut plan = Plan::<u8>::drawn(1, NonZeroU64::MIN, []);
        assert_eq!(plan.take(), None);
        assert!(plan.to_string().contains("seed 1"));
        assert!(!Random::new(3).chance(0.0));
        assert!(Random::new(3).chance(1.0));
    }
}
