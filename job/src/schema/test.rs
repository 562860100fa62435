//! Keys of `test:` and `command:` blocks.

use super::{
    common::{BLOCK, DOCKER},
    shape::{Field, Shape, optional, required},
};

/// A `test:` block of any kind.
pub(super) const TEST: Shape = Shape::Map(&[
    BLOCK,
    KINDS,
    &[
        optional("docker", DOCKER),
        optional("downloads-namespace", Shape::Text),
        optional("disconnect_connection", Shape::Bool),
    ],
]);

/// A `command:` block.
pub(super) const COMMAND: Shape = Shape::Map(&[BLOCK, &[required("name", Shape::Text)]]);

/// What says which kind of test a block is. It has one of these.
pub(super) const KINDS: &[Field] = &[
    optional("definitions", Shape::List(&Shape::Map(&[DEFINITION]))),
    optional("interactive", Shape::List(&Shape::Map(&[INTERACTIVE]))),
    optional("monitors", Shape::List(&Shape::Map(&[MONITOR]))),
    optional("services", Shape::List(&Shape::Map(&[SERVICE]))),
];

const EXPECTED: Field = optional("expected", Shape::List(&Shape::Text));

const DEFINITION: &[Field] = &[
    required("from", Shape::Choice(&["git", "url", "inline"])),
    required("repository", Shape::MapOr(&INLINE, &Shape::Text)),
    required("path", Shape::Text),
    required("name", Shape::Checked(is_definition_name)),
    optional("parameters", Shape::Names(&Shape::Anything)),
    optional("params", Shape::Names(&Shape::Anything)),
    optional("skip_install", Shape::List(&Shape::Choice(INSTALL_PARTS))),
    optional("lava-signal", Shape::Choice(&["kmsg", "stdout"])),
    EXPECTED,
    // git
    optional("branch", Shape::Text),
    optional("revision", Shape::Text),
    optional("history", Shape::Bool),
    optional("recursive", Shape::Bool),
    optional("shallow", Shape::Bool),
    // url
    optional(
        "compression",
        Shape::Choice(&["bz2", "gz", "xz", "zip", "zstd"]),
    ),
    optional("strip-components", Shape::Integer(0, 1024)),
    optional("headers", Shape::Names(&Shape::Text)),
];

const INSTALL_PARTS: &[&str] = &["all", "deps", "git-repos", "keys", "sources", "steps"];

/// A test definition in the job. Other sections are for people and other tools.
const INLINE: Shape = Shape::OpenMap(&[&[
    optional("metadata", Shape::Names(&Shape::Anything)),
    optional("params", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional("parameters", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional("install", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    optional(
        "run",
        Shape::OpenMap(&[&[optional("steps", Shape::List(&Shape::Text))]]),
    ),
    optional("parse", Shape::Maybe(&Shape::Names(&Shape::Anything))),
    EXPECTED,
]]);

const INTERACTIVE: &[Field] = &[
    required("name", Shape::Text),
    required("prompts", Shape::List(&Shape::Text)),
    required("script", Shape::List(&Shape::Map(&[STEP]))),
    optional("echo", Shape::Choice(&["discard"])),
    EXPECTED,
];

const STEP: &[Field] = &[
    optional("command", Shape::Maybe(&Shape::Text)),
    optional("name", Shape::Text),
    optional(
        "successes",
        Shape::List(&Shape::Map(&[&[required("message", Shape::Text)]])),
    ),
    optional("failures", Shape::List(&Shape::Map(&[FAILURE]))),
    optional("wait_for_prompt", Shape::Bool),
    optional("delay", Shape::Seconds),
    optional("lava-send", Shape::Anything),
    optional("lava-sync", Shape::Anything),
    optional("lava-wait", Shape::Anything),
    optional("lava-wait-all", Shape::Anything),
];

const FAILURE: &[Field] = &[
    required("message", Shape::Text),
    optional(
        "exception",
        Shape::Choice(&["InfrastructureError", "JobError", "TestError"]),
    ),
    optional("error", Shape::Text),
];

const MONITOR: &[Field] = &[
    required("name", Shape::Text),
    required("start", Shape::Text),
    required("end", Shape::Text),
    required("pattern", Shape::Text),
    optional(
        "fixupdict",
        Shape::Names(&Shape::Choice(&["pass", "fail", "skip", "unknown"])),
    ),
    EXPECTED,
];

const SERVICE: &[Field] = &[
    required("name", Shape::Text),
    required("from", Shape::Choice(&["git", "url"])),
    required("repository", Shape::Text),
    required("path", Shape::Text),
    optional("service", Shape::Text),
    optional("branch", Shape::Text),
    optional("revision", Shape::Text),
    optional("history", Shape::Bool),
    optional("recursive", Shape::Bool),
    optional("shallow", Shape::Bool),
    optional(
        "compression",
        Shape::Choice(&["bz2", "gz", "xz", "zip", "zstd"]),
    ),
    optional("strip-components", Shape::Integer(0, 1024)),
    optional("headers", Shape::Names(&Shape::Text)),
];

fn is_definition_name(name: &str) -> Result<(), &'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.chars().all(is_allowed) {
        Ok(())
    } else {
        Err("a name consists of letters, digits, `-`, `_` and `.`")
    }
}
