//! How often and after which pauses an exchange with a server is tried again.

use super::failure::Failure;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Attempts at a host whose name is unknown: name servers hiccup, but a wrong name stays wrong.
const UNKNOWN_HOST_ATTEMPTS: u32 = 3;

/// Attempts however much each of them brings, so that a server that drips a byte per connection
/// ends as well.
const MOST_ATTEMPTS: u32 = 1000;

/// Longest pause taken from a server's `Retry-After`.
const LONGEST_REQUESTED_PAUSE: Duration = Duration::from_secs(120);

/// Counts attempts and doubles pauses.
#[derive(Clone, Debug)]
pub(super) struct Retries {
    fruitless_limit: u32,
    first_pause: Duration,
    longest_pause: Duration,
    fruitless: u32,
    attempts: u32,
}

impl Retries {
    pub(super) fn new(attempts: u32, first_pause: Duration, longest_pause: Duration) -> Self {
        Self {
            fruitless_limit: attempts.max(1),
            first_pause,
            longest_pause,
            fruitless: 0,
            attempts: 0,
        }
    }

    /// What to do after a failed attempt: the pause before the next, or the failure to report.
    ///
    /// `fruitful` attempts, which brought bytes, start the count of fruitless ones anew.
    pub(super) fn after(
        &mut self,
        failure: Failure,
        fruitful: bool,
    ) -> Result<(Duration, Failure), Failure> {
        self.attempts += 1;
        self.fruitless = if fruitful { 1 } else { self.fruitless + 1 };
        if !failure.is_transient() {
            return Err(failure);
        }
        let limit = if failure.is_unknown_host() {
            UNKNOWN_HOST_ATTEMPTS.min(self.fruitless_limit)
        } else {
            self.fruitless_limit
        };
        if self.fruitless >= limit || self.attempts >= MOST_ATTEMPTS {
            return Err(match self.attempts {
                1 => failure,
                attempts => Failure::GivenUp {
                    attempts,
                    last: Box::new(failure),
                },
            });
        }
        let doubled = self
            .first_pause
            .saturating_mul(1 << (self.fruitless - 1).min(16));
        let asked = failure
            .retry_after()
            .map(|asked| asked.min(LONGEST_REQUESTED_PAUSE));
        Ok((
            asked
                .unwrap_or_default()
                .max(doubled.min(self.longest_pause)),
            failure,
        ))
    }
}

/// Waits between two attempts. Gives the failure back at once when the deadline would pass first:
/// it says more than that the time was over.
pub(super) async fn pause(
    wait: Duration,
    deadline: Instant,
    failure: Failure,
) -> Result<(), Failure> {
    let until = Instant::now() + wait;
    if until >= deadline {
        return Err(failure);
    }
    sleep_until(until).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Failure {
        Failure::Status {
            status,
            retry_after: None,
        }
    }

    fn retries(attempts: u32) -> Retries {
        Retries::new(attempts, Duration::from_millis(100), Duration::from_secs(5))
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut retries = retries(15);
        let pauses: Vec<_> = std::iter::from_fn(|| {
            retries
                .after(status(503), false)
                .ok()
                .map(|(pause, _)| pause)
        })
        .map(|pause| pause.as_millis())
        .collect();
        assert_eq!(pauses[..7], [100, 200, 400, 800, 1600, 3200, 5000]);
        assert_eq!(pauses.len(), 14, "fifteen attempts have fourteen pauses");
    }

    #[test]
    fn bytes_start_the_count_anew() {
        let mut retries = retries(2);
        for _ in 0..50 {
            assert!(retries.after(status(500), true).is_ok());
        }
        assert!(matches!(
            retries.after(status(500), false),
            Err(Failure::GivenUp { attempts: 51, .. })
        ));
    }

    #[test]
    fn even_bytes_do_not_last_forever() {
        let mut retries = retries(2);
        let count = std::iter::from_fn(|| retries.after(status(500), true).ok()).count();
        assert_eq!(count, MOST_ATTEMPTS as usize - 1);
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        for code in [400, 401, 403, 404, 410, 416, 501] {
            assert!(matches!(
                retries(15).after(status(code), false),
                Err(Failure::Status { .. })
            ));
        }
        for code in [
            408, 413, 420, 425, 429, 430, 500, 502, 503, 504, 507, 509, 529, 598,
        ] {
            assert!(retries(15).after(status(code), false).is_ok(), "{code}");
        }
    }

    #[test]
    fn a_server_may_ask_for_a_pause_within_reason() {
        let asked = |seconds| Failure::Status {
            status: 503,
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(
            retries(3).after(asked(7), false).unwrap().0,
            Duration::from_secs(7)
        );
        assert_eq!(
            retries(3).after(asked(1 << 40), false).unwrap().0,
            LONGEST_REQUESTED_PAUSE
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_deadline_is_not_waited_for() {
        let start = Instant::now();
        let deadline = start + Duration::from_secs(10);
        assert!(
            pause(Duration::from_secs(20), deadline, status(503))
                .await
                .is_err()
        );
        assert_eq!(Instant::now(), start);
        assert!(
            pause(Duration::from_secs(4), deadline, status(503))
                .await
                .is_ok()
        );
        assert_eq!(Instant::now(), start + Duration::from_secs(4));
    }
}
