//! `test:` blocks, one file per kind.

mod docker;
mod interactive;
mod monitor;
mod services;
mod shell;

use crate::builder::{Builder, Planned, Spec};
use job::definition::{Test, TestKind};

/// The actions of a `test:` block.
pub(crate) fn plan(builder: &mut Builder<'_, '_>, test: &Test) -> Planned {
    let stage = stage(builder, test);
    let multinode = test.has_role && builder.view().is_multinode();
    match &test.kind {
        TestKind::Shell(_) | TestKind::Interactive(_) | TestKind::Monitors(_) if multinode => {
            builder.add(Spec::unsupported(
                "multinode-test",
                "a test of several devices (lava-multinode)",
            ));
            Ok(())
        }
        TestKind::Shell(_) => shell::plan(builder, stage),
        TestKind::Interactive(scripts) => interactive::plan(builder, scripts, stage),
        TestKind::Monitors(monitors) => monitor::plan(builder, monitors),
        TestKind::Docker(_) => docker::plan(builder, multinode),
        TestKind::Services => services::plan(builder),
        TestKind::Unknown => Err(builder
            .cursor()
            .problem("there is no such kind of test")
            .with_hint("a test has `definitions`, `interactive`, `monitors` or `services`")),
    }
}

/// The number of test blocks of the namespace before this one whose definitions travel in the
/// overlay.
fn stage(builder: &mut Builder<'_, '_>, test: &Test) -> u32 {
    let namespace = builder.namespace().clone();
    let next = builder.state().stages.entry(namespace).or_default();
    let stage = *next;
    if test.needs_overlay() {
        *next = next.saturating_add(1);
    }
    stage
}
