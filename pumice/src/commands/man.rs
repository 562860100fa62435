//! `pumice man`

use crate::{
    cli::{Cli, ManArguments},
    exit::{Exit, Stop},
};
use clap::CommandFactory;

pub(crate) fn main(arguments: &ManArguments) -> Result<Exit, Stop> {
    let stopped = |error: std::io::Error| Stop::new(Exit::InfrastructureFault, error.to_string());
    match &arguments.directory {
        Some(directory) => {
            fs_err::create_dir_all(directory).map_err(stopped)?;
            clap_mangen::generate_to(Cli::command(), directory).map_err(stopped)?;
        }
        None => clap_mangen::Man::new(Cli::command())
            .render(&mut std::io::stdout().lock())
            .map_err(stopped)?,
    }
    Ok(Exit::Complete)
}
