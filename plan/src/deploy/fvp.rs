//! `to: fvp`: files for a Fixed Virtual Platform.

use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let block = builder.cursor();
    let images = download::images(&block)?;
    let own_directory = block.flag("uniquify", true);
    builder.nest(Spec::group("fvp-deploy"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        for (label, image) in images {
            download::add_at(builder, &label, &image, own_directory)?;
        }
        Ok(())
    })
}
