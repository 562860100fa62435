//! The command line.

mod hardware;

pub(crate) use hardware::{
    ConsoleArguments, HalArguments, HalCommand, LabArguments, LabDeviceArguments, ListArguments,
    ModelsArguments, PowerArguments, PowerCommand, ServeArguments, SwitchArguments, TableFormat,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use dispatcher::{bootfiles::tftp::PORT, run::Tftp};
use std::{
    net::{AddrParseError, SocketAddr},
    path::PathBuf,
};

/// LAVA-compatible lab automation, light enough to float.
///
/// Pumice runs LAVA jobs: it powers the board, talks to its bootloader and its shell over the
/// serial line, runs the tests and reports their results.
#[derive(Debug, Parser)]
#[command(
    name = "pumice",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_long_help = FIRST_STEPS
)]
pub(crate) struct Cli {
    /// When to use colours: auto, always or never. NO_COLOR is honoured
    #[arg(
        long = "color",
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        global = true,
        hide_possible_values = true
    )]
    pub(crate) colour: Colour,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const FIRST_STEPS: &str = "First steps:
  pumice check job.yaml                            is the job definition right?
  pumice plan job.yaml --device-type qemu          what would it do, and how long may it take?
  pumice run job.yaml --device-type qemu           do it
  pumice run job.yaml --device board-07.jinja2     the same on a board of a lab
  pumice power status board-07                     is it on?
  pumice console board-07                          talk to it

Each command has examples: pumice run --help";

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also in files and pipes
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a job on a device and write its log and results
    Run(RunArguments),
    /// Show what a job would do on a device, without touching anything
    Plan(PlanArguments),
    /// Check job definitions offline and report every problem
    Check(CheckArguments),
    /// Write the log and the results of a job again, from its journal
    Report(ReportArguments),
    /// Clean up after a job whose runner died: power off, end processes, remove files
    Recover(RecoverArguments),
    /// Switch boards on and off, ask for their power, serve PDUs to others
    Power(PowerArguments),
    /// Talk to a board, or watch a job talk to it
    Console(ConsoleArguments),
    /// List the hardware that is plugged in
    Hal(HalArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Print manual pages
    Man(ManArguments),
}

/// Which device a job runs on.
#[derive(Debug, Args)]
pub(crate) struct DeviceArguments {
    /// The device: a rendered dictionary (FILE.yaml) or a lab's device file (HOST.jinja2)
    #[arg(long, value_name = "FILE", conflicts_with = "device_type")]
    pub(crate) device: Option<PathBuf>,

    /// A device of this type, without a device file; the job's own type if neither is given
    #[arg(long, value_name = "NAME")]
    pub(crate) device_type: Option<String>,

    /// Set a variable of the device type; VALUE is YAML
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) define: Vec<String>,

    /// Look for device types here before the embedded ones; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) device_types: Vec<PathBuf>,

    /// The number the job is known by, part of names on the device
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) job_id: String,

    /// The address boards reach this host by
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) dispatcher_ip: String,

    /// Variables for the device's shell, in the form of LAVA's env.dut.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) env_dut: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = RUN_EXAMPLES)]
pub(crate) struct RunArguments {
    /// The job definition
    pub(crate) job: PathBuf,

    #[command(flatten)]
    pub(crate) device: DeviceArguments,

    /// Where log, results and journal go [default: pumice-JOB_ID]
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,

    /// What to print while the job runs [default: live on a terminal, else plain]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Keep downloads here between jobs [default: ~/.cache/pumice]
    #[arg(long, value_name = "DIR", env = "PUMICE_CACHE")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Serve boot files by TFTP here, or name the directory that a TFTP server of this host serves
    /// [default: port 69 of --dispatcher-ip]
    #[arg(long, value_name = "ADDRESS[:PORT]|DIR", value_parser = tftp)]
    pub(crate) tftp: Option<Tftp>,

    /// Serve boot files and overlays by HTTP here [default: a free port of --dispatcher-ip]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = address)]
    pub(crate) http: Option<SocketAddr>,

    /// Serve images as network block devices here [default: the job's port of --dispatcher-ip, or
    /// a free one]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = address)]
    pub(crate) nbd: Option<SocketAddr>,

    /// Exit with 1 when a test case failed, although the job is complete
    #[arg(long)]
    pub(crate) fail_on_test: bool,
}

/// `192.0.2.1`, `192.0.2.1:6969`, `[fe80::1]:69`, `/srv/tftp`.
fn tftp(text: &str) -> Result<Tftp, String> {
    if let Ok(address) = address_with_default(text, PORT) {
        return Ok(Tftp::Own(address));
    }
    // Whether it is there is asked when the job is run.
    if !text.contains('/') {
        return Err("it is neither an address nor a directory (`./` is one)".to_owned());
    }
    std::path::absolute(text)
        .map(Tftp::Directory)
        .map_err(|error| error.to_string())
}

