//! The action tree.

use crate::Step;
use job::{FaultClass, Level, Namespace, Problem};
use std::time::Duration;

/// A whole job, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The actions of the job in order; the last is `finalize`.
    pub actions: Vec<Action>,
    /// The time limit of the whole job.
    pub timeout: Duration,
    /// What will make the job fail, though it has a tree: LAVA finds these when it validates.
    pub problems: Vec<Problem>,
}

/// Which kind of block of the job an action belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// `deploy:`
    Deploy,
    /// `boot:`
    Boot,
    /// `test:`
    Test,
    /// `command:`
    Command,
    /// What follows the last block.
    Finalize,
}

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Its place in the tree.
    pub level: Level,
    /// LAVA's name of it.
    pub name: String,
    /// The block it belongs to.
    pub section: Section,
    /// The namespace whose data and connection it uses.
    pub namespace: Namespace,
    /// The namespace whose connection it uses instead, where the job says so.
    pub connection_namespace: Option<Namespace>,
    /// As LAVA describes it; more than 1 only where `retry` says so too.
    pub max_retries: u32,
    /// Set on actions that repeat their children.
    pub retry: Option<Retry>,
    /// The time it is allowed; at run time never beyond its parent's.
    pub timeout: Duration,
    /// The time one wait for a prompt is allowed.
    pub connection_timeout: Duration,
    /// What it means when the time is over.
    pub on_timeout: OnTimeout,
    /// What it downloads.
    pub url: Option<String>,
    /// What it has to do itself.
    pub step: Step,
    /// What happens inside it, in order, after its own step.
    pub children: Vec<Self>,
}

/// How often an action's children are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many times at most; with `repeat`, exactly.
    pub attempts: u32,
    /// The pause between two.
    pub interval: Duration,
    /// Whether to go on after success (LAVA's `repeat`) instead of stopping at the first
    /// (`failure_retry`).
    pub repeat: bool,
}

/// What it means when an action's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnTimeout {
    /// Whose fault it is.
    pub class: FaultClass,
    /// Whether the job goes on (`timeout: {skip: true}`).
    pub skip: bool,
}
