//! `method: fvp`: a Fixed Virtual Platform.

use super::{require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
};
use job::definition::Boot;

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    require_method(builder, "fvp")?;
    let block = builder.cursor();
    for key in ["console_string", "image", "arguments", "docker"] {
        require_key(&block, key)?;
    }
    builder.nest(Spec::group("boot-fvp").retrying(), |builder| {
        builder.nest(Spec::group("boot-fvp-main"), |builder| {
            builder.later("check-fvp-version");
            builder.later("run-fvp");
            if block.flag("use_telnet", true) {
                builder.later("fvp-serial-connect");
            }
            if block.flag("feedbacks", false) {
                builder.later("read-feedback");
            }
            Ok(())
        })?;
        builder.later("read-feedback");
        let wait = Wait {
            method: "fvp",
            boot: true,
        };
        login::add_with_shell(builder, boot, wait)?;
        if block.has("erpc_app") {
            builder.later("run-fvp-erpc-app");
        }
        if block.has("commands") {
            builder.later("run-fvp-shell-commands");
        }
        Ok(())
    })
}
