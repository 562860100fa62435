//! `method: qemu-iso`: run an installer in an emulator, then what it installed.

use super::unknown;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let media = builder.cursor().get("media");
    if media.and_then(|media| media.as_text()).as_deref() != Some("img") {
        return Err(unknown(builder, "qemu-iso").with_hint("it needs `media: img`"));
    }
    builder.nest(Spec::group("boot-installer-iso"), |builder| {
        builder.later("execute-installer-command");
        builder.later("monitor-installer-connection");
        builder.later("reboot-into-installed");
        let wait = Wait {
            method: "qemu",
            boot: true,
        };
        login::add(builder, boot, wait)?;
        login::shell(builder, boot, false);
        Ok(())
    })
}
