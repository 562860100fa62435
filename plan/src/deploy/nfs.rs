//! `to: nfs`: the root file system is a directory of this host.

use super::{device_env_if_needed, require_method, unknown};
use crate::{
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "nfs", "nfs")?;
    if builder.device().boot_method("qemu-nfs").is_some() {
        return emulator(builder);
    }
    if builder.device().deploy_method("image").is_some() {
        return Err(unknown(builder, "nfs"));
    }
    board(builder)
}

/// For an emulator, whose images come along.
fn emulator(builder: &mut Builder<'_, '_>) -> Planned {
    let images = download::images(&builder.cursor())?;
    builder.nest(Spec::group("deploy-qemu-nfs"), |builder| {
        for (label, image) in images {
            download::add_at(builder, &label, &image, true)?;
        }
        builder.later("qemu-nfs-deploy");
        overlay_tree::add_if_needed(builder)?;
        if builder.needs_overlay() {
            builder.later("apply-overlay-tftp");
        }
        device_env_if_needed(builder);
        Ok(())
    })
}

/// For a board that boots by other means.
fn board(builder: &mut Builder<'_, '_>) -> Planned {
    let block = builder.cursor();
    builder.nest(Spec::group("nfs-deploy"), |builder| {
        download::add_key(builder, &block, "nfsrootfs")?;
        download::add_key(builder, &block, "modules")?;
        builder.later("extract-nfsrootfs");
        overlay_tree::add_or_skip(builder)?;
        builder.later("extract-modules");
        builder.later("apply-overlay-tftp");
        device_env_if_needed(builder);
        Ok(())
    })
}
