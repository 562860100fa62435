//! The signals that cancel a job.

use crate::display::Display;
use std::{sync::Arc, task::Poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals that cancel a job, caught.
pub(crate) struct Signals(Vec<Signal>);

impl Signals {
    /// From now on they do not end the program. One that cannot be caught keeps ending it; one that
    /// whoever started us had us ignore stays ignored.
    pub(crate) fn install() -> Self {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let ignored = ignored_signals();
        let signals = kinds
            .into_iter()
            .filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0)
            .filter_map(|kind| signal(kind).ok());
        Self(signals.collect())
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        std::future::poll_fn(|poller| {
            let mut ready = Poll::Pending;
            for signal in &mut self.0 {
                if signal.poll_recv(poller).is_ready() {
                    ready = Poll::Ready(());
                }
            }
            ready
        })
        .await;
    }

    /// The first signal cancels the job, each further one only says so. Power-off and clean-up
    /// cannot be interrupted: they are bounded, and a board that stays powered is worse than a few
    /// seconds. Never returns, so that they stay caught.
    pub(crate) async fn cancel(mut self, cancel: CancellationToken, display: Arc<Display>) {
        for times in 1.. {
            self.next().await;
            display.canceling(times);
            cancel.cancel();
        }
    }
}

/// The signals that whoever started us had us ignore (`nohup`): bit 0 is signal 1. Handling them
/// would end a job that is meant to outlive its terminal.
fn ignored_signals() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
