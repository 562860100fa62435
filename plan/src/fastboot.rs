//! Getting a board into fastboot.

use crate::{
    bootloader,
    builder::{Builder, Planned},
    power,
};

/// How a board gets into fastboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its U-Boot is told to.
    Bootloader,
    /// It does so after a reset by power.
    Reset,
    /// It runs, and is told to.
    Running,
}

impl Way {
    /// The way of this device.
    pub(crate) fn of(builder: &Builder<'_, '_>) -> Self {
        let of_bootloader = builder
            .device()
            .deploy_method("u-boot")
            .and_then(|method| method.get("parameters")?.set("fastboot"));
        if of_bootloader.is_some() {
            Self::Bootloader
        } else if power::has_hard_reset(builder) {
            Self::Reset
        } else {
            Self::Running
        }
    }
}

/// Gets the board into fastboot before files are flashed.
pub(crate) fn enter(builder: &mut Builder<'_, '_>) -> Planned {
    match Way::of(builder) {
        Way::Bootloader => {
            power::connect(builder);
            enter_from_bootloader(builder)?;
            detect(builder);
        }
        Way::Reset => {
            power::connect(builder);
            power::commands(builder, "pre-power-command", "pre_power_command");
            power::reset(builder)?;
            detect(builder);
        }
        Way::Running => builder.later("enter-fastboot-action"),
    }
    Ok(())
}

/// `uboot-enter-fastboot`.
pub(crate) fn enter_from_bootloader(builder: &mut Builder<'_, '_>) -> Planned {
    let spec = bootloader::later(builder, "uboot-enter-fastboot");
    builder.nest(spec, |builder| {
        power::reset(builder)?;
        bootloader::interrupt(builder, "u-boot");
        Ok(())
    })
}

/// `detect-fastboot-device`, where the device's serial number is not known beforehand.
fn detect(builder: &mut Builder<'_, '_>) {
    if builder
        .device()
        .cursor()
        .flag("fastboot_auto_detection", false)
    {
        builder.later("detect-fastboot-device");
    }
}
