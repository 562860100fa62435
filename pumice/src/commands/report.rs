//! `pumice report DIR`

use crate::{
    cli::ReportArguments,
    commands::recover::job_directory,
    exit::{Exit, Stop},
    message,
};
use dispatcher::journal::{JOURNAL_FILE, rebuild};

pub(crate) fn main(arguments: &ReportArguments) -> Result<Exit, Stop> {
    let job = job_directory(&arguments.job);
    if let Some(output) = &arguments.output_dir {
        fs_err::create_dir_all(output)?;
    }
    let output = arguments.output_dir.as_ref().unwrap_or(&job);
    let rebuilt = rebuild(&job.join(JOURNAL_FILE), output)
        .map_err(|error| Stop::new(Exit::InfrastructureFault, error.to_string()))?;
    if let Some(damage) = &rebuilt.damage {
        message::warning(&format!("{damage}; everything before it was read"));
    }
    Ok(Exit::Complete)
}
