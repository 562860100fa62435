//! `method: barebox`.

use super::{require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "barebox")?;
    require_key(&builder.cursor(), "commands")?;
    builder.nest(Spec::group("barebox-action").retrying(), |builder| {
        bootloader::overlay(builder, "barebox")?;
        power::connect(builder);
        builder.nest(Spec::group("barebox-retry").retrying(), |builder| {
            bootloader::run(builder, boot, "barebox")
        })
    })
}
