//! The end of a job: what the boards still say, and their consoles closed.

use super::StepRun;
use crate::run::{Context, Extra};
use job::Fault;
use std::time::Duration;
use tokio::time::Instant;

/// Listens to the consoles until they are quiet, at most for `wait`, and closes them if asked.
///
/// LAVA 2026.07 listens for the whole second; ours ends after 50 ms of silence.
pub async fn read_feedback(
    step: &StepRun<'_>,
    wait: Duration,
    close: bool,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let until = (Instant::now() + wait).min(step.deadline);
    context.consoles.drain_until_quiet(until).await;
    for namespace in context.consoles.namespaces() {
        context.log.debug(format!(
            "Listened to connection for namespace '{namespace}' for up to {}s",
            wait.as_secs()
        ));
        if close {
            context
                .log
                .info(format!("Finalising connection for namespace '{namespace}'"));
            context.consoles.close(&namespace, "the job is over").await;
        }
    }
    Ok(Extra::new())
}
