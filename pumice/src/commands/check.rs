//! `pumice check FILE…`

use crate::{
    cli::CheckArguments,
    exit::{Exit, Stop},
    input::Source,
    message,
};
use std::{io::Write, path::Path};

/// Checks all files and reports what is wrong with each, not just with the first.
pub(crate) fn main(arguments: &CheckArguments) -> Result<Exit, Stop> {
    let mut bad = 0;
    let mut out = std::io::stdout().lock();
    for path in &arguments.files {
        match check(path) {
            Ok(()) => writeln!(out, "{}: ok", path.display())?,
            Err(stop) => {
                bad += 1;
                message::error(&stop.text);
            }
        }
    }
    match bad {
        0 => Ok(Exit::Complete),
        1 => Err(Stop::bad_definition("1 file has problems")),
        _ => Err(Stop::bad_definition(format!("{bad} files have problems"))),
    }
}

fn check(path: &Path) -> Result<(), Stop> {
    let source = Source::read(path)?;
    let is_device = source.node.get("constants").is_some() && source.node.get("job_name").is_none();
    let problems = if is_device {
        job::schema::check_device(&source.node)
    } else {
        job::schema::check_job(&source.node)
    };
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Stop::bad_definition(source.describe(&problems)))
    }
}
