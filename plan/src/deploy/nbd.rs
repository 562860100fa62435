//! `to: nbd`: the root file system is a network block device.

use super::{require_key, require_method, tftp};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "nbd", "nbd")?;
    let block = builder.cursor();
    for key in ["kernel", "nbdroot"] {
        require_key(&block, key)?;
    }
    builder.nest(Spec::group("nbd-deploy"), |builder| {
        for key in ["initrd", "kernel", "dtb", "nbdroot"] {
            download::add_key(builder, &block, key)?;
        }
        overlay_tree::add_or_skip(builder)?;
        tftp::prepare_kernel(builder, &block)?;
        builder.later("xnbd-server-deploy");
        Ok(())
    })
}
