//! `pumice hal list`

use crate::{
    cli::{HalArguments, HalCommand, ListArguments, TableFormat},
    exit::{Exit, Stop},
    lab, message, table,
};
use hal::discover::{Access, Found, factories};
use std::io::Write;

pub(crate) fn main(arguments: &HalArguments) -> Result<Exit, Stop> {
    let HalCommand::List(arguments) = &arguments.command;
    list(arguments)
}

fn list(arguments: &ListArguments) -> Result<Exit, Stop> {
    let mut found = Vec::new();
    let mut exit = Exit::Complete;
    for factory in factories() {
        match factory.list() {
            Ok(devices) => found.extend(devices),
            Err(error) => {
                // The other drivers can still look.
                message::error(&format!("{}: {}", factory.driver(), lab::text(&error)));
                exit = Exit::InfrastructureFault;
            }
        }
    }
    let text = match (arguments.udev_rules, arguments.format) {
        (true, _) => rules(&found),
        (false, TableFormat::Json) => {
            let value = serde_json::to_value(&found).map_err(std::io::Error::from)?;
            format!("{value:#}\n")
        }
        (false, TableFormat::Text) => describe(&found),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit)
}

fn describe(found: &[Found]) -> String {
    if found.is_empty() {
        return "nothing is plugged in that pumice could use\n".to_owned();
    }
    let heading = ["DRIVER", "USE", "ACCESS", "NAME", "NODE", "DEVICE"].map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    rows.extend(found.iter().map(row));
    let mut text = table::layout(&rows);
    for device in found {
        if let Access::Denied(hint) = &device.access {
            text.push_str(&format!(
                "{}: no access; {}\n",
                device.name,
                table::harmless(hint)
            ));
        }
        for warning in &device.warnings {
            text.push_str(&format!("{}: {}\n", device.name, table::harmless(warning)));
        }
    }
    text
}

fn row(device: &Found) -> Vec<String> {
    let access = match device.access {
        Access::Granted => "yes",
        Access::Denied(_) => "no",
    };
    let node = device.node.as_ref().map(|node| node.display().to_string());
    let description = match &device.serial {
        Some(serial) => format!("{} ({serial})", device.description),
        None => device.description.clone(),
    };
    [
        device.driver.clone(),
        device.capability.clone(),
        access.to_owned(),
        device.name.clone(),
        node.unwrap_or_else(|| "-".to_owned()),
        description,
    ]
    // A device says of itself what it likes.
    .map(|cell| table::harmless(&cell))
    .to_vec()
}

/// A file for `/etc/udev/rules.d`, each rule once.
fn rules(found: &[Found]) -> String {
    let mut text =
        "# Written by `pumice hal list --udev-rules`; the group must exist.\n".to_owned();
    let mut seen = Vec::new();
    for device in found {
        let Some(rule) = device
            .udev_rule
            .as_ref()
            .filter(|rule| !seen.contains(rule))
        else {
            continue;
        };
        seen.push(rule);
        let name = table::harmless(&device.name);
        let description = table::harmless(&device.description);
        text.push_str(&format!(
            "\n# {} {name}: {description}\n{rule}\n",
            device.driver
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, access: Access) -> Found {
        Found {
            driver: "serial".to_owned(),
            capability: "console".to_owned(),
            name: name.to_owned(),
            node: Some("/dev/ttyUSB0".into()),
            description: "FTDI \x1b[31mFT232R".to_owned(),
            serial: Some("A1".to_owned()),
            access,
            udev_rule: Some("SUBSYSTEM==\"tty\", GROUP=\"lab\"".to_owned()),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn what_is_missing_is_said_and_nothing_reaches_the_terminal() {
        let denied = Access::Denied("add yourself to the group dialout".to_owned());
        let text = describe(&[device("one", Access::Granted), device("two", denied)]);
        assert!(!text.contains('\x1b'), "{text}");
        assert!(
            text.ends_with("two: no access; add yourself to the group dialout\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn a_rule_is_printed_once() {
        let text = rules(&[
            device("one", Access::Granted),
            device("two", Access::Granted),
        ]);
        assert_eq!(text.matches("GROUP=").count(), 1, "{text}");
    }
}
