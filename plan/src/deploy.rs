//! `deploy:` blocks, one file per method.

mod avh;
mod docker;
mod download;
mod fastboot;
mod flasher;
mod fvp;
mod iso_installer;
mod mps;
mod musca;
mod nbd;
mod nfs;
mod overlay;
mod qdl;
mod recovery;
mod removable;
mod ssh;
mod tftp;
mod tmpfs;
mod u_boot_ums;
mod usbg_ms;
mod uuu;
mod vemsd;

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    deployment_data,
};
use job::{
    Problem,
    definition::{Deploy, DeployMethod},
    document::Cursor,
};

/// The actions of a `deploy:` block.
pub(crate) fn plan(builder: &mut Builder<'_, '_>, deploy: &Deploy) -> Planned {
    if builder.has_shell() || builder.cursor().has("preseed") {
        let data = deploy.os.as_deref().and_then(deployment_data::find);
        let namespace = builder.namespace().clone();
        builder.state().deployed_mut(&namespace).data = data;
    }
    if let DeployMethod::Tmpfs(tmpfs) = &deploy.method {
        return tmpfs::plan(builder, tmpfs);
    }
    match deploy.to.as_str() {
        "overlay" => overlay::plan(builder),
        "avh" => avh::plan(builder),
        "docker" => docker::plan(builder),
        "download" => download::plan(builder),
        "downloads" => download::plan_downloads(builder),
        "fastboot" => fastboot::plan(builder),
        "flasher" => flasher::plan(builder),
        "fvp" => fvp::plan(builder),
        "iso-installer" => iso_installer::plan(builder),
        "mps" => mps::plan(builder),
        "musca" => musca::plan(builder),
        "nbd" => nbd::plan(builder),
        "nfs" => nfs::plan(builder),
        "qdl" => qdl::plan(builder),
        "recovery" => recovery::plan(builder),
        "sata" | "sd" | "usb" => removable::plan(builder, &deploy.to),
        "ssh" => ssh::plan(builder),
        "tftp" => tftp::plan(builder),
        "u-boot-ums" => u_boot_ums::plan(builder),
        "usbg-ms" => usbg_ms::plan(builder),
        "uuu" => uuu::plan(builder),
        "vemsd" => vemsd::plan(builder),
        to => Err(unknown(builder, to)),
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

/// The device's description of a method; refuses one that it does not have.
fn require_method<'a>(builder: &Builder<'a, '_>, method: &str, to: &str) -> Planned<Cursor<'a>> {
    builder
        .device()
        .deploy_method(method)
        .ok_or_else(|| unknown(builder, to))
}

/// A key that the block must have.
fn require_key<'a>(block: &Cursor<'a>, key: &str) -> Planned<Cursor<'a>> {
    block.get(key).ok_or_else(|| block.missing(key))
}

/// `deploy-device-env`.
fn device_env(builder: &mut Builder<'_, '_>) {
    let variables = builder.view().facts.env_dut.clone().unwrap_or_default();
    let data = builder
        .state_ref()
        .deployed(builder.namespace())
        .and_then(|deployed| deployed.data);
    if builder.view().shell_file(data).is_none() {
        let problem = builder
            .cursor()
            .problem("shells of the deployed system read no file in which variables could be set")
            .with_hint("set `lava_test_shell_file` in the job's `context`");
        builder.report(problem);
    }
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

/// Puts the overlay into an image that asks for it (`apply-overlay: true`).
fn apply_overlay_if_asked(builder: &mut Builder<'_, '_>, image: &Cursor<'_>) {
    if image.flag("apply-overlay", false) {
        builder.later(if image.flag("sparse", true) {
            "apply-overlay-sparse-image"
        } else {
            "apply-overlay-image"
        });
    }
}

/// `apply-overlay-image`, if a test of the namespace needs it.
fn apply_overlay_if_needed(builder: &mut Builder<'_, '_>) {
    if builder.needs_overlay() {
        builder.later("apply-overlay-image");
    }
}
