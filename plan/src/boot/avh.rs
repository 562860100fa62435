//! `method: avh`: Arm Virtual Hardware.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "avh")?;
    builder.nest(Spec::group("boot-avh").retrying(), |builder| {
        builder.later("call-avh");
        let wait = Wait {
            method: "avh",
            boot: true,
        };
        login::add_with_shell(builder, boot, wait)
    })
}
