//! What follows the last block.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    power,
};
use std::time::Duration;

/// How long the end of a job listens for feedback unless told otherwise.
const FEEDBACK_WAIT: Duration = Duration::from_secs(1);

/// `finalize`.
pub(crate) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    builder.nest(Spec::new("finalize", Step::Finalize), |builder| {
        power::commands(builder, "power-off", "power_off");
        let name = "read-feedback";
        let wait = builder
            .definition()
            .timeouts
            .connections
            .get(name)
            .or_else(|| builder.device().timeouts.connections.get(name))
            .unwrap_or(FEEDBACK_WAIT);
        builder.add(Spec::new(
            name,
            Step::ReadFeedback {
                wait,
                finalize: true,
            },
        ));
        Ok(())
    })
}
