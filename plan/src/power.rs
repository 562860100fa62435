//! Power, reset and the way to the console.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    step::{ConnectDevice, ConnectionKind, DeviceCommands},
};
use job::{FaultClass, device::Connection};

/// What is typed to reboot when neither job nor device says.
const REBOOT_COMMANDS: [&str; 3] = ["reboot", "reboot -n", "reboot -nf"];

/// `connect-device`: the primary console.
pub(crate) fn connect(builder: &mut Builder<'_, '_>) {
    connect_as(builder, "connect-device");
}

/// The primary console, under one of the names LAVA has for that.
pub(crate) fn connect_as(builder: &mut Builder<'_, '_>, name: &'static str) {
    let Some(connection) = builder.device().commands.primary_connection() else {
        let problem = builder
            .cursor()
            .problem("the device has no console to connect to")
            .with_hint("set `commands.connect`, or tag one of `commands.connections` as primary");
        builder.report(problem);
        builder.add(Spec::unsupported(name, "a device without a console"));
        return;
    };
    add_connection(builder, name, connection, name == "menu-connect");
}

/// Connects to one of the device's consoles.
pub(crate) fn add_connection(
    builder: &mut Builder<'_, '_>,
    name: &'static str,
    connection: Connection,
    wake: bool,
) {
    let step = Step::ConnectDevice(ConnectDevice {
        name: Some(connection.name).filter(|name| !name.is_empty()),
        command: connection.connect,
        tags: connection.tags,
        wake,
    });
    builder.add(Spec::new(name, step).on_timeout(FaultClass::Infrastructure));
}

/// `disconnect-device`: the primary console is closed as its tag says.
pub(crate) fn disconnect(builder: &mut Builder<'_, '_>) {
    let primary = builder.device().commands.primary_connection();
    let tags = primary.map_or_else(Vec::new, |connection| connection.tags);
    let kinds = [
        ("telnet", ConnectionKind::Telnet),
        ("ssh", ConnectionKind::Ssh),
        ("shell", ConnectionKind::Shell),
    ];
    let kind = kinds
        .into_iter()
        .find(|(tag, _)| tags.iter().any(|known| known == tag));
    let kind = match kind {
        Some((_, kind)) => kind,
        None => {
            let problem = builder
                .cursor()
                .problem("the device does not say how its console is left")
                .with_hint("tag its primary connection with `telnet`, `ssh` or `shell`");
            builder.report(problem);
            ConnectionKind::Shell
        }
    };
    builder.add(Spec::new(
        "disconnect-device",
        Step::DisconnectDevice { kind },
    ));
}

/// `reset-connection`: close the console and open it again.
pub(crate) fn reset_connection(builder: &mut Builder<'_, '_>) -> Planned {
    builder.nest(Spec::group("reset-connection"), |builder| {
        disconnect(builder);
        connect(builder);
        Ok(())
    })
}

/// Whether the device can be reset by power.
pub(crate) fn has_hard_reset(builder: &Builder<'_, '_>) -> bool {
    builder.device().commands.get("hard_reset").is_some()
}

/// Where the device can be reset by power: do so, and wait for its USB side.
pub(crate) fn reset_and_wait(builder: &mut Builder<'_, '_>) -> Planned {
    if has_hard_reset(builder) {
        reset(builder)?;
        builder.later("wait-device-boardid");
    }
    Ok(())
}

/// `reset-device`: by power where the device can, else by typing.
pub(crate) fn reset(builder: &mut Builder<'_, '_>) -> Planned {
    let spec = Spec::group("reset-device").on_timeout(FaultClass::Infrastructure);
    builder.nest(spec, |builder| {
        if has_hard_reset(builder) {
            commands(builder, "pdu-reboot", "hard_reset");
        } else {
            send_reboot_commands(builder)?;
        }
        Ok(())
    })
}

/// An action that runs commands of the device; a device without them has nothing to run.
pub(crate) fn commands(builder: &mut Builder<'_, '_>, name: &'static str, key: &str) {
    let commands = builder
        .device()
        .commands
        .get(key)
        .unwrap_or_default()
        .to_vec();
    let step = Step::DeviceCommands(DeviceCommands {
        key: key.to_owned(),
        commands,
    });
    builder.add(Spec::new(name, step).on_timeout(FaultClass::Infrastructure));
}

fn send_reboot_commands(builder: &mut Builder<'_, '_>) -> Planned {
    let block = builder.cursor();
    let of_job = crate::builder::read(|problems| block.texts_at("soft_reboot", problems))?;
    let device = builder.device().commands.get("soft_reboot");
    let commands = match (of_job.is_empty(), device) {
        (false, _) => of_job,
        (true, Some(commands)) => commands.to_vec(),
        (true, None) => REBOOT_COMMANDS.map(str::to_owned).to_vec(),
    };
    let shutdown_message = block
        .get("parameters")
        .and_then(|parameters| parameters.set("shutdown-message")?.as_text())
        .or_else(|| builder.view().text("", "shutdown-message"))
        .unwrap_or_default();
    builder.add(Spec::new(
        "send-reboot-commands",
        Step::SendRebootCommands {
            commands,
            shutdown_message,
        },
    ));
    Ok(())
}
