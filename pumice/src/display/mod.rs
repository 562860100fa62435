//! What `pumice run` prints: observers of the journal, and the closing table.

mod json;
mod lava;
mod plain;

use crate::{cli::Format, input::Planned};
use dispatcher::journal::{Observer, Summary};
use std::path::Path;

/// The observers for a format; the default depends on whether standard output is a terminal.
pub(crate) fn observers(format: Option<Format>, _planned: &Planned) -> Vec<Box<dyn Observer>> {
    match format.unwrap_or(Format::Plain) {
        Format::Live | Format::Plain => vec![Box::new(plain::Plain::default())],
        Format::Lava => vec![Box::new(lava::Lava::default())],
        Format::Json => vec![Box::new(json::Json)],
    }
}

/// What is said after the job.
pub(crate) fn conclude(format: Option<Format>, summary: &Summary, output: &Path) {
    if matches!(format, Some(Format::Lava | Format::Json)) {
        return;
    }
    plain::conclude(summary, output);
}
