//! `apply-overlay-guest`: the overlay as a drive of its own, for images that nobody opens.

use crate::{
    actions::StepRun,
    overlay::{HostCommands, ext::guest},
    run::{Context, Extra},
};
use job::Fault;

/// Makes the drive, unless an image of the deploy carries the overlay already.
pub async fn build(
    step: &StepRun<'_>,
    size_mib: u32,
    already_applied: bool,
    context: &mut Context,
) -> Result<Extra, Fault> {
    if already_applied {
        context.log.debug("Overlay already applied");
        return Ok(Extra::new());
    }
    let namespace = &step.action.namespace;
    let path = context
        .make_directory(&step.action.name)?
        .join("lava-guest.ext2");
    let state = context.namespaces.entry(namespace.clone()).or_default();
    let root = state.overlay()?.results_directory();
    let making = guest::create(&root, size_mib, &path, &HostCommands, step.deadline);
    let guest = tokio::select! {
        guest = making => guest?,
        never = context.consoles.drain() => match never {},
    };
    context.log.debug(format!(
        "{} is a file system with UUID {}",
        path.display(),
        guest.uuid
    ));
    let state = context.namespace(namespace);
    state.guest = Some(guest);
    Ok(Extra::new())
}
