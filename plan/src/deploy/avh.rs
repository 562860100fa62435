//! `to: avh`: Arm Virtual Hardware.

use super::{apply_overlay_if_needed, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "avh", "avh")?;
    let block = builder.cursor();
    builder.nest(Spec::group("deploy-avh-retry").retrying(), |builder| {
        builder.nest(Spec::group("deploy-avh"), |builder| {
            overlay_tree::add_if_needed(builder)?;
            if block.has("fw_package") {
                download::add_key(builder, &block, "fw_package")?;
                if builder.needs_overlay() {
                    builder.later("apply-overlay-avh");
                }
                return Ok(());
            }
            for (label, image) in download::images(&block)? {
                download::add_at(builder, &label, &image, true)?;
                if image.has("root_partition") {
                    apply_overlay_if_needed(builder);
                }
            }
            Ok(())
        })
    })
}
