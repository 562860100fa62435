//! `pumice man`

use crate::{
    cli::{Cli, ManArguments},
    exit::{Exit, Stop},
};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::{
    io::{self, Write},
    path::Path,
};

pub(crate) fn main(arguments: &ManArguments) -> Result<Exit, Stop> {
    let stopped = |error: io::Error| Stop::new(Exit::InfrastructureFault, error.to_string());
    let mut command = Cli::command().disable_help_subcommand(true);
    // Gives the pages of subcommands their names, `pumice-run`.
    command.build();
    match &arguments.directory {
        Some(directory) => {
            fs_err::create_dir_all(directory).map_err(stopped)?;
            write_pages(&command, directory).map_err(stopped)?;
        }
        None => {
            let text = page(&command).map_err(stopped)?;
            io::stdout().lock().write_all(text.as_bytes())?;
        }
    }
    Ok(Exit::Complete)
}

/// A page for the command and one for each below it.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below, directory)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs_err::write(directory.join(format!("{name}.1")), page(command)?)
}

fn page(command: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .source(concat!("pumice ", env!("CARGO_PKG_VERSION")))
        .manual("Pumice")
        .render(&mut text)?;
    // What follows the options in our help are examples first of all.
    let text = String::from_utf8_lossy(&text);
    Ok(text.replace(".SH EXTRA", ".SH EXAMPLES"))
}
