//! `to: mps`: MPS boards, which are a disk.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    download, power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "mps", "mps")?;
    let images = download::images(&builder.cursor())?;
    let has_recovery = images.iter().any(|(label, _)| label == "recovery_image");
    let binaries = images
        .iter()
        .filter(|(label, _)| label.starts_with("test_binary"))
        .count();
    let hard_reboot = method
        .get("parameters")
        .is_some_and(|parameters| parameters.flag("hard-reboot", false));
    builder.nest(Spec::group("mps-deploy"), |builder| {
        power::disconnect(builder);
        power::reset(builder)?;
        builder.later("wait-usb-mass-storage-device");
        for (label, image) in &images {
            download::add_at(builder, label, image, true)?;
        }
        builder.later("mount-vexpress-usbmsd");
        if has_recovery {
            builder.later("extract-vexpress-recovery-image");
            builder.later("deploy-vexpress-recovery-image");
        }
        for _ in 0..binaries {
            builder.later("deploy-mps-test-binary");
        }
        if hard_reboot {
            builder.later("unmount-vexpress-usbmsd");
            power::commands(builder, "power-off", "power_off");
        } else {
            builder.later("deploy-mps-reboot-txt");
            builder.later("unmount-vexpress-usbmsd");
        }
        Ok(())
    })
}
