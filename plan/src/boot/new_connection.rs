//! `method: new_connection`: a further console of the device.

use super::require_key;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
    power,
};
use job::{definition::Boot, device::Connection, document::Cursor};

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let wanted = require_key(&builder.cursor(), "connection")?;
    let connection = find(builder, &wanted);
    builder.nest(Spec::group("secondary-shell-action"), |builder| {
        match connection {
            Some(connection) => power::add_connection(builder, "connect-shell", connection, true),
            None => builder.later("connect-shell"),
        }
        let wait = Wait {
            method: "new_connection",
            boot: false,
        };
        login::add_with_shell(builder, boot, wait)
    })
}

/// The connection that the job names. A device without it has a tree in LAVA, but the job cannot
/// succeed on it.
fn find(builder: &mut Builder<'_, '_>, wanted: &Cursor<'_>) -> Option<Connection> {
    let commands = &builder.device().commands;
    let known = wanted.as_text().and_then(|name| commands.connection(&name));
    if let Some(known) = known {
        return Some(known.clone());
    }
    let names: Vec<_> = commands
        .connections
        .iter()
        .map(|connection| connection.name.as_str())
        .collect();
    let problem = wanted
        .problem("the device has no such connection")
        .with_hint(if names.is_empty() {
            "it has none with a name".to_owned()
        } else {
            format!("it has: {}", names.join(", "))
        });
    builder.report(problem);
    None
}
