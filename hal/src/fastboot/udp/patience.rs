//! How long an answer may take before its packet is sent again. The arithmetic is that of
//! RFC 6298, the bounds are ours.

use std::time::Duration;

/// Without any experience, and at least: a device on a quiet network answers in a millisecond.
pub(super) const LEAST: Duration = Duration::from_millis(100);

/// At most: a device that is silent because it writes does not hear more by being asked more.
pub(super) const MOST: Duration = Duration::from_secs(1);

/// What was learned of one device.
#[derive(Debug)]
pub(super) struct Patience {
    /// The smoothed time of an answer, and how far answers are from it.
    learned: Option<(Duration, Duration)>,
    wait: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            learned: None,
            wait: LEAST,
        }
    }

    /// How long to wait now.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// An answer came to a packet that was sent once. What came to a repeated packet teaches
    /// nothing, for nobody knows which of them it answers (Karn's rule).
    pub(super) fn answered(&mut self, after: Duration) {
        // The weights are RFC 6298's alpha and beta: 1/8 and 1/4.
        let (smooth, variation) = match self.learned {
            None => (after, after / 2),
            Some((smooth, variation)) => (
                (smooth * 7 + after) / 8,
                (variation * 3 + smooth.abs_diff(after)) / 4,
            ),
        };
        self.learned = Some((smooth, variation));
        self.wait = (smooth + variation * 4).clamp(LEAST, MOST);
    }

    /// No answer came in time. It stays like this until one comes to a packet that was sent once:
    /// else a device that is slower than `LEAST` would be sent all packets twice for ever.
    pub(super) fn unanswered(&mut self) {
        self.wait = (self.wait * 2).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_quick_device_is_asked_again_soon_and_a_slow_one_late() {
        let mut patience = Patience::new();
        assert_eq!(patience.wait(), LEAST);
        patience.answered(MS);
        assert_eq!(patience.wait(), LEAST);
        patience.answered(200 * MS);
        assert!(patience.wait() > 200 * MS, "{patience:?}");
        for _ in 0..50 {
            patience.answered(200 * MS);
        }
        assert!(patience.wait() >= 200 * MS, "{patience:?}");
        assert!(patience.wait() < 210 * MS, "{patience:?}");
    }

    #[test]
    fn silence_is_met_with_longer_waits_until_an_answer_is_clear() {
        let mut patience = Patience::new();
        let waits: Vec<_> = (0..6)
            .map(|_| {
                patience.unanswered();
                patience.wait()
            })
            .collect();
        assert_eq!(waits, [200, 400, 800, 1000, 1000, 1000].map(|ms| ms * MS));
        patience.answered(MS);
        assert_eq!(patience.wait(), LEAST);
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(
            events in proptest::collection::vec(proptest::option::of(0..100_000_u64), 0..50),
        ) {
            let mut patience = Patience::new();
            for event in events {
                match event {
                    Some(millis) => patience.answered(Duration::from_millis(millis)),
                    None => patience.unanswered(),
                }
                prop_assert!((LEAST..=MOST).contains(&patience.wait()));
            }
        }
    }
}
