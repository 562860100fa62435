//! `to: docker`: a container is the device.

use super::{device_env_if_needed, require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned},
    overlay_tree::{self, Form},
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "docker", "docker")?;
    require_key(&builder.cursor(), "image")?;
    let spec = bootloader::later(builder, "deploy-docker");
    builder.nest(spec, |builder| {
        device_env_if_needed(builder);
        if builder.needs_overlay() {
            overlay_tree::add(builder, "lava-overlay", Form::Directory)?;
        }
        Ok(())
    })
}
