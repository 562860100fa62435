//! `pumice completions SHELL`

use crate::{
    cli::{Cli, CompletionsArguments},
    exit::{Exit, Stop},
};
use clap::CommandFactory;
use std::io::Write;

pub(crate) fn main(arguments: &CompletionsArguments) -> Result<Exit, Stop> {
    // The generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "pumice", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Complete)
}
