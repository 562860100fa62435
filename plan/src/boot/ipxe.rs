//! `method: ipxe`.

use super::{require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "ipxe")?;
    require_key(&builder.cursor(), "commands")?;
    builder.nest(Spec::group("bootloader-action").retrying(), |builder| {
        bootloader::overlay(builder, "ipxe")?;
        power::connect(builder);
        builder.nest(Spec::group("bootloader-retry").retrying(), |builder| {
            bootloader::run(builder, boot, "ipxe")
        })
    })
}
