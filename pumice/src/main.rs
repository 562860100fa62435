//! The `pumice` command: a file per subcommand in [`commands`], the arguments in [`cli`].
//!
//! Nothing is decided here; what a job does is the dispatcher's business.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod console;
mod display;
mod exit;
mod input;
mod lab;
mod lock;
mod message;
mod signals;
mod table;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    message::set_colour(cli.colour);
    let outcome = match cli.command {
        cli::Command::Run(arguments) => commands::run::main(&arguments),
        cli::Command::Plan(arguments) => commands::plan::main(&arguments),
        cli::Command::Check(arguments) => commands::check::main(&arguments),
        cli::Command::Report(arguments) => commands::report::main(&arguments),
        cli::Command::Recover(arguments) => commands::recover::main(&arguments),
        cli::Command::Power(arguments) => commands::power::main(&arguments),
        cli::Command::Console(arguments) => commands::console::main(&arguments),
        cli::Command::Hal(arguments) => commands::hal::main(&arguments),
        cli::Command::Completions(arguments) => commands::completions::main(&arguments),
        cli::Command::Man(arguments) => commands::man::main(&arguments),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(stop) => {
            message::error(&stop.text);
            stop.exit.into()
        }
    }
}
