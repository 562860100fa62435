//! `to: flasher`: the admin's own commands flash the device.

use super::{device_env_if_needed, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "flasher", "flasher")?;
    let block = builder.cursor();
    let images = download::images(&block)?;
    let own_directory = block.flag("uniquify", true);
    builder.nest(Spec::group("deploy-flasher-retry").retrying(), |builder| {
        let spec = bootloader::later(builder, "deploy-flasher");
        builder.nest(spec, |builder| {
            overlay_tree::add_if_needed(builder)?;
            for (label, image) in images {
                if image.flag("download", true) {
                    download::add_at(builder, &label, &image, own_directory)?;
                }
            }
            device_env_if_needed(builder);
            Ok(())
        })
    })
}
