//! `to: tftp`: files that a bootloader fetches.

use super::{device_env_if_needed, require_method};
use crate::{
    Step,
    builder::{Builder, Planned, Spec, read},
    download, netboot, overlay_tree,
    step::netboot::Ramdisk,
};
use job::document::Cursor;

/// The largest file that LAVA 2026.07 hands out, in bytes: blocks are numbered by 16 bits, and a
/// block has at most 64 KiB.
const SIZE_LIMIT: u64 = 4 << 30;

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "tftp", "tftp")?;
    let block = builder.cursor();
    let size_limit = builder
        .device()
        .at(&["tftp_size_limit"])
        .and_then(|limit| limit.as_text()?.parse().ok())
        .unwrap_or(SIZE_LIMIT);
    begin(builder);
    let step = Step::TftpDeploy { size_limit };
    builder.nest(Spec::new("tftp-deploy", step), |builder| {
        overlay_tree::add_if_needed(builder)?;
        downloads(builder, &block)?;
        prepare(builder, &block)?;
        device_env_if_needed(builder);
        Ok(())
    })
}

/// Forgets what an earlier deploy of the namespace left for boot loaders.
pub(super) fn begin(builder: &mut Builder<'_, '_>) {
    let namespace = builder.namespace().clone();
    let deployed = builder.state().deployed_mut(&namespace);
    deployed.boot_files.clear();
    deployed.kernel_type = None;
    deployed.nbd = false;
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
        fetch(builder, key, block.set(key))?;
    }
    if let Some(overlays) = block.set("dtbo") {
        let overlays = read(|problems| overlays.items(problems))?;
        for (index, overlay) in overlays.iter().enumerate() {
            fetch(builder, &format!("dtbo{index}"), Some(overlay.clone()))?;
        }
    }
    if let Some(files) = block.set("extra_files") {
        for (label, file) in read(|problems| files.entries(problems))? {
            download::add_at(builder, &label, &file, true)?;
        }
    }
    Ok(())
}

/// Fetches a file that boot commands may name.
pub(super) fn fetch(
    builder: &mut Builder<'_, '_>,
    label: &str,
    file: Option<Cursor<'_>>,
) -> Planned {
    let Some(file) = file else { return Ok(()) };
    let namespace = builder.namespace().clone();
    let deployed = builder.state().deployed_mut(&namespace);
    deployed.boot_files.push(label.to_owned());
    download::add_at(builder, label, &file, true)
}

/// `prepare-tftp-overlay`.
fn prepare(builder: &mut Builder<'_, '_>, block: &Cursor<'_>) -> Planned {
    let depthcharge = builder.device().boot_method("depthcharge").is_some();
    let ramdisk = ramdisk(block);
    let nfs = block.set("nfsrootfs").is_some();
    let persistent = block.set("persistent_nfs").is_some();
    builder.nest(Spec::group("prepare-tftp-overlay"), |builder| {
        add_if(builder, nfs, "extract-nfsrootfs");
        add_if(builder, persistent, "parse-persistent-nfs");
        builder.add(Spec::new(
            "extract-overlay-ramdisk",
            ramdisk.map_or(Step::Skip, Step::ExtractRamdisk),
        ));
        modules(builder, block, ramdisk);
        if builder.needs_overlay() {
            if nfs || persistent {
                builder.later("apply-overlay-tftp");
            } else {
                let ramdisk = ramdisk.is_some_and(|ramdisk| ramdisk.install_overlay);
                let step = Step::ApplyOverlayTftp { ramdisk };
                builder.add(Spec::new("apply-overlay-tftp", step));
            }
        }
        if !depthcharge {
            prepare_kernel(builder, block)?;
        }
        add_if(
            builder,
            block.set("preseed").is_some(),
            "configure-preseed-file",
        );
        let header = ramdisk
            .filter(|ramdisk| ramdisk.is_changed())
            .and_then(|_| netboot::ramdisk_header(builder));
        let step = Step::CompressRamdisk { header };
        builder.add(Spec::new("compress-ramdisk", step));
        if depthcharge {
            prepare_kernel(builder, block)?;
        }
        Ok(())
    })
}

/// An action that is there for every job and that this version runs for none.
fn add_if(builder: &mut Builder<'_, '_>, wanted: bool, name: &'static str) {
    if wanted {
        builder.later(name);
    } else {
        builder.add(Spec::new(name, Step::Skip));
    }
}

/// `extract-modules`.
fn modules(builder: &mut Builder<'_, '_>, block: &Cursor<'_>, ramdisk: Option<Ramdisk>) {
    let step = match block.set("modules") {
        None => Step::Skip,
        Some(_) if block.set("nfsrootfs").is_some() => return builder.later("extract-modules"),
        Some(_) => Step::InstallModules {
            ramdisk: ramdisk.is_some_and(|ramdisk| ramdisk.install_modules),
        },
    };
    builder.add(Spec::new("extract-modules", step));
}

fn ramdisk(block: &Cursor<'_>) -> Option<Ramdisk> {
    let ramdisk = block.set("ramdisk")?;
    let header = ramdisk.set("header").and_then(|header| header.as_text());
    Some(Ramdisk {
        has_header: header.as_deref() == Some("u-boot"),
        install_overlay: ramdisk.flag("install_overlay", true),
        install_modules: ramdisk.flag("install_modules", true),
    })
}

/// `prepare-kernel`, for a kernel whose type is given.
pub(super) fn prepare_kernel(builder: &mut Builder<'_, '_>, block: &Cursor<'_>) -> Planned {
    let kernel_type = block.get("kernel").and_then(|kernel| kernel.get("type"));
    let Some(kernel_type) = kernel_type else {
        return Ok(());
    };
    let kernel_type = kernel_type.as_text().unwrap_or_default();
    let namespace = builder.namespace().clone();
    builder.state().deployed_mut(&namespace).kernel_type = Some(kernel_type.clone());
    builder.nest(Spec::group("prepare-kernel"), |builder| {
        let device = builder.device();
        if device.boot_method("u-boot").is_some() {
            let step = Step::PrepareKernel(netboot::prepare(builder, &kernel_type));
            builder.add(Spec::new("uboot-prepare-kernel", step));
        } else if device.boot_method("depthcharge").is_some() {
            builder.later("prepare-fit");
        }
        Ok(())
    })
}
