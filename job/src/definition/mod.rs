//! A job definition, read into types.
//!
//! Reading is as tolerant as LAVA's dispatcher: unknown keys are ignored, numbers are accepted
//! for text. The strict check that users want before they submit is the schema's business. What
//! cannot be understood is reported as [`Problem`]s, all at once.

mod block;
mod boot;
mod deploy;
mod test;
mod url;

pub use block::{Block, BlockKind, Common};
pub use boot::{
    Boot, BootMethod, BootParameters, Credentials, Docker, MinimalBoot, QemuBoot, TransferOverlay,
};
pub use deploy::{Deploy, DeployMethod, TmpfsDeploy};
pub use test::{
    DefinitionSource, GitSource, InteractiveCommand, InteractiveFailure, InteractiveScript,
    Monitor, Test, TestDefinition, TestKind, UrlSource,
};
pub use url::{InjectedFile, Injection, OverlayEntry, UrlBlock};

use crate::{Problem, document::Cursor, timeout::JobTimeouts};
use yaml::{Map, Node};

/// A job definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name.
    pub job_name: String,
    /// The device type it wants; MultiNode jobs name one per role instead.
    pub device_type: Option<String>,
    /// `timeouts`.
    pub timeouts: JobTimeouts,
    /// `context`: values for the device's template, some of which actions look up too.
    pub context: Map,
    /// `tags` of the devices it may run on.
    pub tags: Vec<String>,
    /// `secrets`, name and value.
    pub secrets: Vec<(String, String)>,
    /// `environment` of the tests.
    pub environment: Map,
    /// `protocols`.
    pub protocols: Map,
    /// `actions` in order.
    pub actions: Vec<Block>,
}

impl Definition {
    /// Reads a loaded job.
    ///
    /// # Errors
    ///
    /// All that cannot be understood: what is missing, what has the wrong type.
    pub fn from_node(node: &Node) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let definition = Self::read(&Cursor::root(node), &mut problems);
        match definition {
            Some(definition) if problems.is_empty() => Ok(definition),
            _ => {
                problems.sort_by_key(|problem| problem.span.start);
                Err(problems)
            }
        }
    }

    fn read(root: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        if root.node().as_map().is_none() {
            problems.push(
                root.problem(format!("a job is a map, not {}", root.kind()))
                    .with_hint("it begins with lines like `job_name: my job`"),
            );
            return None;
        }
        let timeouts = root
            .require("timeouts", problems)
            .and_then(|timeouts| JobTimeouts::read(&timeouts, problems));
        let actions = root
            .require("actions", problems)
            .map_or_else(Vec::new, |actions| actions.items(problems));
        let actions = actions
            .iter()
            .filter_map(|action| Block::read(action, problems))
            .collect();
        Some(Self {
            job_name: root.text_at("job_name", problems).unwrap_or_default(),
            device_type: root.text_at("device_type", problems),
            timeouts: timeouts?,
            context: map_at(root, "context", problems),
            tags: root.texts_at("tags", problems),
            secrets: root
                .get("secrets")
                .map_or_else(Vec::new, |secrets| secrets.text_entries(problems)),
            environment: map_at(root, "environment", problems),
            protocols: map_at(root, "protocols", problems),
            actions,
        })
    }
}

fn map_at(root: &Cursor<'_>, key: &str, problems: &mut Vec<Problem>) -> Map {
    root.get(key)
        .and_then(|value| value.map(problems).cloned())
        .unwrap_or_default()
}
