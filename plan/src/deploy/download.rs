//! `to: download` and `to: downloads`: files for later use on this host.

use crate::{
    builder::{Builder, Planned, Spec},
    download, fastboot, overlay_tree,
};

/// `to: download`: files for a board that waits in fastboot.
pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let images = download::images(&builder.cursor())?;
    builder.nest(Spec::group("download-deploy"), |builder| {
        fastboot::enter(builder)?;
        for (label, image) in images {
            download::add_at(builder, &label, &image, true)?;
        }
        overlay_tree::add_if_needed(builder)
    })
}

/// `to: downloads`: files for tests beside the device.
pub(super) fn plan_downloads(builder: &mut Builder<'_, '_>) -> Planned {
    let block = builder.cursor();
    let images = download::images(&block)?;
    let own_directory = block.flag("uniquify", false);
    builder.nest(Spec::group("downloads"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        for (label, image) in images {
            download::add_at(builder, &label, &image, own_directory)?;
        }
        if block.has("postprocess") {
            builder.later("download-postprocess-docker");
        }
        Ok(())
    })
}
