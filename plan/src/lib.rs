//! From a job definition and a device to the tree of actions that runs the job.
//!
//! Planning is pure: no file is opened, no clock is read. The tree has the names, levels, retries
//! and time limits that LAVA 2026.07 gives the same job on the same device, because users set
//! time limits by these names. How an action runs is the dispatcher's business; what it has to
//! do is in its [`Step`].
#![forbid(unsafe_code)]

pub mod action;
mod boot;
mod bootloader;
mod builder;
mod command;
mod deploy;
mod deployment_data;
mod describe;
mod download;
mod environment;
mod facts;
mod fastboot;
mod finalize;
mod job_view;
mod login;
mod netboot;
mod overlay_tree;
mod power;
mod render;
pub mod step;
mod test;

pub use action::{Action, OnTimeout, Plan, Retry, Section};
pub use describe::{describe, description};
pub use facts::{DispatcherConfig, Facts};
pub use render::render_tree;
pub use step::Step;

use builder::{Builder, Planned};
use job::{
    Definition, Device, Namespace, Problem,
    definition::{Block, BlockKind},
};
use job_view::{JobView, State};

/// Makes the tree of a job on a device.
///
/// A plan with [`Plan::problems`] has a tree, as in LAVA, but cannot succeed; neither can one with
/// a [`Step::Unsupported`]. Both are refused before anything is touched.
///
/// # Errors
///
/// What makes a tree impossible, one problem for each block: a method that the device does not
/// have, a parameter that is missing or makes no sense.
pub fn plan(definition: &Definition, device: &Device, facts: &Facts) -> Result<Plan, Vec<Problem>> {
    let view = JobView::new(definition, device, facts);
    let mut state = State::default();
    let mut actions = Vec::new();
    let mut refusals = Vec::new();
    for block in &definition.actions {
        match plan_block(&view, &mut state, block, actions.len() + 1) {
            Ok(planned) => actions.extend(planned),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let mut end = Builder::of_finalize(&view, &mut state, actions.len() + 1);
    match finalize::plan(&mut end) {
        Ok(()) => actions.extend(end.finish()),
        Err(refusal) => refusals.push(refusal),
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    check_namespaces(definition, &mut state.problems);
    state.problems.sort_by_key(|problem| problem.span.start);
    Ok(Plan {
        actions,
        timeout: definition.timeouts.job,
        problems: state.problems,
    })
}

/// LAVA's rules for namespaces: all blocks name one or none does, and one name is taken.
fn check_namespaces(definition: &Definition, problems: &mut Vec<Problem>) {
    let blocks = &definition.actions;
    let mixed = blocks.iter().any(|block| block.common.namespace.is_some());
    for block in blocks {
        let at = block.cursor();
        let namespace = block.namespace();
        if mixed && namespace == Namespace::common() {
            problems.push(
                at.problem("this block names no namespace, but others do")
                    .with_hint("give it a `namespace` other than `common`, or remove all"),
            );
        } else if namespace.as_str() == "docker-test-shell" {
            problems.push(at.problem("the namespace `docker-test-shell` is LAVA's own"));
        }
    }
}

fn plan_block<'a>(
    view: &'a JobView<'a>,
    state: &mut State,
    block: &'a Block,
    first: usize,
) -> Planned<Vec<Action>> {
    let section = match &block.kind {
        BlockKind::Deploy(_) => Section::Deploy,
        BlockKind::Boot(_) => Section::Boot,
        BlockKind::Test(_) => Section::Test,
        BlockKind::Command { .. } => Section::Command,
    };
    let mut builder = Builder::of_block(view, state, block, section, first);
    match &block.kind {
        BlockKind::Deploy(deploy) => deploy::plan(&mut builder, deploy)?,
        BlockKind::Boot(boot) => boot::plan(&mut builder, boot)?,
        BlockKind::Test(test) => test::plan(&mut builder, test)?,
        BlockKind::Command { name } => command::plan(&mut builder, name),
    }
    Ok(builder.finish())
}
