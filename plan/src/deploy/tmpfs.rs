//! `to: tmpfs`: images for an emulator or a small board.

use super::{device_env_if_needed, require_method};
use crate::{
    Step,
    builder::{Builder, Planned, Spec, read},
    download, overlay_tree,
};
use job::definition::{Injection, OverlayEntry, TmpfsDeploy, UrlBlock};

/// Size of the guest image with the overlay when the device does not say.
const GUEST_MIB: u32 = 512;

pub(super) fn plan(builder: &mut Builder<'_, '_>, deploy: &TmpfsDeploy) -> Planned {
    require_method(builder, "image", "tmpfs")?;
    let block = builder.cursor();
    let Some(images) = block.get("images") else {
        return Err(block
            .missing("images")
            .with_hint("these are the files to fetch"));
    };
    let namespace = builder.namespace().clone();
    let deployed = builder.state().deployed_mut(&namespace);
    deployed.images.clear();
    deployed.guest = false;
    if let Some(uefi) = &deploy.uefi {
        let argument = uefi
            .image_arg
            .clone()
            .unwrap_or_else(|| "-bios {uefi}".to_owned());
        deployed.images.push(("uefi".to_owned(), argument));
    }
    for (label, file) in &deploy.images {
        let argument = file.image_arg.clone().unwrap_or_default();
        deployed.images.push((label.clone(), argument));
    }
    builder.nest(Spec::group("deployimages"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        device_env_if_needed(builder);
        if let Some(uefi) = &deploy.uefi {
            download::add(builder, "uefi", uefi, &block, true)?;
        }
        for (label, file) in &deploy.images {
            let at = images.get(label).unwrap_or_else(|| images.clone());
            download::add(builder, label, file, &at, true)?;
        }
        if builder.needs_overlay() {
            guest(builder, deploy)?;
        }
        Ok(())
    })
}

/// `apply-overlay-guest`: an image with the overlay, unless an image already carries it.
fn guest(builder: &mut Builder<'_, '_>, deploy: &TmpfsDeploy) -> Planned {
    let already_applied = deploy
        .images
        .iter()
        .any(|(_, image)| carries_overlay(image));
    let namespace = builder.namespace().clone();
    builder.state().deployed_mut(&namespace).guest = !already_applied;
    let guest = builder
        .device()
        .deploy_method("image")
        .and_then(|image| image.get("parameters")?.set("guest"));
    if guest.is_none() && !already_applied {
        let problem = builder
            .cursor()
            .problem("the device cannot attach an image with the tests")
            .with_hint("let an image carry them: `overlays: {lava: true}`");
        builder.report(problem);
    }
    let size = read(|problems| guest?.set("size")?.count(problems))?;
    builder.add(Spec::new(
        "apply-overlay-guest",
        Step::ApplyOverlayGuest {
            size_mib: size.unwrap_or(GUEST_MIB),
            already_applied,
        },
    ));
    Ok(())
}

fn carries_overlay(image: &UrlBlock) -> bool {
    let overlays = |injection: &Injection| {
        injection
            .overlays
            .iter()
            .any(|(_, entry)| *entry == OverlayEntry::Lava)
    };
    image.injection.as_ref().is_some_and(overlays)
}
