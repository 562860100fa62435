//! `to: vemsd`: Versatile Express boards, which are a disk.

use super::{require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    download, power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "vemsd", "vemsd")?;
    let image = require_key(&builder.cursor(), "recovery_image")?;
    let erases = method
        .get("parameters")
        .is_some_and(|parameters| parameters.has("flash_prompt"));
    let retry = Spec::group("vexpress-fw-deploy-retry").retrying();
    builder.nest(retry, |builder| {
        builder.nest(Spec::group("vexpress-fw-deploy"), |builder| {
            download::add_at(builder, "recovery_image", &image, true)?;
            power::connect(builder);
            power::reset(builder)?;
            for name in [
                "extract-vexpress-recovery-image",
                "enter-vexpress-mcc",
                "enable-vexpress-usbmsd",
                "wait-usb-mass-storage-device",
                "mount-vexpress-usbmsd",
                "deploy-vexpress-recovery-image",
                "unmount-vexpress-usbmsd",
            ] {
                builder.later(name);
            }
            if erases {
                builder.later("erase-vexpress-flash");
            }
            Ok(())
        })
    })
}
