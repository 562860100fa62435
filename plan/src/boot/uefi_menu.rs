//! `method: uefi-menu`: pick an entry of the firmware's menu.

use super::{require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let method = require_method(builder, "uefi-menu")?;
    let commands = require_key(&builder.cursor(), "commands")?;
    let set = commands.as_text().unwrap_or_default();
    if !method.has(&set) {
        // LAVA finds this out when it validates.
        builder.report(commands.problem(format!("the device's menu has no steps for `{set}`")));
    }
    let fastboot = set.contains("fastboot");
    builder.nest(Spec::group("uefi-menu-action").retrying(), |builder| {
        builder.later("uefi-commands");
        if !fastboot {
            power::connect_as(builder, "menu-connect");
            power::reset(builder)?;
        }
        builder.later("uefi-menu-interrupt");
        builder.later("uefi-menu-selector");
        builder.later("menu-reset");
        let wait = Wait {
            method: "uefi-menu",
            boot: true,
        };
        login::add(builder, boot, wait)?;
        login::export_device_env(builder);
        Ok(())
    })
}
