//! `method: grub` and `grub-efi`.

use super::{require_key, unknown};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec, read},
    login::{self, Wait},
    power,
};
use job::{definition::Boot, document::Cursor};

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let device = builder.device();
    // LAVA takes either of the two for both.
    if device.boot_method("grub").is_none() && device.boot_method("grub-efi").is_none() {
        return Err(unknown(builder, &boot.method));
    }
    let block = builder.cursor();
    let sequence = device
        .boot_method("grub")
        .and_then(|method| method.set("sequence"));
    if let Some(sequence) = sequence {
        return by_sequence(builder, boot, &sequence);
    }
    require_key(&block, "commands")?;
    let resets = device
        .boot_method(&boot.method)
        .is_none_or(|method| method.flag("reset_device", true));
    builder.nest(Spec::group("grub-main-action").retrying(), |builder| {
        bootloader::from_media(builder, "bootloader-from-media");
        bootloader::overlay(builder, &boot.method)?;
        power::connect(builder);
        if boot.reset && resets {
            power::reset(builder)?;
        }
        if boot.method == "grub-efi" {
            builder.later("uefi-menu-interrupt");
            builder.later("grub-efi-menu-selector");
        }
        bootloader::interrupt(builder, &boot.method);
        bootloader::commands(builder, &boot.method, Some(boot));
        if block.flag("expect_shell", true) {
            login::add_with_shell(builder, boot, wait(boot))?;
        }
        if block.has("boot_finished") {
            builder.later("installer-wait");
            power::commands(builder, "power-off", "power_off");
        }
        Ok(())
    })
}

/// Devices that say themselves what a boot is made of.
fn by_sequence(builder: &mut Builder<'_, '_>, boot: &Boot, sequence: &Cursor<'_>) -> Planned {
    let steps = read(|problems| sequence.items(problems))?;
    builder.nest(Spec::group("grub-sequence-action").retrying(), |builder| {
        for step in &steps {
            match step.node().as_str() {
                Some("wait-fastboot-interrupt") => builder.later("wait-fastboot-interrupt"),
                Some("auto-login") => login::add(builder, boot, wait(boot))?,
                Some("shell-session") => login::expect_shell(builder, boot),
                Some("export-env") => login::export_device_env(builder),
                _ => return Err(step.problem("the device's sequence has an unknown step")),
            }
        }
        login::add_with_shell(builder, boot, wait(boot))
    })
}

fn wait(boot: &Boot) -> Wait<'_> {
    Wait {
        method: &boot.method,
        boot: true,
    }
}
