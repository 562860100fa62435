//! `method: gdb`: flash with a debugger.

use super::{require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "gdb")?;
    let set = require_key(&builder.cursor(), "commands")?;
    let known = set.as_text().and_then(|name| method.get(&name));
    if known.is_none() {
        // LAVA finds this out when it validates.
        builder.report(set.problem("the device has no such set of commands"));
    }
    let spec = bootloader::later(builder, "boot-gdb");
    builder.nest(spec, |builder| {
        builder.nest(Spec::group("boot-gdb-retry").retrying(), |builder| {
            if power::has_hard_reset(builder) {
                power::reset(builder)?;
            }
            builder.later("wait-usb-serial");
            power::connect(builder);
            Ok(())
        })
    })
}
