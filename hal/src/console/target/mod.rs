//! Where a console is, as text: what a lab file and `pumice console` name.
//!
//! ```text
//! serial:///dev/serial/by-id/usb-FTDI_FT232R-if00-port0?baud=115200&parity=none
//! tcp://rack:7001
//! telnet://rack:23
//! rfc2217://rack:7001?baud=1500000&flow=hardware
//! ssh://root@board?command=picocom%20/dev/ttyS1&host-key=accept-new
//! exec:telnet rack 7001
//! ```
//!
//! | option | for | values |
//! |---|---|---|
//! | `baud` | serial, rfc2217 | any speed |
//! | `data` | serial, rfc2217 | 5, 6, 7, 8 |
//! | `parity` | serial, rfc2217 | none, odd, even |
//! | `stop` | serial, rfc2217 | 1, 2 |
//! | `flow` | serial, rfc2217 | none, software, hardware |
//! | `dtr`, `rts` | serial, rfc2217 | on, off: right after opening |
//! | `command` | ssh | what to run there |
//! | `identity`, `known-hosts` | ssh | files |
//! | `host-key` | ssh | strict, accept-new, off |
//! | `keepalive` | ssh | seconds |
//!
//! A blank, `%`, `?`, `&` or `#` in a path or a value is written `%20`, `%25`, and so on. `exec:`
//! takes a command line as a POSIX shell would split it, without encoding, and starts no shell.

mod nearest;
mod text;

pub use text::HostPort;

use super::{
    Console, DataBits, EpochCounter, Fenced, FlowControl, HostKeyCheck, LineSettings, Parity,
    PtyConsole, PtyOptions, Rfc2217Console, SerialConsole, SshOptions, StopBits, TcpConsole,
    TelnetConsole,
};
use crate::{error::HalError, process::CommandLine};
use serde::{Deserialize, Deserializer, de::Error};
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};
use text::{Encoded, Host, Options, check_length, decode, invalid, is_host, split_port};
use tokio::time::Instant;

const LINE_OPTIONS: &[&str] = &["baud", "data", "parity", "stop", "flow", "dtr", "rts"];
const SSH_OPTIONS: &[&str] = &[
    "command",
    "identity",
    "known-hosts",
    "host-key",
    "keepalive",
];
const SCHEMES: &[&str] = &["serial", "tcp", "telnet", "rfc2217", "ssh", "exec"];

/// The fastest speed that is not a slip of the pen.
const FASTEST_BAUD: u32 = 50_000_000;

/// Where a console is and how to set it. See the [module](self) for the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConsoleTarget {
    /// A serial port of this machine.
    Serial {
        /// Its device node, absolute.
        node: PathBuf,
        /// How to set it.
        settings: LineSettings,
    },
    /// A raw TCP connection.
    Tcp(HostPort),
    /// A telnet server.
    Telnet(HostPort),
    /// A serial port behind a server that speaks RFC 2217.
    Rfc2217 {
        /// The server.
        address: HostPort,
        /// How to set the port; the rest stays as the server has it.
        settings: LineSettings,
    },
    /// A login or a command of another machine.
    Ssh(SshOptions),
    /// Any command on a pseudo-terminal.
    Command(CommandLine),
}

impl ConsoleTarget {
    /// Opens it. What is read is stamped behind a fence: see [`Fenced`].
    ///
    /// A command and ssh are open as soon as they are started; that they cannot connect shows in
    /// their output and in their end. Start them from a thread that lives as long as the program:
    /// see [`crate::process`].
    ///
    /// # Errors
    /// As each kind of console says; `Timeout` when `deadline` passes first.
    pub async fn open(
        &self,
        epoch: EpochCounter,
        deadline: Instant,
    ) -> Result<Box<dyn Console>, HalError> {
        fn fenced(console: impl Console + 'static, epoch: &EpochCounter) -> Box<dyn Console> {
            Box::new(Fenced::new(console, epoch.clone()))
        }
        let same = epoch.clone();
        Ok(match self {
            Self::Serial { node, settings } => {
                let console = SerialConsole::open_by(node, settings, same, deadline);
                fenced(console.await?, &epoch)
            }
            Self::Tcp(address) => {
                let address = address.to_string();
                fenced(TcpConsole::connect(&address, same, deadline).await?, &epoch)
            }
            Self::Telnet(address) => {
                let address = address.to_string();
                fenced(
                    TelnetConsole::connect(&address, same, deadline).await?,
                    &epoch,
                )
            }
            Self::Rfc2217 { address, settings } => {
                let address = address.to_string();
                let console = Rfc2217Console::connect(&address, settings, same, deadline);
                fenced(console.await?, &epoch)
            }
            Self::Ssh(options) => fenced(on_terminal(options.command_line(), same)?, &epoch),
            Self::Command(line) => fenced(on_terminal(line.clone(), same)?, &epoch),
        })
    }
}

