//! `pumice completions SHELL`

use crate::{
    cli::{Cli, CompletionsArguments},
    exit::{Exit, Stop},
};
use clap::CommandFactory;

pub(crate) fn main(arguments: &CompletionsArguments) -> Result<Exit, Stop> {
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "pumice",
        &mut std::io::stdout().lock(),
    );
    Ok(Exit::Complete)
}
