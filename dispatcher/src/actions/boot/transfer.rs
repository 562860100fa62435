//! `overlay-unpack`: a system that runs already fetches the tests' overlay.

use super::shell::run_checked_within;
use crate::{
    actions::StepRun,
    run::{Context, Extra, context::make_directory, fault},
};
use fs_err as fs;
use job::Fault;
use plan::step::TransferOverlay;
use std::path::{Path, PathBuf};

/// Types the job's command that fetches, then the one that unpacks. Both have the time of the
/// action, where LAVA 2026.07 gives a command 15 seconds: a network may have to come up first.
pub async fn unpack(
    step: &StepRun<'_>,
    transfer: &TransferOverlay,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let served = serve(step, context).await?;
    let name = served.file_name().unwrap_or_default().to_string_lossy();
    let path = context.boot_files.path_of(&served).unwrap_or_default();
    let port = context.boot_files.http_port().unwrap_or_default();
    // Without a colon in it, it is a name or an address of IPv4.
    let server = if transfer.server.contains(':') {
        format!("[{}]", transfer.server)
    } else {
        transfer.server.clone()
    };
    let download = transfer.download_command.as_deref().unwrap_or("wget");
    let command = format!("{download} http://{server}:{port}/{path}");
    run_checked_within(step, &command, None, context)
        .await
        .map_err(|fault| {
            fault.with_hint(format!(
                "the log has a line for each file that was asked for by HTTP; without one, the \
                 device did not reach {server}:{port}: does it have a network by now?"
            ))
        })?;
    let command = format!("{} {name}", transfer.unpack_command);
    run_checked_within(step, &command, None, context).await?;
    context.log_transfers();
    Ok(Extra::new())
}

/// Puts the archive where our HTTP server finds it.
async fn serve(step: &StepRun<'_>, context: &mut Context) -> Result<PathBuf, Fault> {
    let state = context.namespace(&step.action.namespace);
    let archive = state.overlay_archive.clone().ok_or_else(|| {
        Fault::job("there is no overlay to transfer").with_hint("deploy before this boot")
    })?;
    let directory = context.boot_files.serve_http(&context.undos).await?;
    let of_action = archive.parent().and_then(Path::file_name);
    let directory = directory.join(of_action.unwrap_or_default());
    make_directory(&directory)?;
    let served = directory.join(archive.file_name().unwrap_or_default());
    // It is there already when the boot is tried again.
    if !served.exists() && fs::hard_link(&archive, &served).is_err() {
        fs::copy(&archive, &served).map_err(|error| fault::of_io(&error))?;
    }
    Ok(served)
}
