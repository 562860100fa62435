//! `method: kexec`: a running system starts the next.

use super::require_key;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_key(&builder.cursor(), "boot_message")?;
    builder.nest(Spec::group("kexec-boot").retrying(), |builder| {
        builder.later("call-kexec");
        let wait = Wait {
            method: "kexec",
            boot: true,
        };
        login::add(builder, boot, wait)?;
        login::shell(builder, boot, true);
        Ok(())
    })
}
