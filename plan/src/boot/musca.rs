//! `method: musca`.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "musca")?;
    builder.nest(Spec::group("musca-boot").retrying(), |builder| {
        power::reset(builder)?;
        builder.later("wait-usb-serial");
        power::connect(builder);
        let wait = Wait {
            method: "musca",
            boot: true,
        };
        login::add_with_shell(builder, boot, wait)
    })
}
