//! `method: dfu`: flash by Device Firmware Upgrade.

use super::{parameter, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "dfu")?;
    super::require_key(&builder.device().cursor(), "board_id")?;
    let enters = parameter(&method, "enter-commands").is_some();
    builder.nest(Spec::group("boot-dfu-retry").retrying(), |builder| {
        power::connect(builder);
        power::reset(builder)?;
        if enters {
            bootloader::interrupt(builder, "u-boot");
            builder.later("enter-dfu");
        }
        builder.later("wait-dfu-device");
        builder.later("flash-dfu");
        Ok(())
    })
}
