//! `download-retry` and its downloads.

use crate::{
    actions::StepRun,
    download::{masked, text},
    run::{Context, Extra},
};
use job::Fault;
use plan::step::Download;

/// Fetches one file. The consoles of the job go on being read meanwhile.
pub async fn fetch(
    step: &StepRun<'_>,
    download: &Download,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let directory = context.deploy_directory(step.action)?;
    context
        .log
        .info(format!("downloading {}", masked(&download.url)));
    let path = context
        .fetches
        .downloader()
        .destination(download, &directory)?;
    context.log.debug(format!("saving as {}", path.display()));
    let (fetches, consoles) = (&mut context.fetches, &mut context.consoles);
    let level = &step.action.level;
    let fetched = fetches
        .file(level, download, &directory, step.deadline, consoles)
        .await?;
    context.log.info(if fetched.from_cache {
        format!("{} taken from the cache", text::megabytes(fetched.size))
    } else {
        text::finished(fetched.size, fetched.duration)
    });
    let namespace = context.namespace(&step.action.namespace);
    namespace.files.insert(
        download.label.clone(),
        fetched.unpacked.unwrap_or(fetched.path),
    );
    Ok(Extra::from_iter([
        ("label".to_owned(), download.label.clone().into()),
        ("size".to_owned(), fetched.size.into()),
        ("sha256sum".to_owned(), fetched.sha256.into()),
    ]))
}
