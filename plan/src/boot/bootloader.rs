//! `method: bootloader`: no further than the bootloader's prompt.

use super::{require_key, unknown};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let block = builder.cursor();
    let wanted = require_key(&block, "bootloader")?;
    let name = wanted.as_text().unwrap_or_default();
    if builder.device().boot_method(&name).is_none() {
        return Err(unknown(builder, &name));
    }
    let reset_connection = block.flag("reset_connection", true);
    let reset = boot.reset && block.flag("reset_device", true);
    let retry = Spec::group("boot-bootloader-retry").retrying();
    builder.nest(retry, |builder| {
        bootloader::overlay(builder, &name)?;
        bootloader::boot(builder, &name, reset_connection, reset)
    })
}