fn on_terminal(line: CommandLine, epoch: EpochCounter) -> Result<PtyConsole, HalError> {
    let options = PtyOptions {
        epoch,
        ..PtyOptions::default()
    };
    PtyConsole::spawn(line, options)
}

impl FromStr for ConsoleTarget {
    type Err = HalError;

    fn from_str(address: &str) -> Result<Self, HalError> {
        check_length(address)?;
        if let Some(line) = address.strip_prefix("exec:") {
            let line = CommandLine::parse(line);
            return line.map(Self::Command).map_err(|error| {
                invalid(address, &format!("is not a command line: {error}"))
                    .with_hint("write exec: and the command, as in exec:telnet rack 7001")
            });
        }
        let Some((scheme, rest)) = address.split_once("://") else {
            return Err(no_scheme(address));
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let host_port = || {
            HostPort::parse(place).ok_or_else(|| {
                invalid(address, "needs a host and a port").with_hint(format!(
                    "as in {scheme}://rack:7001, or {scheme}://[2001:db8::1]:7001"
                ))
            })
        };
        match scheme {
            "serial" => serial(address, place, options),
            "tcp" | "telnet" => {
                Options::parse(address, options, &[])?;
                host_port().map(if scheme == "tcp" {
                    Self::Tcp
                } else {
                    Self::Telnet
                })
            }
            "rfc2217" => Ok(Self::Rfc2217 {
                address: host_port()?,
                settings: line_settings(address, options)?,
            }),
            "ssh" => ssh(address, place, options).map(Self::Ssh),
            other => Err(unknown_scheme(address, other)),
        }
    }
}

fn no_scheme(address: &str) -> HalError {
    let error = invalid(address, "does not say what kind it is");
    if address.starts_with('/') {
        return error.with_hint(format!("a serial port is written serial://{address}"));
    }
    match address.split_once(':') {
        Some((scheme, _)) if SCHEMES.contains(&scheme) => {
            error.with_hint(format!("write {scheme}://"))
        }
        _ => error.with_hint(format!("a command is written exec:{address}")),
    }
}

fn unknown_scheme(address: &str, scheme: &str) -> HalError {
    let what = format!("is of the unknown kind '{}'", scheme.escape_debug());
    let error = invalid(address, &what);
    match nearest::nearest(scheme, SCHEMES) {
        Some(meant) => error.with_hint(format!("did you mean '{meant}'?")),
        None => error.with_hint(format!("kinds are: {}", SCHEMES.join(", "))),
    }
}

fn serial(address: &str, place: &str, options: &str) -> Result<ConsoleTarget, HalError> {
    let node = decode(place).filter(|node| node.starts_with('/'));
    let node = node.ok_or_else(|| {
        invalid(address, "needs the path of a device node")
            .with_hint("three slashes, as in serial:///dev/ttyUSB0")
    })?;
    Ok(ConsoleTarget::Serial {
        node: node.into(),
        settings: line_settings(address, options)?,
    })
}

fn line_settings(address: &str, options: &str) -> Result<LineSettings, HalError> {
    let mut options = Options::parse(address, options, LINE_OPTIONS)?;
    let baud = |text: &str| {
        let baud: u32 = text.parse().ok()?;
        (1..=FASTEST_BAUD).contains(&baud).then_some(baud)
    };
    let on = |on| if on { "on" } else { "off" };
    let expected = format!("a speed from 1 to {FASTEST_BAUD}");
    Ok(LineSettings {
        baud: options.value("baud", &expected, baud)?,
        data_bits: options.word("data", DataBits::ALL, DataBits::as_str)?,
        parity: options.word("parity", Parity::ALL, Parity::as_str)?,
        stop_bits: options.word("stop", StopBits::ALL, StopBits::as_str)?,
        flow: options.word("flow", FlowControl::ALL, FlowControl::as_str)?,
        dtr: options.word("dtr", &[true, false], on)?,
        rts: options.word("rts", &[true, false], on)?,
    })
}

fn ssh(address: &str, place: &str, options: &str) -> Result<SshOptions, HalError> {
    let (user, place) = match place.rsplit_once('@') {
        Some((user, place)) => {
            let user = decode(user).filter(|user| is_user(user));
            let user = user.ok_or_else(|| invalid(address, "has a user that cannot be one"))?;
            (Some(user), place)
        }
        None => (None, place),
    };
    let (host, port) = split_port(place)
        .filter(|(host, _)| is_host(host))
        .ok_or_else(|| invalid(address, "needs a host, as in ssh://root@board:22"))?;
    let mut options = Options::parse(address, options, SSH_OPTIONS)?;
    let seconds = |text: &str| {
        let seconds: u64 = text.parse().ok()?;
        (1..=86_400)
            .contains(&seconds)
            .then(|| Duration::from_secs(seconds))
    };
    let host_key = options.word("host-key", HostKeyCheck::ALL, HostKeyCheck::as_str)?;
    let keepalive = options.value("keepalive", "a number of seconds", seconds)?;
    Ok(SshOptions {
        user,
        host: host.to_owned(),
        port,
        command: options.text("command"),
        identity: options.text("identity").map(PathBuf::from),
        known_hosts: options.text("known-hosts").map(PathBuf::from),
        host_key: host_key.unwrap_or_default(),
        keepalive: keepalive.unwrap_or(SshOptions::KEEPALIVE),
    })
}

/// It goes into an argument vector.
fn is_user(user: &str) -> bool {
    !user.is_empty() && !user.starts_with('-') && !user.chars().any(char::is_control)
}

impl fmt::Display for ConsoleTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { node, settings } => {
                write!(f, "serial://{}", Encoded(&node.to_string_lossy()))?;
                write_options(f, &line_options(settings))
            }
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Telnet(address) => write!(f, "telnet://{address}"),
            Self::Rfc2217 { address, settings } => {
                write!(f, "rfc2217://{address}")?;
                write_options(f, &line_options(settings))
            }
            Self::Ssh(options) => write_ssh(f, options),
            Self::Command(line) => write!(f, "exec:{line}"),
        }
    }
}

