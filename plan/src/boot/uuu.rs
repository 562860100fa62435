//! `method: uuu`: flash with NXP's loader.

use super::{require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec, read},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "uuu")?;
    let block = builder.cursor();
    let commands = require_key(&block, "commands")?;
    let options = require_key(&method, "options")?;
    if options.set("usb_otg_path").is_none() && options.set("usb_otg_path_command").is_none() {
        return Err(options
            .problem("the device does not say at which USB port it is")
            .with_hint("set `usb_otg_path` or `usb_otg_path_command`"));
    }
    // A board control unit selects the boot mode itself.
    let by_control_unit = read(|problems| commands.items(problems))?
        .iter()
        .any(|command| command.has("bcu"));
    let check_first = block.flag("skip_uuu_if_bootloader_valid", false);
    let corrupt_first = !by_control_unit && options.set("corrupt_boot_media_command").is_some();
    let off_first = options.flag("power_off_before_corrupt_boot_media", false);
    builder.nest(Spec::group("uuu-boot-retry").retrying(), |builder| {
        if check_first {
            builder.nest(Spec::group("check-bootloader-valid"), to_bootloader)?;
        }
        builder.nest(Spec::group("uuu"), |builder| {
            power::disconnect(builder);
            power::reset(builder)?;
            if corrupt_first {
                corrupt(builder, off_first)?;
            }
            power::connect(builder);
            builder.later("uuu-boot");
            power::disconnect(builder);
            Ok(())
        })
    })
}

/// Makes a board unbootable, so that it offers the loader's protocol.
fn corrupt(builder: &mut Builder<'_, '_>, off_first: bool) -> Planned {
    builder.later("check-serial-availability");
    builder.nest(Spec::group("boot-corrupt-boot-media"), |builder| {
        if off_first {
            power::commands(builder, "power-off", "power_off");
        }
        to_bootloader(builder)
    })?;
    power::reset(builder)
}

fn to_bootloader(builder: &mut Builder<'_, '_>) -> Planned {
    power::connect(builder);
    bootloader::overlay(builder, "u-boot")?;
    bootloader::boot(builder, "u-boot", true, true)?;
    power::disconnect(builder);
    Ok(())
}
