//! `method: uefi`: the UEFI shell.

use super::{parameter, require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let method = require_method(builder, "uefi")?;
    let block = builder.cursor();
    require_key(&block, "commands")?;
    let menu = block
        .get("shell_menu")
        .or_else(|| parameter(&method, "shell_menu"))
        .is_some_and(|menu| menu.node().is_truthy());
    builder.nest(
        Spec::group("uefi-shell-main-action").retrying(),
        |builder| {
            bootloader::overlay(builder, "uefi")?;
            power::connect_as(builder, "menu-connect");
            power::reset(builder)?;
            if menu {
                builder.later("uefi-shell-menu-interrupt");
                builder.later("uefi-shell-menu-selector");
            }
            builder.later("uefi-shell-interrupt");
            bootloader::commands(builder, "uefi", Some(boot));
            let wait = Wait {
                method: "uefi",
                boot: true,
            };
            login::add_with_shell(builder, boot, wait)
        },
    )
}
