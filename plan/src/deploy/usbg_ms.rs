//! `to: usbg-ms`: this host is a USB disk of the board.

use super::{device_env_if_needed, require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "usbg-ms", "usbg-ms")?;
    let image = require_key(&builder.cursor(), "image")?;
    let spec = bootloader::later(builder, "usbg-ms");
    builder.nest(spec, |builder| {
        overlay_tree::add_if_needed(builder)?;
        download::add_at(builder, "image", &image, true)?;
        device_env_if_needed(builder);
        Ok(())
    })
}
