//! lava-test-shell on the device.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    step::{ShellDefinition, TestShell},
};
use job::{FaultClass, Namespace};
use std::sync::Arc;

pub(super) fn plan(builder: &mut Builder<'_, '_>, stage: u32) -> Planned {
    let step = test_shell(builder, stage);
    builder.nest(Spec::group("lava-test-retry").retrying(), |builder| {
        builder.add(
            Spec::new("lava-test-shell", Step::TestShell(Box::new(step)))
                .on_timeout(FaultClass::Test)
                .skippable(),
        );
        Ok(())
    })
}

fn test_shell(builder: &mut Builder<'_, '_>, stage: u32) -> TestShell {
    let namespace = builder.namespace().clone();
    let definitions = definitions(builder, &namespace, stage);
    if definitions.is_empty() {
        let problem = builder
            .cursor()
            .problem(format!(
                "nothing puts these tests on the device in namespace `{namespace}`"
            ))
            .with_hint("a `deploy` of the same namespace has to come first");
        builder.report(problem);
    }
    let view = builder.view();
    let data = builder
        .state_ref()
        .deployed(&namespace)
        .and_then(|deployed| deployed.data);
    TestShell {
        definitions,
        stage,
        results_dir: view.results_dir(data),
        shell: view.shell(data),
        character_delay: view.device.character_delays.test,
    }
}

/// The definitions of this block, as the last deploy of the namespace put them on the device.
fn definitions(
    builder: &Builder<'_, '_>,
    namespace: &Namespace,
    stage: u32,
) -> Vec<Arc<ShellDefinition>> {
    let Some(deployed) = builder.state_ref().deployed(namespace) else {
        return Vec::new();
    };
    deployed
        .definitions
        .iter()
        .filter(|definition| definition.stage == stage)
        .cloned()
        .collect()
}
