//! `to: u-boot-ums`: an image that the boot writes to a disk U-Boot exports.

use super::{apply_overlay_if_needed, device_env_if_needed, require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "u-boot-ums", "u-boot-ums")?;
    let image = require_key(&builder.cursor(), "image")?;
    builder.nest(Spec::group("uboot-ums-deploy"), |builder| {
        download::add_at(builder, "image", &image, true)?;
        overlay_tree::add_if_needed(builder)?;
        apply_overlay_if_needed(builder);
        device_env_if_needed(builder);
        Ok(())
    })
}
