//! `to: iso-installer`: install a distribution into an emulator.

use super::{device_env_if_needed, require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "image", "iso-installer")?;
    let block = builder.cursor();
    require_key(&block, "iso")?;
    let images = require_key(&block, "images")?;
    builder.nest(Spec::group("deploy-iso-installer"), |builder| {
        builder.later("prepare-empty-image");
        download::add_key(builder, &images, "preseed")?;
        download::add_key(builder, &images, "iso")?;
        builder.later("pull-installer-files");
        builder.later("prepare-qemu-commands");
        overlay_tree::add_if_needed(builder)?;
        if builder.needs_overlay() {
            builder.later("apply-overlay-guest");
        }
        device_env_if_needed(builder);
        Ok(())
    })
}
