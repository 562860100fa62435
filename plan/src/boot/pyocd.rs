//! `method: pyocd`: flash with pyOCD.

use super::{parameter, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "pyocd")?;
    let connect_first =
        parameter(&method, "connect_before_flash").is_some_and(|flag| flag.node().is_truthy());
    // LAVA gives both the same name.
    builder.nest(Spec::group("boot-pyocd-image").retrying(), |builder| {
        builder.nest(Spec::group("boot-pyocd-image").retrying(), |builder| {
            power::reset_and_wait(builder)?;
            if connect_first {
                power::connect(builder);
            }
            builder.later("flash-pyocd");
            if !connect_first {
                power::connect(builder);
            }
            Ok(())
        })
    })
}
