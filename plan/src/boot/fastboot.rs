//! `method: fastboot`.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec, read},
    fastboot::{self, Way},
    login::{self, Wait},
    power,
};
use job::{definition::Boot, document::Cursor};

const WAIT: Wait<'static> = Wait {
    method: "fastboot",
    boot: true,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let method = require_method(builder, "fastboot")?;
    let sequence = read(|problems| method.items(problems))?;
    let block = builder.cursor();
    builder.nest(Spec::group("fastboot-boot").retrying(), |builder| {
        if block.has("commands") {
            builder.later("fastboot-boot-commands");
        }
        enter(builder)?;
        for step in &sequence {
            item(builder, boot, step)?;
        }
        if power::has_hard_reset(builder) {
            power::commands(builder, "pre-os-command", "pre_os_command");
            login::add_with_shell(builder, boot, WAIT)?;
        } else if !block.has("docker") {
            builder.later("connect-adb");
            builder.later("adb-overlay-unpack");
        }
        Ok(())
    })
}

fn enter(builder: &mut Builder<'_, '_>) -> Planned {
    match Way::of(builder) {
        Way::Bootloader => {
            power::connect(builder);
            fastboot::enter_from_bootloader(builder)?;
        }
        Way::Reset => {
            power::connect(builder);
            power::reset(builder)?;
        }
        Way::Running => {
            builder.later("wait-device-boardid");
            builder.later("enter-fastboot-action");
        }
    }
    Ok(())
}

/// One item of the device's sequence.
fn item(builder: &mut Builder<'_, '_>, boot: &Boot, step: &Cursor<'_>) -> Planned {
    match step.node().as_str() {
        Some("boot" | "no-flash-boot") => {
            builder.later("wait-device-boardid");
            builder.later("boot-fastboot");
        }
        Some("reboot") => {
            builder.later("wait-device-boardid");
            builder.later("fastboot-reboot");
        }
        Some("auto-login") => login::add(builder, boot, WAIT)?,
        Some("overlay-unpack") => login::overlay_unpack(builder, boot),
        Some("shell-session") => login::expect_shell(builder, boot),
        Some("export-env") => login::export_device_env(builder),
        _ => return Err(step.problem("the device's fastboot sequence has an unknown step")),
    }
    Ok(())
}
