//! `method: minimal`: power on, connect, wait for the system.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::{Boot, MinimalBoot};

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot, minimal: &MinimalBoot) -> Planned {
    require_method(builder, "minimal")?;
    builder.nest(Spec::group("minimal-boot").retrying(), |builder| {
        power::connect(builder);
        if minimal.pre_power_command {
            power::commands(builder, "pre-power-command", "pre_power_command");
        }
        if minimal.pre_os_command {
            power::commands(builder, "pre-os-command", "pre_os_command");
        }
        if boot.reset {
            power::reset(builder)?;
        }
        let wait = Wait {
            method: "minimal",
            boot: true,
        };
        login::add_with_shell(builder, boot, wait)
    })
}
