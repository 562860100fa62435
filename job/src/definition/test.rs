//! `test:` blocks.

mod interactive;
mod shell;

pub use interactive::{InteractiveCommand, InteractiveFailure, InteractiveScript, Monitor};
pub use shell::{DefinitionSource, GitSource, TestDefinition, UrlSource};

use crate::{Problem, document::Cursor};

/// A `test:` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What kind of test it is.
    pub kind: TestKind,
    /// `role`, for MultiNode.
    pub has_role: bool,
}

/// What kind of test a block is, told by its keys.
#[derive(Clone, Debug, PartialEq)]
pub enum TestKind {
    /// `definitions`: lava-test-shell on the device.
    Shell(Vec<TestDefinition>),
    /// `definitions` and `docker`: lava-test-shell in a container beside the device.
    Docker(Vec<TestDefinition>),
    /// `interactive`: scripts typed at the console.
    Interactive(Vec<InteractiveScript>),
    /// `monitors`: the console is watched.
    Monitors(Vec<Monitor>),
    /// `services`: compose files beside the device.
    Services,
    /// None of these.
    Unknown,
}

impl Test {
    pub(super) fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut definitions = |key: &str| {
            block
                .get(key)
                .map_or_else(Vec::new, |list| list.items(problems))
        };
        let kind = if block.has("definitions") {
            let entries = definitions("definitions");
            let entries = entries
                .iter()
                .filter_map(|entry| TestDefinition::read(entry, problems))
                .collect();
            if block.has("docker") {
                TestKind::Docker(entries)
            } else {
                TestKind::Shell(entries)
            }
        } else if block.has("interactive") {
            let entries = definitions("interactive");
            TestKind::Interactive(
                entries
                    .iter()
                    .filter_map(|entry| InteractiveScript::read(entry, problems))
                    .collect(),
            )
        } else if block.has("monitors") {
            let entries = definitions("monitors");
            TestKind::Monitors(
                entries
                    .iter()
                    .filter_map(|entry| Monitor::read(entry, problems))
                    .collect(),
            )
        } else if block.has("services") {
            TestKind::Services
        } else {
            TestKind::Unknown
        };
        Self {
            kind,
            has_role: block.has("role"),
        }
    }

    /// Whether its definitions travel in an overlay.
    pub fn needs_overlay(&self) -> bool {
        matches!(self.kind, TestKind::Shell(_) | TestKind::Docker(_))
    }

    /// Whether it needs a shell on the device, and facts about the deployed system.
    pub fn has_shell(&self) -> bool {
        matches!(self.kind, TestKind::Shell(_))
    }

    /// The definitions that travel in an overlay.
    pub fn definitions(&self) -> &[TestDefinition] {
        match &self.kind {
            TestKind::Shell(definitions) | TestKind::Docker(definitions) => definitions,
            _ => &[],
        }
    }
}
