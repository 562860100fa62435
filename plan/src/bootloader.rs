//! What all bootloaders have in common.

use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::Boot;

/// `bootloader-overlay`: fill in the commands.
pub(crate) fn overlay(builder: &mut Builder<'_, '_>) {
    builder.later("bootloader-overlay");
}

/// `bootloader-interrupt`: get to the bootloader's prompt.
pub(crate) fn interrupt(builder: &mut Builder<'_, '_>) {
    builder.later("bootloader-interrupt");
}

/// `bootloader-commands`: type the commands.
pub(crate) fn commands(builder: &mut Builder<'_, '_>) {
    let spec = later(builder, "bootloader-commands").builtin(90);
    builder.add(spec);
}

/// Reset, interrupt, type the commands, wait for the system: what most boots are made of.
pub(crate) fn run(builder: &mut Builder<'_, '_>, boot: &Boot, method: &str) -> Planned {
    if boot.reset {
        power::reset(builder)?;
    }
    interrupt(builder);
    commands(builder);
    login::add_with_shell(builder, boot, Wait { method, boot: true })
}

/// `boot-bootloader`: up to the bootloader's prompt, and commands there.
pub(crate) fn boot(builder: &mut Builder<'_, '_>, reset_connection: bool, reset: bool) -> Planned {
    builder.nest(Spec::group("boot-bootloader"), |builder| {
        if reset_connection {
            power::reset_connection(builder)?;
        } else {
            power::connect(builder);
        }
        if reset {
            power::reset(builder)?;
        }
        interrupt(builder);
        commands(builder);
        Ok(())
    })
}

/// An action of this block that this version cannot run.
pub(crate) fn later(builder: &Builder<'_, '_>, name: &'static str) -> Spec {
    Spec::unsupported(name, builder.what())
}
