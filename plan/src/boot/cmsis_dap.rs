//! `method: cmsis-dap`: flash by copying to the probe's disk.

use super::{parameter, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "cmsis-dap")?;
    let resets =
        parameter(&method, "resets_after_flash").is_none_or(|flag| flag.node().is_truthy());
    builder.nest(Spec::group("boot-cmsis-retry").retrying(), |builder| {
        if power::has_hard_reset(builder) {
            power::reset(builder)?;
            builder.later("wait-device-path");
        }
        builder.later("flash-cmsis");
        if resets {
            builder.later("wait-usb-serial");
        }
        power::connect(builder);
        Ok(())
    })
}
