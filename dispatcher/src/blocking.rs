//! Work that would block the runner, on threads beside it.
//!
//! Dropping a future tells such work to stop, but does not wait until it has: whoever removes the
//! files it works on asks here first. Processes are never started from these threads.

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

thread_local! {
    /// What the runner of this thread has running; a job has a thread of its own.
    static RUNNING: TaskTracker = TaskTracker::new();
}

/// Starts work on another thread. It should look now and then whether it is still wanted.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    RUNNING.with(|running| running.spawn_blocking(work))
}

/// Waits until all of it has ended, at most until a time. Says whether it has.
pub(crate) async fn ended(until: Instant) -> bool {
    let running = RUNNING.with(TaskTracker::clone);
    running.close();
    let ended = timeout_at(until, running.wait()).await.is_ok();
    running.reopen();
    ended
}
