//! The command lines about hardware: `power`, `console`, `hal`.

use clap::{Args, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Which lab the names are of.
#[derive(Debug, Args)]
pub(crate) struct LabArguments {
    /// The lab file [default: /etc/pumice/lab.toml, else ~/.config/pumice/lab.toml]
    #[arg(long, value_name = "FILE", env = "PUMICE_LAB")]
    pub(crate) lab: Option<PathBuf>,
}

/// A lab, or the one board that a device dictionary describes.
#[derive(Debug, Args)]
pub(crate) struct LabDeviceArguments {
    #[command(flatten)]
    pub(crate) lab: LabArguments,

    /// Use the commands of a LAVA device: a rendered dictionary (FILE.yaml) or HOST.jinja2
    #[arg(long, value_name = "FILE")]
    pub(crate) device: Option<PathBuf>,

    /// Look for the device's type here before the embedded ones; may be repeated
    #[arg(long, value_name = "DIR", requires = "device")]
    pub(crate) device_types: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_long_help = POWER_EXAMPLES)]
pub(crate) struct PowerArguments {
    #[command(subcommand)]
    pub(crate) command: PowerCommand,
}

const POWER_EXAMPLES: &str = "Examples:
  pumice power on beaglebone-1              a board of the lab file
  pumice power cycle rack1:3 rack2:7        outlets of PDUs, both at the same time
  pumice power status beaglebone-1          on, off, or unknown: this PDU cannot tell
  pumice power off --device bbb.jinja2      by the commands of a LAVA device
  pumice power serve                        what pdudaemon does, and the truth about it
  pumice power models                       the PDUs that can be used

What a PDU can be asked to show is read back: \"done\" means that the outlet moved.";

/// What to do with power.
#[derive(Debug, Subcommand)]
pub(crate) enum PowerCommand {
    /// Switch boards on
    On(SwitchArguments),
    /// Switch boards off
    Off(SwitchArguments),
    /// Switch boards off and on
    Cycle(SwitchArguments),
    /// Say whether boards have power
    Status(SwitchArguments),
    /// Serve the PDUs of a lab over HTTP, as pdudaemon does
    Serve(ServeArguments),
    /// List the models of PDUs
    Models(ModelsArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = SWITCH_EXAMPLES)]
pub(crate) struct SwitchArguments {
    /// Boards of the lab file, or PDU:OUTLET
    #[arg(value_name = "TARGET", required_unless_present = "device")]
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) place: LabDeviceArguments,

    /// How long each target may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// How long a cycle leaves the power off [default: what the lab file says, else 2s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) off_for: Option<Duration>,

    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: TableFormat,

    /// Switch although a job or a console of somebody else holds the board
    #[arg(long)]
    pub(crate) force: bool,
}

const SWITCH_EXAMPLES: &str = "Examples:
  pumice power status beaglebone-1 rack1:4
  pumice power status beaglebone-1 --format json | jq -r '.[].state'
  pumice power cycle beaglebone-1 --off-for 10s --timeout 1m
  pumice power off --device lab/devices/bbb-01.jinja2 --device-types lab/device-types

Targets on different PDUs are done at the same time, those on one PDU one after the other.

Exit codes:
  0    done, and read back where that can be; for status: each state is known
  2    the command line is wrong, or names what the lab does not have
  3    the lab file or the device is wrong, or gives the board no such control
  5    a PDU failed: it cannot be reached, refuses, or the outlet did not move
  7    status: a PDU cannot tell
  8    somebody else holds the board; --force switches all the same";

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
#[command(after_long_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArguments {
    /// Where to listen for HTTP [default: 127.0.0.1:16421, or as pdudaemon.conf says]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where to listen for the line protocol of pduclient
    #[arg(long, value_name = "ADDRESS", conflicts_with = "token_file")]
    pub(crate) listen_tcp: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) lab: LabArguments,

    /// Use the PDUs and aliases of a pdudaemon.conf instead of a lab file
    #[arg(long, value_name = "FILE", conflicts_with = "lab")]
    pub(crate) pdudaemon_conf: Option<PathBuf>,

    /// Only do what comes with a token of this file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// How long a request may take, delays not counted
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

const SERVE_EXAMPLES: &str = "Examples:
  pumice power serve --pdudaemon-conf /etc/pdudaemon/pdudaemon.conf
          in place of pdudaemon, with its configuration
  pumice power serve --lab lab.toml --listen 192.0.2.1:16421 --token-file tokens
          for a network, to those who have a token

