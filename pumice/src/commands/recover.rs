//! `pumice recover DIR`

use crate::{
    cli::RecoverArguments,
    exit::{Exit, Stop},
};
use dispatcher::journal::JOURNAL_FILE;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

pub(crate) fn main(arguments: &RecoverArguments) -> Result<Exit, Stop> {
    let directory = job_directory(&arguments.job);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let recovered = runtime
        .block_on(dispatcher::run::recover(&directory))
        .map_err(|fault| Stop::new(Exit::InfrastructureFault, fault.message))?;
    let text = if recovered.was_needed {
        format!("gave back {} resources; the job is over", recovered.undone)
    } else {
        "the job had ended and cleaned up by itself".to_owned()
    };
    writeln!(std::io::stdout().lock(), "{}: {text}", directory.display())?;
    Ok(Exit::Complete)
}

/// The directory of a job, given itself or by its journal.
pub(crate) fn job_directory(path: &Path) -> PathBuf {
    if path.file_name().is_some_and(|name| name == JOURNAL_FILE) {
        path.parent().unwrap_or(Path::new(".")).to_owned()
    } else {
        path.to_owned()
    }
}
