//! `method: new_connection`: a further console of the device.

use super::require_key;
use crate::{
    builder::{Builder, Planned, Spec},
    login::{self, Wait},
};
use job::{definition::Boot, document::Cursor};

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    let wanted = require_key(&builder.cursor(), "connection")?;
    check(builder, &wanted);
    builder.nest(Spec::group("secondary-shell-action"), |builder| {
        builder.later("connect-shell");
        let wait = Wait {
            method: "new_connection",
            boot: false,
        };
        login::add_with_shell(builder, boot, wait)
    })
}

/// A device without that connection has a tree in LAVA, but the job cannot succeed on it.
fn check(builder: &mut Builder<'_, '_>, wanted: &Cursor<'_>) {
    let commands = &builder.device().commands;
    let known = wanted.as_text().and_then(|name| commands.connection(&name));
    if known.is_some() {
        return;
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
}
