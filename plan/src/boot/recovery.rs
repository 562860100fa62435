//! `method: recovery`: into and out of recovery mode.

use super::require_key;
use crate::{
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let block = builder.cursor();
    let commands = require_key(&block, "commands")?;
    let key = match commands.node().as_str() {
        Some("recovery") => "recovery_mode",
        Some("exit") => "recovery_exit",
        _ => {
            return Err(commands
                .problem("there is no such command")
                .with_hint("it is `recovery` or `exit`"));
        }
    };
    if builder.device().deploy_method("recovery").is_none() {
        return Err(block.problem("the device has no recovery mode"));
    }
    builder.nest(Spec::group("recovery-boot"), |builder| {
        power::commands(builder, "power-off", "power_off");
        power::commands(builder, "switch-recovery", key);
        power::commands(builder, "power-on", "power_on");
        Ok(())
    })
}
