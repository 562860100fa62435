//! Files of this host: `file://`, and what the cache holds.

use super::{
    OnProgress, Progress,
    failure::Failure,
    sink::{Brought, OutputPlan, Source},
};
use std::{fs::File, path::Path};
use tokio::sync::mpsc;

/// Brings a file of this host. The copy is the job's own; the original is never touched.
pub(super) async fn fetch(
    path: &Path,
    plan: &OutputPlan,
    progress: &mut OnProgress<'_>,
) -> Result<Brought, Failure> {
    let file = open(path)?;
    let (written, output) = write(file, path, plan, progress).await?;
    plan.publish(&written, output).await?;
    Ok(Brought {
        digests: written.digests,
        size: written.size,
        from_cache: false,
    })
}

/// Writes a file of this host to the plan's temporary file.
pub(super) async fn write(
    file: File,
    path: &Path,
    plan: &OutputPlan,
    progress: &mut OnProgress<'_>,
) -> Result<(super::sink::Written, tempfile::TempPath), Failure> {
    let metadata = file.metadata().map_err(|error| Failure::Read {
        path: path.to_owned(),
        error,
    })?;
    let total = metadata.len();
    progress(Progress::Started { total: Some(total) });
    let (sender, mut receiver) = mpsc::channel(1);
    let source = Source::File {
        file,
        path: path.to_owned(),
        progress: sender,
    };
    let sink = plan.start(source, None, Some(total))?;
    while let Some(done) = receiver.recv().await {
        progress(Progress::Advanced {
            done,
            total: Some(total),
        });
    }
    let (written, output) = sink.finish().await?;
    // Somebody wrote to it meanwhile: its contents belong neither to the old nor to the new file.
    if written.size < total {
        let error = std::io::Error::other("it became shorter while it was copied");
        return Err(Failure::Read {
            path: path.to_owned(),
            error,
        });
    }
    progress(Progress::Advanced {
        done: written.size,
        total: Some(written.size),
    });
    Ok((written, output))
}

/// Opens a regular file. Everything else is refused: a FIFO would block, a device never end.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let failed = |error| Failure::File {
        path: path.to_owned(),
        error,
    };
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(failed)?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(Failure::NotAFile {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed(error)),
    }
}
