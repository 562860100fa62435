//! `to: nbd`: an image that a board mounts over the network.

use crate::{
    actions::StepRun,
    run::{Context, Extra},
};
use job::Fault;
use plan::step::netboot::NbdServer;

/// `xnbd-server-deploy`: serves the downloaded image, which is the job's own copy.
pub async fn serve(
    step: &StepRun<'_>,
    server: &NbdServer,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = &step.action.namespace;
    let image = context.namespace(namespace).file(&server.label)?;
    let address = context
        .boot_files
        .serve_nbd(namespace, &image, server.port)
        .await?;
    context.log.info(format!(
        "Serving {} as a block device at {address}",
        image.display()
    ));
    Ok(Extra::new())
}
