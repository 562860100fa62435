//! Growing the tree: levels, time limits and retries of each action.
//!
//! Files of single methods say which actions there are; everything that follows from an action's
//! name and place is worked out here.

use crate::{
    Action, OnTimeout, Retry, Section, Step,
    job_view::{JobView, State},
};
use job::{
    Definition, Device, FaultClass, Level, Namespace, Problem,
    definition::{Block, BlockKind, Test},
    document::Cursor,
    timeout::{self, Layers, Parent},
};
use std::time::Duration;

/// Why a block cannot be planned.
pub(crate) type Planned<T = ()> = Result<T, Problem>;

/// What one action is, apart from its place.
#[derive(Debug)]
pub(crate) struct Spec {
    name: &'static str,
    step: Step,
    builtin: Duration,
    class: FaultClass,
    url: Option<String>,
    retries: bool,
    skippable: bool,
}

/// The children of one action, or the actions of one block, while they grow.
pub(crate) struct Builder<'a, 's> {
    view: &'a JobView<'a>,
    state: &'s mut State,
    block: Option<&'a Block>,
    section: Section,
    namespace: Namespace,
    /// The level of the parent, empty at the root.
    prefix: String,
    /// The number of the first child.
    first: usize,
    parent: Option<Parent>,
    children: Vec<Action>,
}

impl Spec {
    /// An action with something to do.
    pub(crate) fn new(name: &'static str, step: Step) -> Self {
        Self {
            name,
            step,
            builtin: timeout::DEFAULT,
            class: FaultClass::Job,
            url: None,
            retries: false,
            skippable: false,
        }
    }

    /// An action that groups others.
    pub(crate) fn group(name: &'static str) -> Self {
        Self::new(name, Step::Group)
    }

    /// An action that this version cannot run.
    pub(crate) fn unsupported(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Step::Unsupported { what: what.into() })
    }

    /// An action that repeats its children.
    pub(crate) fn retrying(mut self) -> Self {
        self.retries = true;
        self
    }

    /// Its limit when nobody sets one.
    pub(crate) fn builtin(mut self, seconds: u64) -> Self {
        self.builtin = Duration::from_secs(seconds);
        self
    }

    /// Whose fault it is when its time is over.
    pub(crate) fn on_timeout(mut self, class: FaultClass) -> Self {
        self.class = class;
        self
    }

    /// The job may go on when its time is over.
    pub(crate) fn skippable(mut self) -> Self {
        self.skippable = true;
        self
    }

    /// What it downloads.
    pub(crate) fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }
}

impl<'a, 's> Builder<'a, 's> {
    /// The actions of a block, the first of them with the number `first`.
    pub(crate) fn of_block(
        view: &'a JobView<'a>,
        state: &'s mut State,
        block: &'a Block,
        section: Section,
        first: usize,
    ) -> Self {
        Self {
            view,
            state,
            block: Some(block),
            section,
            namespace: block.namespace(),
            prefix: String::new(),
            first,
            parent: None,
            children: Vec::new(),
        }
    }

    /// The actions after the last block.
    pub(crate) fn of_finalize(view: &'a JobView<'a>, state: &'s mut State, first: usize) -> Self {
        Self {
            view,
            state,
            block: None,
            section: Section::Finalize,
            namespace: Namespace::common(),
            prefix: String::new(),
            first,
            parent: None,
            children: Vec::new(),
        }
    }

    /// What has grown.
    pub(crate) fn finish(self) -> Vec<Action> {
        self.children
    }

    /// Appends an action.
    pub(crate) fn add(&mut self, spec: Spec) {
        let action = self.action(spec);
        self.children.push(action);
    }

    /// Appends an action that this version cannot run.
    pub(crate) fn later(&mut self, name: &'static str) {
        let what = self.what();
        self.add(Spec::unsupported(name, what));
    }

    /// What the block asks for, as a user would say it: `deploy to: tftp`.
    pub(crate) fn what(&self) -> String {
        match self.block.map(|block| &block.kind) {
            Some(BlockKind::Deploy(deploy)) => format!("deploy to: {}", deploy.to),
            Some(BlockKind::Boot(boot)) => format!("boot method: {}", boot.method),
            Some(BlockKind::Test(_)) => "this kind of test".to_owned(),
            Some(BlockKind::Command { name }) => format!("command {name}"),
            None => "the end of the job".to_owned(),
        }
    }

