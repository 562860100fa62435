//! `method: docker`: a container is the device.

use super::{require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    login,
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "docker")?;
    require_key(&builder.cursor(), "command")?;
    builder.nest(Spec::group("boot-docker").retrying(), |builder| {
        builder.later("docker-run");
        if boot.prompts.is_some() && builder.has_shell() {
            login::shell(builder, boot, false);
        }
        Ok(())
    })
}