/// An address, and a free port where none is given.
fn address(text: &str) -> Result<SocketAddr, String> {
    address_with_default(text, 0).map_err(|error| error.to_string())
}

fn address_with_default(text: &str, port: u16) -> Result<SocketAddr, AddrParseError> {
    text.parse()
        .or_else(|_| Ok(SocketAddr::new(text.parse()?, port)))
}

const RUN_EXAMPLES: &str = "Examples:
  pumice run job.yaml --device-type qemu -D no_kvm=true
          on QEMU; -D sets what a device file would
  pumice run job.yaml --device lab/board-07.jinja2 --device-types lab/device-types
          on a board of a LAVA lab, with its own device types
  pumice run job.yaml --device board-07.yaml --job-id 42 -o out
          on a rendered device, as LAVA's worker gets it; files go to out/
  pumice run uboot.yaml --device board-07.yaml --dispatcher-ip 192.0.2.1 --tftp /srv/tftp
          boots from the network, by the TFTP server that this host has
  pumice run job.yaml --fail-on-test --format plain
          in CI: the exit code tells whether tests failed, the log has one line an event
  pumice run job.yaml --format json | jq -r '.record.result // empty | [.case, .result] | @tsv'
          follow the results as they come

Ctrl-C cancels the job: what runs is ended, the board is switched off, everything is cleaned up.

Exit codes:
  0    the job is complete
  1    it is, but a test case failed (with --fail-on-test)
  2    the command line is wrong
  3    the job or the device definition is wrong; nothing was touched
  4    the job failed by its own fault
  5    the job failed by the fault of the lab
  6    the job failed by a bug of Pumice
  8    somebody else holds the board; nothing was touched
  130  the job was canceled";

const PLAN_EXAMPLES: &str = "Examples:
  pumice plan job.yaml --device-type qemu
  pumice plan job.yaml --device board-07.jinja2 --format json | jq '.[].name'

The names are those that `timeouts: actions:` of a job sets time limits by.";

const CHECK_EXAMPLES: &str = "Examples:
  pumice check jobs/*.yaml        all problems of all files, with line, path and the nearest right key
  pumice check board-07.yaml      a rendered device

Exits with 3 when a file has problems.";

const REPORT_EXAMPLES: &str = "Examples:
  pumice report pumice-1                  after a crash: what was recorded until then
  pumice report pumice-1 -o elsewhere     into another directory";

const RECOVER_EXAMPLES: &str = "Examples:
  pumice recover pumice-1         switch the board off and clean up after a runner that was killed

Refuses while the job still runs; does nothing when it cleaned up by itself.";

const COMPLETIONS_EXAMPLES: &str = "Examples:
  pumice completions bash > ~/.local/share/bash-completion/completions/pumice
  pumice completions zsh > ~/.zfunc/_pumice        with ~/.zfunc in $fpath
  pumice completions fish > ~/.config/fish/completions/pumice.fish";

const MAN_EXAMPLES: &str = "Examples:
  pumice man | man -l -                                   read the main page
  pumice man --directory ~/.local/share/man/man1          install all pages: man pumice-run";

/// What `pumice run` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The tree of actions with their times, and the console as it comes
    Live,
    /// One line per event, for logs of other systems
    Plain,
    /// LAVA's log records, as lava-run prints them
    Lava,
    /// The journal as JSON, one object per line
    Json,
}

#[derive(Debug, Args)]
#[command(after_long_help = PLAN_EXAMPLES)]
pub(crate) struct PlanArguments {
    /// The job definition
    pub(crate) job: PathBuf,

    #[command(flatten)]
    pub(crate) device: DeviceArguments,

    /// What to print
    #[arg(long, value_enum, default_value = "tree")]
    pub(crate) format: PlanFormat,
}

/// What `pumice plan` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// A tree for people
    Tree,
    /// level, name, max_retries, timeout in seconds, url, pipeline
    Json,
}

#[derive(Debug, Args)]
#[command(after_long_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArguments {
    /// Job definitions; a file with a rendered device is recognised
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = REPORT_EXAMPLES)]
pub(crate) struct ReportArguments {
    /// The output directory of the job, or its journal
    pub(crate) job: PathBuf,

    /// Where to write [default: beside the journal]
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = RECOVER_EXAMPLES)]
pub(crate) struct RecoverArguments {
    /// The output directory of the job, or its journal
    pub(crate) job: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_long_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_long_help = MAN_EXAMPLES)]
pub(crate) struct ManArguments {
    /// Write a page per subcommand here instead of the main page to standard output
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
