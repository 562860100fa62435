//! `command:` blocks: a command of the device's admin.

use crate::{
    Step,
    builder::{Builder, Spec},
    step::UserCommand,
};
use job::FaultClass;

/// Commands that every device may have, run without an undo.
const BUILT_IN: [&str; 7] = [
    "pre_power_command",
    "pre_os_command",
    "hard_reset",
    "power_on",
    "power_off",
    "recovery_mode",
    "recovery_exit",
];

/// Commands that belong to methods this version cannot run.
const OF_METHODS: [&str; 2] = ["usbg_ms_commands_disable", "stop_test_services"];

/// `user-command`.
pub(crate) fn plan(builder: &mut Builder<'_, '_>, name: &str) {
    let commands = &builder.device().commands;
    let user = commands.users.iter().find(|(known, _)| known == name);
    let (run, undo) = match user {
        Some((_, command)) => (command.run.clone(), command.undo.clone()),
        None if OF_METHODS.contains(&name) => {
            builder.add(Spec::unsupported("user-command", format!("command {name}")));
            return;
        }
        None if BUILT_IN.contains(&name) => {
            (commands.get(name).unwrap_or_default().to_vec(), Vec::new())
        }
        None => (Vec::new(), Vec::new()),
    };
    if run.is_empty() {
        let problem = builder
            .cursor()
            .problem(format!("the device has no command `{name}`"))
            .with_hint(known_commands(builder));
        builder.report(problem);
    }
    let step = Step::UserCommand(UserCommand {
        name: name.to_owned(),
        commands: run,
        undo,
        namespace: builder.namespace().clone(),
    });
    builder.add(Spec::new("user-command", step).on_timeout(FaultClass::Infrastructure));
}

fn known_commands(builder: &Builder<'_, '_>) -> String {
    let commands = &builder.device().commands;
    let built_in = BUILT_IN
        .into_iter()
        .filter(|key| commands.get(key).is_some());
    let known: Vec<_> = commands
        .users
        .iter()
        .map(|(name, _)| name.as_str())
        .chain(built_in)
        .collect();
    if known.is_empty() {
        "it has none at all".to_owned()
    } else {
        format!("it has: {}", known.join(", "))
    }
}
