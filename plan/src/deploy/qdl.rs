//! `to: qdl`: files for Qualcomm's emergency download mode.

use super::require_key;
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let block = builder.cursor();
    let archive = match block.get("images") {
        Some(images) => require_key(&images, "qcomflash")?,
        None => require_key(&block, "qcomflash")?,
    };
    builder.nest(Spec::group("qdl-deploy"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        download::add_at(builder, "qcomflash", &archive, true)?;
        if archive.flag("apply-overlay", false) {
            builder.later("apply-overlay-qdl");
        }
        Ok(())
    })
}
