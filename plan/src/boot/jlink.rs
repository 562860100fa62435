//! `method: jlink`: flash with a J-Link probe.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "jlink")?;
    builder.nest(Spec::group("boot-jlink-image").retrying(), |builder| {
        power::reset_and_wait(builder)?;
        power::connect(builder);
        builder.later("flash-jlink");
        Ok(())
    })
}
