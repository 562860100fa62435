//! `method: depthcharge`: Chromebooks.

use super::{require_key, require_method};
use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "depthcharge")?;
    require_key(&builder.cursor(), "commands")?;
    builder.nest(Spec::group("depthcharge-action").retrying(), |builder| {
        builder.later("depthcharge-overlay");
        builder.nest(Spec::group("depthcharge-retry").retrying(), |builder| {
            power::reset_connection(builder)?;
            power::reset(builder)?;
            builder.later("depthcharge-start");
            bootloader::commands(builder, "depthcharge", Some(boot));
            let wait = Wait {
                method: "depthcharge",
                boot: true,
            };
            login::add_with_shell(builder, boot, wait)
        })
    })
}