Requests, as pdudaemon's clients make them:
  curl 'http://127.0.0.1:16421/power/control/reboot?hostname=rack1&port=3&delay=10'
  curl 'http://127.0.0.1:16421/power/control/on?alias=beaglebone-1'
  curl 'http://127.0.0.1:16421/power/status?alias=beaglebone-1'

The answer comes when it was done; one that failed has an error status and the reason.";

#[derive(Debug, Args)]
#[command(after_long_help = MODELS_EXAMPLES)]
pub(crate) struct ModelsArguments {
    #[command(flatten)]
    pub(crate) lab: LabArguments,

    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: TableFormat,
}

const MODELS_EXAMPLES: &str = "Examples:
  pumice power models                           all that are built in, and those of the lab
  pumice power models --format json | jq -r '.[] | select(.reads_back) | .name'";

#[derive(Debug, Args)]
#[command(after_long_help = CONSOLE_EXAMPLES)]
pub(crate) struct ConsoleArguments {
    /// A board of the lab file
    #[arg(value_name = "BOARD", required_unless_present = "device")]
    pub(crate) board: Option<String>,

    #[command(flatten)]
    pub(crate) place: LabDeviceArguments,

    /// Append what the board prints to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Begin each line of the log with the time
    #[arg(long, requires = "log")]
    pub(crate) timestamps: bool,

    /// The key that commands begin with, ^A to ^Z, ^[ ^\ ^] ^^ ^_, or none
    #[arg(long, value_name = "KEY", default_value = "^]")]
    pub(crate) escape: String,

    /// Type nothing: what is typed here does not reach the board
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Watch the job that holds the board, without typing
    #[arg(long)]
    pub(crate) join: bool,

    /// Leave after this time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) leave_after: Option<Duration>,

    /// How long connecting may take, and coming back after the connection was lost
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

const CONSOLE_EXAMPLES: &str = "Examples:
  pumice console beaglebone-1                          talk to a board of the lab file
  pumice console beaglebone-1 --log boot.log --timestamps
  pumice console beaglebone-1 --join                   watch the job that holds it
  pumice console --device lab/devices/bbb-01.jinja2    by the commands of a LAVA device
  pumice console beaglebone-1 --for 60s >boot.log </dev/null

Keys, after the escape key (Ctrl-]):
  .  leave                p  power: then 1 on, 0 off, c cycle, s status
  b  send a BREAK         ?  help
  the escape key itself sends it to the board

Exit codes:
  0    left by the escape key, by --for, or the job that was watched is over
  2    the command line is wrong, or names what the lab does not have
  3    the lab file or the device is wrong, or gives the board no console
  5    the console cannot be opened, or was lost and did not come back
  8    a job or another console holds the board";

#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_long_help = HAL_EXAMPLES)]
pub(crate) struct HalArguments {
    #[command(subcommand)]
    pub(crate) command: HalCommand,
}

const HAL_EXAMPLES: &str = "Examples:
  pumice hal list                       what is plugged in, and whether you may use it
  pumice hal list --udev-rules          the rules that would let a group use it";

/// What to do with hardware.
#[derive(Debug, Subcommand)]
pub(crate) enum HalCommand {
    /// List what is plugged in
    List(ListArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = LIST_EXAMPLES)]
pub(crate) struct ListArguments {
    /// What to print
    #[arg(
        long,
        value_enum,
        default_value = "text",
        conflicts_with = "udev_rules"
    )]
    pub(crate) format: TableFormat,

    /// Print udev rules that give a group access, and stable names
    #[arg(long)]
    pub(crate) udev_rules: bool,
}

const LIST_EXAMPLES: &str = "Examples:
  pumice hal list
  pumice hal list --format json | jq -r '.[] | select(.capability == \"console\") | .name'
  pumice hal list --udev-rules | sudo tee /etc/udev/rules.d/60-pumice.rules

Nothing is opened and nothing is changed.";

/// `500ms`, `30s`, `2m`, `1h`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = || text.parse().ok().map(Duration::from_secs);
    hal::lab::parse_duration(text)
        .or_else(seconds)
        .ok_or_else(|| "a time is 500ms, 30s, 2m or 1h".to_owned())
}
