//! Keys of a rendered device.

use super::{
    common::TEXTS,
    shape::{Checker, Field, Shape, optional, required},
};
use yaml::Node;

/// A rendered device. What labs add to it is theirs.
pub(super) const DEVICE: Shape = Shape::OpenMap(&[TOP]);

const TOP: &[Field] = &[
    optional("hostname", Shape::Maybe(&Shape::Text)),
    optional("devicetype", Shape::Maybe(&Shape::Text)),
    required("constants", Shape::Names(&Shape::Anything)),
    optional("commands", Shape::Maybe(&Shape::OpenMap(&[COMMANDS]))),
    required("actions", Shape::OpenMap(&[ACTIONS])),
    required("parameters", Shape::Maybe(&Shape::OpenMap(&[PARAMETERS]))),
    required("timeouts", Shape::OpenMap(&[TIMEOUTS])),
    optional(
        "character_delays",
        Shape::Maybe(&Shape::OpenMap(&[CHARACTER_DELAYS])),
    ),
    optional("device_info", FACTS),
    optional("static_info", FACTS),
    optional("storage_info", FACTS),
    optional("environment", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional(
        "available_architectures",
        Shape::Maybe(&Shape::List(&Shape::Text)),
    ),
    optional("flash_cmds_order", Shape::Maybe(&Shape::List(&Shape::Text))),
    optional("fastboot_options", Shape::Maybe(&Shape::List(&Shape::Text))),
];

const FACTS: Shape = Shape::Maybe(&Shape::List(&Shape::Names(&Shape::Anything)));

/// Run on the host, in order; a device type prints nothing for those a lab does not set.
const HOST_COMMANDS: Shape = Shape::Maybe(&TEXTS);

const COMMANDS: &[Field] = &[
    optional("connect", Shape::Maybe(&Shape::Text)),
    optional(
        "connections",
        Shape::Maybe(&Shape::Names(&Shape::OpenMap(&[CONNECTION]))),
    ),
    optional("must_use_connection", Shape::Maybe(&Shape::Bool)),
    optional("hard_reset", HOST_COMMANDS),
    optional("soft_reboot", HOST_COMMANDS),
    optional("power_on", HOST_COMMANDS),
    optional("power_off", HOST_COMMANDS),
    optional("pre_power_command", HOST_COMMANDS),
    optional("pre_os_command", HOST_COMMANDS),
    optional("recovery_mode", HOST_COMMANDS),
    optional("recovery_exit", HOST_COMMANDS),
    optional(
        "users",
        Shape::Maybe(&Shape::Names(&Shape::OpenMap(&[USER_COMMAND]))),
    ),
];

const CONNECTION: &[Field] = &[
    required("connect", Shape::Text),
    optional("tags", Shape::Maybe(&Shape::List(&Shape::Text))),
];

const USER_COMMAND: &[Field] = &[required("do", TEXTS), optional("undo", TEXTS)];

const ACTIONS: &[Field] = &[
    required("deploy", Shape::Maybe(&SECTION)),
    required("boot", Shape::Maybe(&SECTION)),
    optional("test", Shape::Maybe(&SECTION)),
];

/// Members may be nothing, a map, a list or a string: it is enough that they are there.
const SECTION: Shape = Shape::OpenMap(&[&[
    optional("methods", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional("connections", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional("parameters", Shape::Maybe(&Shape::Names(&Shape::Anything))),
]]);

const PARAMETERS: &[Field] = &[
    optional("media", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional("interfaces", Shape::Maybe(&Shape::Names(&Shape::Anything))),
];

const TIMEOUTS: &[Field] = &[
    required(
        "actions",
        Shape::Maybe(&Shape::Names(&Shape::DeviceTimeout)),
    ),
    required(
        "connections",
        Shape::Maybe(&Shape::Names(&Shape::DeviceTimeout)),
    ),
];

const MILLISECONDS: Shape = Shape::Maybe(&Shape::Integer(0, 60_000));

const CHARACTER_DELAYS: &[Field] = &[
    optional("deploy", MILLISECONDS),
    optional("boot", MILLISECONDS),
    optional("test", MILLISECONDS),
];

/// A machine that jobs reach by ssh stays on: others may use it.
pub(super) fn check_ssh_has_no_power(checker: &mut Checker, device: &Node) {
    let host = device.at(&["actions", "deploy", "methods", "ssh", "host"]);
    if !host.is_some_and(Node::is_truthy) {
        return;
    }
    let Some(commands) = device.get("commands").and_then(Node::as_map) else {
        return;
    };
    for key in ["power_on", "power_off", "hard_reset"] {
        if let Some((name, _)) = commands.get_entry(key) {
            checker.report(
                &format!("commands.{key}"),
                name.span,
                "a device that is reached by ssh has no power commands",
            );
        }
    }
}
