//! `method: ssh`: log in to a running system.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "ssh")?;
    builder.nest(Spec::group("login-ssh").retrying(), |builder| {
        builder.later("scp-deploy");
        builder.later("prepare-ssh");
        builder.later("ssh-connection");
        let wait = Wait {
            method: "ssh",
            boot: false,
        };
        login::add(builder, boot, wait)?;
        login::shell(builder, boot, false);
        builder.later("scp-overlay-unpack");
        Ok(())
    })
}
