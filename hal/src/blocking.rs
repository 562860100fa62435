//! Work that blocks (ioctls, reads of `/sys`), done off the reactor's thread within a deadline.
//!
//! Used by the drivers of USB and GPIO devices and of storage. What runs here ends by itself in
//! bounded time: the kernel bounds USB transfers, and loops look at their deadline.

use crate::error::{ErrorKind, HalError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Runs `work` on a thread of the runtime's pool.
///
/// When the future is dropped or the deadline passes, the work goes on to its own end and its
/// result is lost: whoever needs it to be over first has to serialise inside `work`.
///
/// # Errors
/// What `work` reports, or `Timeout` naming `subject`.
pub(crate) async fn run<T: Send + 'static>(
    subject: &str,
    deadline: Instant,
    work: impl FnOnce() -> Result<T, HalError> + Send + 'static,
) -> Result<T, HalError> {
    let allowed = deadline.saturating_duration_since(Instant::now());
    match timeout_at(deadline, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            let message = format!("the work on {subject} was given up");
            Err(HalError::new(ErrorKind::Other, subject, message))
        }
        Err(_) => Err(timed_out(subject, allowed)),
    }
}

/// The error of a device that did not answer in time.
pub(crate) fn timed_out(subject: &str, allowed: Duration) -> HalError {
    let message = format!("{subject} did not answer within {allowed:.1?}");
    HalError::new(ErrorKind::Timeout, subject, message)
}
