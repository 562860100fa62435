//! `to: fastboot`: flash partitions.

use super::{apply_overlay_if_asked, device_env_if_needed, require_method};
use crate::{
    builder::{Builder, Planned, Spec, read},
    download, fastboot, overlay_tree, power,
};
use job::document::Cursor;

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "fastboot", "fastboot")?;
    let images = download::images(&builder.cursor())?;
    builder.nest(Spec::group("fastboot-deploy"), |builder| {
        overlay_tree::add_if_needed(builder)?;
        for (label, image) in &images {
            download::add_at(builder, label, image, true)?;
            apply_overlay_if_asked(builder, image);
            device_env_if_needed(builder);
        }
        fastboot::enter(builder)?;
        flash(builder, &images)
    })
}

/// `fastboot-flash-order-action`: first what the device wants flashed in its order, then the rest.
fn flash(builder: &mut Builder<'_, '_>, images: &[(String, Cursor<'_>)]) -> Planned {
    let device = builder.device().cursor();
    let order = read(|problems| device.texts_at("flash_cmds_order", problems))?;
    let find = |wanted: &String| images.iter().find(|(label, _)| label == wanted);
    let rest = images.iter().filter(|(label, _)| !order.contains(label));
    let ordered: Vec<_> = order.iter().filter_map(find).chain(rest).collect();
    builder.nest(Spec::group("fastboot-flash-order-action"), |builder| {
        builder.later("read-feedback");
        for (_, image) in ordered {
            builder.later("wait-device-boardid");
            builder.later("fastboot-flash-action");
            reboot(builder, image)?;
        }
        Ok(())
    })
}

/// What an image wants done after it was flashed.
fn reboot(builder: &mut Builder<'_, '_>, image: &Cursor<'_>) -> Planned {
    let Some(reboot) = image.set("reboot") else {
        return Ok(());
    };
    match reboot.node().as_str() {
        Some("hard-reset") => power::commands(builder, "pdu-reboot", "hard_reset"),
        Some("fastboot-reboot") => builder.later("fastboot-reboot"),
        Some("fastboot-reboot-bootloader") => builder.later("fastboot-reboot-bootloader"),
        Some("fastboot-reboot-fastboot") => builder.later("fastboot-reboot-fastboot"),
        _ => {
            return Err(reboot
                .problem("there is no such reboot")
                .with_hint("it is `hard-reset`, `fastboot-reboot`, `fastboot-reboot-bootloader` or `fastboot-reboot-fastboot`"));
        }
    }
    builder.later("read-feedback");
    Ok(())
}
