//! `to: uuu`: files for NXP's loader.

use super::{apply_overlay_if_asked, require_key, unknown};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    if builder.device().boot_method("uuu").is_none() {
        return Err(unknown(builder, "uuu"));
    }
    let block = builder.cursor();
    let images = download::images(&block)?;
    require_key(&require_key(&block, "images")?, "boot")?;
    let own_directory = block.flag("uniquify", true);
    builder.nest(Spec::group("uuu-deploy"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        for (label, image) in images {
            download::add_at(builder, &label, &image, own_directory)?;
            apply_overlay_if_asked(builder, &image);
        }
        Ok(())
    })
}
