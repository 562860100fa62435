//! `method: u-boot`.

use super::{parameter, require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::{definition::Boot, document::Cursor};

const METHOD: &str = "u-boot";

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let method = require_method(builder, METHOD)?;
    require_key(&builder.cursor(), "commands")?;
    builder.nest(Spec::group("uboot-action").retrying(), |builder| {
        bootloader::from_media(builder, "uboot-from-media");
        bootloader::overlay(builder, METHOD)?;
        power::connect(builder);
        builder.nest(Spec::group("uboot-commands"), |builder| {
            if boot.reset {
                power::reset(builder)?;
            }
            bootloader::interrupt(builder, METHOD);
            commands(builder, boot, &method)?;
            let wait = Wait {
                method: METHOD,
                boot: true,
            };
            login::add_with_shell(builder, boot, wait)
        })
    })
}

/// The commands, or what a device does instead that U-Boot flashes or that has two of it.
fn commands(builder: &mut Builder<'_, '_>, boot: &Boot, method: &Cursor<'_>) -> Planned {
    let set = |key: &str| parameter(method, key).is_some_and(|flag| flag.node().is_truthy());
    if set("uboot_ums_flash") {
        bootloader::commands(builder, METHOD, Some(boot));
        builder.later("wait-device-path");
        builder.later("flash-uboot-ums");
        return power::reset(builder);
    }
    if set("uboot_altbank") {
        builder.later("bootloader-commands-altbank");
        bootloader::interrupt(builder, METHOD);
    }
    bootloader::commands(builder, METHOD, Some(boot));
    Ok(())
}
