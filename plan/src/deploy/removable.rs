//! `to: usb`, `sata` and `sd`: a running system writes a disk of the board.

use super::{apply_overlay_if_needed, device_env_if_needed, require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>, to: &str) -> Planned {
    require_method(builder, to, to)?;
    let block = builder.cursor();
    let disk = require_key(&block, "device")?;
    let known = disk
        .as_text()
        .and_then(|name| builder.device().at(&["parameters", "media", to, &name]));
    if known.is_none() {
        return Err(disk.problem(format!("the device has no such {to} disk")));
    }
    builder.nest(Spec::group("storage-deploy"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        if block.has("images") {
            for (label, image) in download::images(&block)? {
                download::add_at(builder, &label, &image, true)?;
            }
        } else {
            download::add_key(builder, &block, "image")?;
        }
        apply_overlay_if_needed(builder);
        let write = bootloader::later(builder, "dd-image").builtin(600);
        builder.add(write);
        device_env_if_needed(builder);
        Ok(())
    })
}
