//! The console is watched between two messages.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    step::{Monitor, MonitorEntry},
};
use job::{FaultClass, definition};

pub(super) fn plan(builder: &mut Builder<'_, '_>, monitors: &[definition::Monitor]) -> Planned {
    let monitors = monitors
        .iter()
        .map(|monitor| MonitorEntry {
            name: monitor.name.clone(),
            start: monitor.start.clone(),
            end: monitor.end.clone(),
            pattern: monitor.pattern.clone(),
            fixup: monitor.fixup.clone(),
            expected: monitor.expected.clone(),
        })
        .collect();
    let outer = Spec::group("lava-test-monitor-retry").retrying();
    builder.nest(outer, |builder| {
        builder.add(
            Spec::new(
                "lava-test-monitor",
                Step::Monitor(Box::new(Monitor { monitors })),
            )
            .on_timeout(FaultClass::Test)
            .skippable(),
        );
        Ok(())
    })
}
