//! `method: openocd`: flash with OpenOCD.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "openocd")?;
    builder.nest(Spec::group("boot-openocd-image").retrying(), |builder| {
        power::reset_and_wait(builder)?;
        power::connect(builder);
        builder.later("flash-openocd");
        Ok(())
    })
}
