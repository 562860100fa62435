//! `method: nodebooter`: a container serves the boot files.

use super::require_key;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    super::require_method(builder, "nodebooter")?;
    require_key(&builder.cursor(), "command")?;
    builder.nest(Spec::group("boot-nodebooter").retrying(), |builder| {
        builder.later("run-nodebooter-container");
        builder.later("configure-nodebooter");
        power::reset(builder)?;
        if boot.prompts.is_some() {
            let wait = Wait {
                method: "nodebooter",
                boot: true,
            };
            login::add(builder, boot, wait)?;
        }
        login::overlay_unpack(builder, boot);
        Ok(())
    })
}