    /// Appends an action with children.
    pub(crate) fn nest(
        &mut self,
        spec: Spec,
        fill: impl FnOnce(&mut Builder<'a, '_>) -> Planned,
    ) -> Planned {
        let mut action = self.action(spec);
        let mut inner = Builder {
            view: self.view,
            state: &mut *self.state,
            block: self.block,
            section: self.section,
            namespace: self.namespace.clone(),
            prefix: action.level.as_str().to_owned(),
            first: 1,
            parent: Some(Parent {
                timeout: action.timeout,
                attempts: action.max_retries,
            }),
            children: Vec::new(),
        };
        fill(&mut inner)?;
        action.children = inner.finish();
        self.children.push(action);
        Ok(())
    }

    /// The level that the next action gets.
    pub(crate) fn next_level(&self) -> Level {
        let number = self.first + self.children.len();
        Level::new(if self.prefix.is_empty() {
            number.to_string()
        } else {
            format!("{}.{number}", self.prefix)
        })
    }

    fn action(&self, spec: Spec) -> Action {
        // LAVA ignores the limits of `command` blocks.
        let limits = self.block.filter(|_| self.section != Section::Command);
        let layers = Layers {
            job: &self.definition().timeouts,
            device: &self.device().timeouts,
            block: limits.map(|block| &block.common.timeouts),
        };
        let retry = spec.retries.then(|| self.retry());
        let skip = self.block.is_some_and(|block| block.common.timeouts.skip);
        Action {
            level: self.next_level(),
            section: self.section,
            namespace: self.namespace.clone(),
            connection_namespace: self
                .block
                .and_then(|block| block.common.connection_namespace.clone()),
            max_retries: retry.map_or(1, |retry| retry.attempts),
            retry,
            timeout: layers.action(spec.name, spec.builtin, self.parent),
            connection_timeout: self
                .block
                .and_then(|block| block.common.connection_timeout)
                .unwrap_or_else(|| layers.connection(spec.name)),
            on_timeout: OnTimeout {
                class: spec.class,
                skip: spec.skippable && skip,
            },
            url: spec.url,
            step: spec.step,
            children: Vec::new(),
            name: spec.name.to_owned(),
        }
    }

    /// How often an action that repeats its children does so: as the block says, else as the
    /// job's context or the device says, which boots may have a word of their own for.
    fn retry(&self) -> Retry {
        let common = self.block.map(|block| &block.common);
        let interval = common.map_or(Duration::from_secs(1), |common| common.retry_interval);
        if let Some(times) = common.and_then(|common| common.repeat) {
            return Retry {
                attempts: times,
                interval,
                repeat: true,
            };
        }
        let boot_retry = || match self.section {
            Section::Boot => self.view.count("boot_retry"),
            _ => None,
        };
        let attempts = common
            .and_then(|common| common.failure_retry)
            .or_else(boot_retry)
            .or_else(|| self.view.count("failure_retry"))
            .unwrap_or(1);
        Retry {
            attempts: attempts.max(1),
            interval,
            repeat: false,
        }
    }

    /// The job and what it runs on.
    pub(crate) fn view(&self) -> &'a JobView<'a> {
        self.view
    }

    /// The job.
    pub(crate) fn definition(&self) -> &'a Definition {
        self.view.definition
    }

    /// The device.
    pub(crate) fn device(&self) -> &'a Device {
        self.view.device
    }

    /// The namespace of the block.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What earlier blocks left for later ones.
    pub(crate) fn state(&mut self) -> &mut State {
        self.state
    }

    /// What earlier blocks left for later ones, to look at.
    pub(crate) fn state_ref(&self) -> &State {
        self.state
    }

    /// The block as it was written; an empty document behind the last block.
    pub(crate) fn cursor(&self) -> Cursor<'a> {
        match self.block {
            Some(block) => block.cursor(),
            None => Cursor::root(self.view.nothing()),
        }
    }

    /// Remembers something that will make the job fail, though it has a tree.
    pub(crate) fn report(&mut self, problem: Problem) {
        self.state.problems.push(problem);
    }

    /// Whether a test of the namespace travels in the overlay.
    pub(crate) fn needs_overlay(&self) -> bool {
        self.tests().any(Test::needs_overlay)
    }

    /// Whether a test of the namespace needs a shell on the device. The same tests need facts
    /// about the deployed system.
    pub(crate) fn has_shell(&self) -> bool {
        self.tests().any(Test::has_shell)
    }

    fn tests(&self) -> impl Iterator<Item = &'a Test> {
        self.view
            .tests_of(&self.namespace)
            .iter()
            .map(|(_, test)| *test)
    }
}

/// Runs a reading that collects problems; the first of them is the result.
pub(crate) fn read<T>(reading: impl FnOnce(&mut Vec<Problem>) -> T) -> Planned<T> {
    let mut problems = Vec::new();
    let value = reading(&mut problems);
    match problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(value),
    }
}
