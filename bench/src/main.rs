//! Measures what a job costs: time, CPU, memory, and what a console line costs, beside a bare read
//! loop and beside LAVA's `lava-run` where that is installed. `docs/benchmarks.md` tells how.
//!
//! It starts programs and looks at them from outside; only `memory` uses code of the project.
#![forbid(unsafe_code)]

mod bare;
mod cases;
mod figures;
mod memory;
mod probe;
mod programs;
mod recorded;
mod report;
mod stack;
mod stage;

use clap::{Args, Parser, Subcommand};
use std::{ffi::OsString, fmt, io::Write, path::PathBuf, process::ExitCode};

/// Measures what a job costs, beside LAVA where `lava-run` is installed.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Args)]
struct Arguments {
    /// How often the minimal job is run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,

    /// How often each flood is run by the bare loop and by pumice; LAVA, which takes long, runs it
    /// three times at most
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=1000))]
    floods: u32,

    /// Console lines of a flood
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    lines: u64,

    /// Only show that everything works: one run of each, 2000 lines, no LAVA
    #[arg(long)]
    quick: bool,

    /// Only the console stack: floods of both kinds of terminal, and from memory
    #[arg(long)]
    stack: bool,

    /// Do not run LAVA, although it is installed
    #[arg(long)]
    no_lava: bool,

    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,

    /// Measure this `pumice` instead of building one
    #[arg(long, value_name = "PROGRAM")]
    pumice: Option<PathBuf>,

    /// Play the board with this `rack` instead of building one
    #[arg(long, value_name = "PROGRAM")]
    rack: Option<PathBuf>,
}

/// Parts that this program runs as processes of their own: what the kernel counts for the children
/// of a process is then what one program used.
#[derive(Debug, Subcommand)]
enum Part {
    /// Runs one program and prints what it used, as JSON
    #[command(hide = true)]
    Probe(probe::Arguments),
    /// Takes bytes from memory through the console stack and prints what that took, as JSON
    #[command(hide = true)]
    Memory(memory::Arguments),
    /// Reads a program's terminal in a bare loop and prints what that took, as JSON
    #[command(hide = true)]
    Bare {
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// Why there are no figures.
#[derive(Debug)]
struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Problem {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// An error of the system, with what was tried.
    fn while_doing<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("cannot {what}: {error}"))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.part {
        Some(Part::Probe(arguments)) => probe::main(&arguments),
        Some(Part::Memory(arguments)) => memory::main(&arguments),
        Some(Part::Bare { command }) => bare::main(&command),
        None => measure(cli.arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            note(&format!("bench: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(mut arguments: Arguments) -> Result<(), Problem> {
    if arguments.quick {
        (arguments.runs, arguments.floods, arguments.lines) = (1, 1, 2_000);
        arguments.no_lava = true;
    }
    let programs = programs::Programs::find(&arguments)?;
    let report = cases::run(&arguments, &programs)?;
    let mut out = std::io::stdout().lock();
    let written = if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        report.print(&mut out)
    };
    written.map_err(Problem::while_doing("print the figures"))
}

/// Tells the person at the terminal something; figures go to standard output.
#[expect(
    clippy::print_stderr,
    reason = "it is for people, not part of the figures"
)]
fn note(text: &str) {
    eprintln!("{text}");
}
