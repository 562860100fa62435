//! `deploy:` blocks, one file per method.

mod overlay;
mod tmpfs;

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    deployment_data,
};
use job::{
    Problem,
    definition::{Deploy, DeployMethod},
};

/// The actions of a `deploy:` block.
pub(crate) fn plan(builder: &mut Builder<'_, '_>, deploy: &Deploy) -> Planned {
    if builder.has_shell() || builder.cursor().has("preseed") {
        let data = deploy.os.as_deref().and_then(deployment_data::find);
        let namespace = builder.namespace().clone();
        builder.state().deployed_mut(&namespace).data = data;
    }
    match &deploy.method {
        DeployMethod::Tmpfs(tmpfs) => tmpfs::plan(builder, tmpfs),
        DeployMethod::Overlay => overlay::plan(builder),
        DeployMethod::Other => Err(unknown(builder, &deploy.to)),
    }
}

fn unknown(builder: &Builder<'_, '_>, to: &str) -> Problem {
    let at = builder.cursor();
    let methods = builder.device().deploy_methods();
    let problem = at
        .get("to")
        .unwrap_or(at)
        .problem(format!("cannot deploy to `{to}`"));
    if methods.is_empty() {
        problem.with_hint("the device has no deploy methods")
    } else {
        problem.with_hint(format!("the device has: {}", methods.join(", ")))
    }
}

/// Refuses a method that the device does not have.
fn require_method(builder: &Builder<'_, '_>, method: &str, to: &str) -> Planned {
    match builder.device().deploy_method(method) {
        Some(_) => Ok(()),
        None => Err(unknown(builder, to)),
    }
}

/// `deploy-device-env`.
fn device_env(builder: &mut Builder<'_, '_>) {
    let variables = builder.view().facts.env_dut.clone().unwrap_or_default();
    builder.add(Spec::new(
        "deploy-device-env",
        Step::DeployDeviceEnv { variables },
    ));
}

/// `deploy-device-env`, if a test of the namespace has a shell to type it in.
fn device_env_if_needed(builder: &mut Builder<'_, '_>) {
    if builder.has_shell() {
        device_env(builder);
    }
}
