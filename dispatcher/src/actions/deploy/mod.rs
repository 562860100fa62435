//! `deploy:` blocks.

pub mod append_overlays;
pub mod download;
pub mod guest;
pub mod nbd;
pub mod overlay;
pub mod tftp;

use crate::run::Context;
use job::Fault;
use tokio_util::sync::CancellationToken;

/// Runs work that would block the runner on another thread, the consoles being read meanwhile.
///
/// Cancel-safe: dropping the future tells the work to stop.
async fn blocking<T: Send + 'static>(
    context: &mut Context,
    work: impl FnOnce(CancellationToken) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let working = crate::blocking::spawn(move || work(cancel));
    tokio::select! {
        done = working => done.unwrap_or_else(|error| Err(Fault::bug(error.to_string()))),
        never = context.consoles.drain() => match never {},
    }
}
