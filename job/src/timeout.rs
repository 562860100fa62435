//! Time limits: their grammar and which of several that are set counts.
//!
//! The rules are those of LAVA 2026.07; users set limits by the names of actions, so an action's
//! limit must come out the same.

use crate::{Problem, document::Cursor};
use std::time::Duration;
use yaml::{Int, Value};

/// What an action or a connection is allowed when nothing says otherwise, and what a limit of
/// zero means.
pub const DEFAULT: Duration = Duration::from_secs(30);

/// The longest limit that is accepted. LAVA has no such bound; a hundred years keeps all sums of
/// time points representable.
const LONGEST_SECONDS: f64 = 100.0 * 366.0 * 86_400.0;

/// Limits by the name of an action, in the order of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedTimeouts(Vec<(String, Duration)>);

/// `timeouts:` of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTimeouts {
    /// The whole job.
    pub job: Duration,
    /// Each action.
    pub action: Option<Duration>,
    /// Each wait on a connection.
    pub connection: Option<Duration>,
    /// Actions by name.
    pub actions: NamedTimeouts,
    /// Waits on a connection by name of the action.
    pub connections: NamedTimeouts,
}

/// `timeouts:` of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceTimeouts {
    /// Actions by name.
    pub actions: NamedTimeouts,
    /// Waits on a connection by name of the action.
    pub connections: NamedTimeouts,
}

/// `timeout:` and `timeouts:` of one block of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockTimeouts {
    /// Every action of the block.
    pub block: Option<Duration>,
    /// Whether the job goes on when that time is over.
    pub skip: bool,
    /// Actions by name.
    pub actions: NamedTimeouts,
}

/// The action around another one, as far as time is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its own limit.
    pub timeout: Duration,
    /// How often it runs its children at most.
    pub attempts: u32,
}

/// All that decides on the time limits of a block's actions.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// The job's.
    pub job: &'a JobTimeouts,
    /// The device's.
    pub device: &'a DeviceTimeouts,
    /// The block's; `None` for actions that belong to no block.
    pub block: Option<&'a BlockTimeouts>,
}

impl NamedTimeouts {
    /// The limit of an action.
    pub fn get(&self, name: &str) -> Option<Duration> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, limit)| *limit)
    }

    /// All of them, in the order of the document.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|(name, limit)| (name.as_str(), *limit))
    }

    fn read(cursor: Option<Cursor<'_>>, problems: &mut Vec<Problem>) -> Self {
        let Some(cursor) = cursor else {
            return Self::default();
        };
        let entries = cursor.entries(problems);
        Self(
            entries
                .into_iter()
                .filter_map(|(name, value)| Some((name, read(&value, problems)?)))
                .collect(),
        )
    }
}

impl JobTimeouts {
    /// Reads `timeouts:` of a job; `job` in it is required.
    pub fn read(cursor: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let job = cursor
            .require("job", problems)
            .and_then(|limit| read(&limit, problems));
        let action = cursor
            .get("action")
            .and_then(|limit| read(&limit, problems));
        let connection = cursor
            .get("connection")
            .and_then(|limit| read(&limit, problems));
        let actions = NamedTimeouts::read(cursor.get("actions"), problems);
        let connections = NamedTimeouts::read(cursor.get("connections"), problems);
        Some(Self {
            job: job?,
            action,
            connection,
            actions,
            connections,
        })
    }
}

impl DeviceTimeouts {
    /// Reads `timeouts:` of a device.
    pub fn read(cursor: Option<Cursor<'_>>, problems: &mut Vec<Problem>) -> Self {
        let Some(cursor) = cursor else {
            return Self::default();
        };
        Self {
            actions: NamedTimeouts::read(cursor.get("actions"), problems),
            connections: NamedTimeouts::read(cursor.get("connections"), problems),
        }
    }
}

impl BlockTimeouts {
    /// Reads `timeout:` and `timeouts:` of a block.
    pub fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Self {
        let timeout = block.get("timeout");
        Self {
            skip: timeout
                .as_ref()
                .and_then(|timeout| timeout.get("skip"))
                .is_some_and(|skip| skip.node().is_truthy()),
            block: timeout.and_then(|timeout| read(&timeout, problems)),
            actions: NamedTimeouts::read(block.get("timeouts"), problems),
        }
    }
}

impl Layers<'_> {
    /// How long an action is allowed; the last of these that is set counts: the built-in limit,
    /// the job's for all actions, the device's by name, the block's, a share of the parent's when
    /// that repeats its children, the job's by name, the block's by name.
    pub fn action(&self, name: &str, builtin: Duration, parent: Option<Parent>) -> Duration {
        let share = parent.filter(|parent| parent.attempts > 1).map(|parent| {
            Duration::from_secs(parent.timeout.as_secs() / u64::from(parent.attempts))
        });
        [
            self.block.and_then(|block| block.actions.get(name)),
            self.job.actions.get(name),
            share,
            self.block.and_then(|block| block.block),
            self.device.actions.get(name),
            self.job.action,
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(builtin)
    }

    /// How long one wait for a prompt is allowed in an action; the last of these that is set
    /// counts: 30 seconds, the job's for all, the device's by name, the job's by name.
    pub fn connection(&self, name: &str) -> Duration {
        [
            self.job.connections.get(name),
            self.device.connections.get(name),
            self.job.connection,
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(DEFAULT)
    }
}

/// Reads one time limit: the sum of `days`, `hours`, `minutes` and `seconds`, rounded down to a
/// second; nothing or zero means [`DEFAULT`].
///
/// LAVA's schema wants exactly one unit; its dispatcher, like this, does not.
pub fn read(cursor: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Duration> {
    let Value::Mapping(map) = &cursor.node().value else {
        problems.push(
            cursor
                .problem(format!("a time limit is a map, not {}", cursor.kind()))
                .with_hint("write it as `minutes: 5`"),
        );
        return None;
    };
    let mut total = 0.0;
    for (unit, seconds) in [
        ("days", 86_400.0),
        ("hours", 3_600.0),
        ("minutes", 60.0),
        ("seconds", 1.0),
    ] {
        let Some(count) = map.get(unit) else { continue };
        let count = match &count.value {
            Value::Int(Int::Small(number)) => *number as f64,
            Value::Float(number) => *number,
            _ => f64::NAN,
        };
        total += count * seconds;
    }
    if !(0.0..=LONGEST_SECONDS).contains(&total) {
        problems.push(
            cursor
                .problem("a time limit is made of numbers from 0 up to a hundred years")
                .with_hint("write it as `minutes: 5`"),
        );
        return None;
    }
    // In range, as checked above.
    let whole = total as u64;
    Some(if whole == 0 {
        DEFAULT
    } else {
        Duration::from_secs(whole)
    })
}
