//! `to: tftp`: files that a bootloader fetches.

use super::{device_env_if_needed, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec, read},
    download, overlay_tree,
};
use job::document::Cursor;

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "tftp", "tftp")?;
    let block = builder.cursor();
    builder.nest(Spec::group("tftp-deploy"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        downloads(builder, &block)?;
        prepare(builder, &block)?;
        device_env_if_needed(builder);
        Ok(())
    })
}

fn downloads(builder: &mut Builder<'_, '_>, block: &Cursor<'_>) -> Planned {
    for key in [
        "ramdisk",
        "kernel",
        "dtb",
        "nfsrootfs",
        "modules",
        "preseed",
        "tee",
    ] {
        download::add_key(builder, block, key)?;
    }
    if let Some(overlays) = block.set("dtbo") {
        let overlays = read(|problems| overlays.items(problems))?;
        for (index, overlay) in overlays.iter().enumerate() {
            download::add_at(builder, &format!("dtbo{index}"), overlay, true)?;
        }
    }
    if let Some(files) = block.set("extra_files") {
        for (label, file) in read(|problems| files.entries(problems))? {
            download::add_at(builder, &label, &file, true)?;
        }
    }
    Ok(())
}

/// `prepare-tftp-overlay`.
fn prepare(builder: &mut Builder<'_, '_>, block: &Cursor<'_>) -> Planned {
    let depthcharge = builder.device().boot_method("depthcharge").is_some();
    builder.nest(Spec::group("prepare-tftp-overlay"), |builder| {
        builder.later("extract-nfsrootfs");
        builder.later("parse-persistent-nfs");
        builder.later("extract-overlay-ramdisk");
        builder.later("extract-modules");
        if builder.needs_overlay() {
            builder.later("apply-overlay-tftp");
        }
        if !depthcharge {
            prepare_kernel(builder, block)?;
        }
        builder.later("configure-preseed-file");
        builder.later("compress-ramdisk");
        if depthcharge {
            prepare_kernel(builder, block)?;
        }
        Ok(())
    })
}

/// `prepare-kernel`, for a kernel whose type is given.
pub(super) fn prepare_kernel(builder: &mut Builder<'_, '_>, block: &Cursor<'_>) -> Planned {
    let wanted = block.get("kernel").is_some_and(|kernel| kernel.has("type"));
    if !wanted {
        return Ok(());
    }
    let spec = bootloader::later(builder, "prepare-kernel");
    builder.nest(spec, |builder| {
        let device = builder.device();
        if device.boot_method("u-boot").is_some() {
            builder.later("uboot-prepare-kernel");
        } else if device.boot_method("depthcharge").is_some() {
            builder.later("prepare-fit");
        }
        Ok(())
    })
}
