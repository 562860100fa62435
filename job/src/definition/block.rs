//! One block of a job's `actions`.

use super::{Boot, Deploy, Test};
use crate::{
    Namespace, Problem,
    document::Cursor,
    timeout::{self, BlockTimeouts},
};
use std::time::Duration;
use yaml::{Node, Value};

/// One block of a job's `actions`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Where it stands: `actions[1].boot`.
    pub path: String,
    /// What any block may carry.
    pub common: Common,
    /// What it asks for.
    pub kind: BlockKind,
    /// The block as it was written, for what has no type.
    pub node: Node,
}

/// What a block asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// `deploy:`
    Deploy(Box<Deploy>),
    /// `boot:`
    Boot(Box<Boot>),
    /// `test:`
    Test(Test),
    /// `command:`
    Command {
        /// The name of the command.
        name: String,
    },
}

/// What any block may carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Common {
    /// `namespace`, where the job names one.
    pub namespace: Option<Namespace>,
    /// `connection-namespace`.
    pub connection_namespace: Option<Namespace>,
    /// `timeout` and `timeouts`.
    pub timeouts: BlockTimeouts,
    /// `failure_retry`: how often to try at most.
    pub failure_retry: Option<u32>,
    /// `failure_retry_interval`: the pause between two tries.
    pub retry_interval: Duration,
    /// `connection_timeout`: the time one wait for a prompt is allowed.
    pub connection_timeout: Option<Duration>,
    /// `repeat`: how often to run, whatever the outcome.
    pub repeat: Option<u32>,
}

impl Block {
    /// The block as a cursor, for what has no type.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.node, self.path.clone())
    }

    /// The namespace it works in.
    pub fn namespace(&self) -> Namespace {
        self.common
            .namespace
            .clone()
            .unwrap_or_else(Namespace::common)
    }

    pub(super) fn read(action: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut entries = action.entries(problems).into_iter();
        let (Some((keyword, block)), None) = (entries.next(), entries.next()) else {
            problems.push(
                action
                    .problem("an action is a map with one key")
                    .with_hint("the key is `deploy`, `boot`, `test` or `command`"),
            );
            return None;
        };
        let kind = match keyword.as_str() {
            "deploy" => BlockKind::Deploy(Box::new(Deploy::read(
                require_map(&block, problems)?,
                problems,
            )?)),
            "boot" => BlockKind::Boot(Box::new(Boot::read(
                require_map(&block, problems)?,
                problems,
            )?)),
            "test" => BlockKind::Test(Test::read(require_map(&block, problems)?, problems)),
            "command" => {
                let name = require_map(&block, problems)?.require("name", problems)?;
                BlockKind::Command {
                    name: name.text(problems)?,
                }
            }
            _ => {
                problems.push(
                    action
                        .problem(format!("there is no action `{keyword}`"))
                        .with_hint("the key is `deploy`, `boot`, `test` or `command`"),
                );
                return None;
            }
        };
        Some(Self {
            path: block.path().to_owned(),
            common: Common::read(&block, problems),
            kind,
            node: block.node().clone(),
        })
    }
}

impl Common {
    fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Self {
        let namespace = |key: &str, problems: &mut Vec<Problem>| {
            block.text_at(key, problems).map(Namespace::new)
        };
        let attempts = |key: &str, problems: &mut Vec<Problem>| {
            let attempts = block.set(key)?;
            let count = attempts.count(problems)?;
            if count == 0 {
                problems.push(attempts.problem(format!("`{key}` is at least 1")));
            }
            Some(count.max(1))
        };
        Self {
            namespace: namespace("namespace", problems),
            connection_namespace: namespace("connection-namespace", problems),
            timeouts: BlockTimeouts::read(block, problems),
            connection_timeout: block
                .set("connection_timeout")
                .and_then(|limit| timeout::read(&limit, problems)),
            failure_retry: attempts("failure_retry", problems),
            repeat: attempts("repeat", problems),
            retry_interval: retry_interval(block, problems),
        }
    }
}

/// The pause between two tries; a second unless the job says otherwise, an hour at most.
fn retry_interval(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Duration {
    let Some(interval) = block.set("failure_retry_interval") else {
        return Duration::from_secs(1);
    };
    match interval.node().as_f64() {
        Some(seconds) if (0.0..=3600.0).contains(&seconds) => Duration::from_secs_f64(seconds),
        _ => {
            problems.push(interval.problem("a pause is a number of seconds from 0 to 3600"));
            Duration::from_secs(1)
        }
    }
}

fn require_map<'c, 'a>(
    block: &'c Cursor<'a>,
    problems: &mut Vec<Problem>,
) -> Option<&'c Cursor<'a>> {
    if matches!(block.node().value, Value::Mapping(_)) {
        return Some(block);
    }
    problems.push(block.problem(format!("expected a map, found {}", block.kind())));
    None
}
