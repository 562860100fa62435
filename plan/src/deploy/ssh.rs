//! `to: ssh`: files for a running system.

use super::{device_env, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "ssh", "ssh")?;
    let block = builder.cursor();
    builder.nest(Spec::group("scp-overlay"), |builder| {
        overlay_tree::add_or_skip(builder)?;
        for key in ["firmware", "kernel", "dtb", "rootfs", "modules"] {
            download::add_key(builder, &block, key)?;
        }
        builder.nest(Spec::group("prepare-scp-overlay"), |builder| {
            builder.later("extract-rootfs");
            builder.later("extract-modules");
            Ok(())
        })?;
        device_env(builder);
        Ok(())
    })
}
