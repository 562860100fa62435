//! lava-test-shell in a container beside the device.

use crate::{
    bootloader,
    builder::{Builder, Planned, Spec},
    overlay_tree::{self, Form},
    power,
};
use job::FaultClass;

pub(super) fn plan(builder: &mut Builder<'_, '_>, multinode: bool) -> Planned {
    let disconnects = builder.cursor().flag("disconnect_connection", false);
    let shell = if multinode {
        "lava-multinode-docker-test-shell"
    } else {
        "lava-docker-test-shell"
    };
    builder.nest(Spec::group("lava-docker-test"), |builder| {
        builder.later("lava-docker-test-set-environment");
        overlay_tree::add(builder, "lava-create-overlay", Form::Directory)?;
        if disconnects {
            power::disconnect(builder);
        }
        let spec = bootloader::later(builder, shell);
        builder.add(spec.on_timeout(FaultClass::Test).skippable());
        builder.later("read-feedback");
        Ok(())
    })
}