fn line_options(settings: &LineSettings) -> Vec<(&'static str, String)> {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let options = [
        ("baud", settings.baud.map(|baud| baud.to_string())),
        ("data", settings.data_bits.map(|bits| bits.to_string())),
        ("parity", settings.parity.map(|parity| parity.to_string())),
        ("stop", settings.stop_bits.map(|bits| bits.to_string())),
        ("flow", settings.flow.map(|flow| flow.to_string())),
        ("dtr", settings.dtr.map(on)),
        ("rts", settings.rts.map(on)),
    ];
    let given = options
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    given.collect()
}

fn write_ssh(f: &mut fmt::Formatter<'_>, ssh: &SshOptions) -> fmt::Result {
    f.write_str("ssh://")?;
    if let Some(user) = &ssh.user {
        write!(f, "{}@", Encoded(user))?;
    }
    write!(f, "{}", Host(&ssh.host))?;
    if let Some(port) = ssh.port {
        write!(f, ":{port}")?;
    }
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let differs = |differs: bool, value: String| differs.then_some(value);
    let check = ssh.host_key;
    let seconds = ssh.keepalive;
    let options = [
        ("command", ssh.command.clone()),
        ("identity", ssh.identity.as_ref().map(path)),
        ("known-hosts", ssh.known_hosts.as_ref().map(path)),
        (
            "host-key",
            differs(check != HostKeyCheck::default(), check.as_str().to_owned()),
        ),
        (
            "keepalive",
            differs(
                seconds != SshOptions::KEEPALIVE,
                seconds.as_secs().to_string(),
            ),
        ),
    ];
    let given: Vec<_> = options
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    write_options(f, &given)
}

fn write_options(f: &mut fmt::Formatter<'_>, options: &[(&str, String)]) -> fmt::Result {
    for (index, (name, value)) in options.iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        write!(f, "{separator}{name}={}", Encoded(value))?;
    }
    Ok(())
}

impl<'de> Deserialize<'de> for ConsoleTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = String::deserialize(deserializer)?;
        address
            .parse()
            .map_err(|error: HalError| match error.hint() {
                Some(hint) => D::Error::custom(format_args!("{error}: {hint}")),
                None => D::Error::custom(error),
            })
    }
}

#[cfg(test)]
mod tests;
