//! A board that has power: one QEMU process.

use crate::{
    cable::Cable,
    config::{BoardConfig, NetworkKind},
    network::Network,
    qmp::Qmp,
};
use hal::{
    ErrorKind, HalError,
    process::{Command, CommandLine, Running},
};
use serde_json::{Value, json};
use std::{path::Path, process::ExitStatus, time::Duration};
use tokio::{
    net::UnixListener,
    time::{Instant, timeout_at},
};

/// How long QEMU has to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// How long an answer of its monitor may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The first version of QEMU that counts the time between two attempts to connect in
/// milliseconds; others count seconds.
const RECONNECT_MS_SINCE: (u32, u32) = (9, 2);

/// QEMU's name of the network card, to pull its cable.
const LINK: &str = "net0";

/// What a machine is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a str,
    pub(crate) config: &'a BoardConfig,
    pub(crate) directory: &'a Path,
    pub(crate) cable: &'a Cable,
    pub(crate) network: Option<&'a Network>,
    /// How QEMU's option for connecting again reads: see [`reconnect_option`].
    pub(crate) reconnect: &'a str,
}

/// A running board. Dropping it is a power cut.
#[derive(Debug)]
pub(crate) struct Machine {
    running: Running,
    qmp: Qmp,
}

impl Machine {
    /// Starts a board. It executes its first instruction only when its console is connected, so
    /// that no byte of its firmware is lost.
    ///
    /// # Errors
    /// What QEMU said when it ended at once; `Timeout`.
    pub(crate) async fn start(parts: Parts<'_>, deadline: Instant) -> Result<Self, HalError> {
        let Parts {
            name,
            directory,
            cable,
            ..
        } = parts;
        let monitor = directory.join("monitor.socket");
        // Left by the life before.
        let _ = fs_err::remove_file(&monitor);
        let failed =
            |doing: &str, error| HalError::from_io(doing, format!("board '{name}'"), error);
        let listener = UnixListener::bind(&monitor).map_err(|error| failed("listen to", error))?;
        let log = directory.join("qemu.log");
        let output = fs_err::File::create(&log).map_err(|error| failed("log", error))?;
        let mut connections = cable.connections();
        connections.mark_unchanged();
        let line = command_line(parts, &monitor)?;
        let mut running = Command::new(line).spawn(Some(output.into()))?;
        let accepted = tokio::select! {
            accepted = timeout_at(deadline, listener.accept()) => accepted,
            status = running.exited() => return Err(ended_at_once(name, status?, &log)),
        };
        let stream = match accepted {
            Ok(accepted) => accepted.map_err(|error| failed("talk to", error))?.0,
            Err(_) => {
                let message = format!("board '{name}' did not start in time");
                return Err(HalError::new(ErrorKind::Timeout, name, message));
            }
        };
        let qmp = Qmp::greet(stream, name, deadline).await?;
        let mut machine = Self { running, qmp };
        let connected = timeout_at(deadline, connections.changed()).await;
        if !matches!(connected, Ok(Ok(()))) {
            let message = format!("board '{name}' did not connect its console in time");
            return Err(HalError::new(ErrorKind::Timeout, name, message));
        }
        machine.execute("cont", &json!({})).await?;
        Ok(machine)
    }

    /// Cuts the power.
    pub(crate) async fn cut(mut self) -> Result<(), HalError> {
        self.running.stop(Duration::ZERO).await.map(drop)
    }

    /// How it ended, if it ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.running.try_exit().ok().flatten()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Pulls its reset line. A board that hangs runs again.
    pub(crate) async fn reset(&mut self) -> Result<(), HalError> {
        self.execute("system_reset", &json!({})).await?;
        self.set_running(true).await
    }

    /// Hangs it, or lets it go on.
    pub(crate) async fn set_running(&mut self, running: bool) -> Result<(), HalError> {
        let command = if running { "cont" } else { "stop" };
        self.execute(command, &json!({})).await.map(drop)
    }

    /// Whether it executes instructions.
    pub(crate) async fn is_running(&mut self) -> Result<bool, HalError> {
        let status = self.execute("query-status", &json!({})).await?;
        Ok(status["running"] == Value::Bool(true))
    }

    /// Plugs its network cable in, or pulls it.
    pub(crate) async fn set_link(&mut self, up: bool) -> Result<(), HalError> {
        let arguments = json!({ "name": LINK, "up": up });
        self.execute("set_link", &arguments).await.map(drop)
    }

    async fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, HalError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        self.qmp.execute(command, arguments, deadline).await
    }
}

/// The option for connecting again, in the words of the QEMU that is installed.
pub(crate) async fn reconnect_option(program: &str) -> Result<&'static str, HalError> {
    let line = CommandLine::new(program).arg("--version");
    let output = Command::new(line)
        .output(Instant::now() + VERSION_WITHIN)
        .await?;
    let version = parse_version(&String::from_utf8_lossy(&output.stdout)).unwrap_or((0, 0));
    Ok(if version >= RECONNECT_MS_SINCE {
        "reconnect-ms=100"
    } else {
        "reconnect=1"
    })
}

/// From "QEMU emulator version 7.2.22 (Debian …)".
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text
        .split_whitespace()
        .skip_while(|word| *word != "version")
        .nth(1)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn command_line(parts: Parts<'_>, monitor: &Path) -> Result<CommandLine, HalError> {
    let config = parts.config;
    let firmware = config.firmware.as_deref().unwrap_or(Path::new(""));
    let fill = |argument: &String| {
        argument
            .replace("{firmware}", &firmware.display().to_string())
            .replace("{directory}", &parts.directory.display().to_string())
    };
    let (console, reconnect) = (parts.cable.socket().display(), parts.reconnect);
    let mut line = match (parts.network, &config.network) {
        (Some(bridge), Some(network)) if network.kind == NetworkKind::Bridge => {
            bridge.enter().arg(&config.program)
        }
        _ => CommandLine::new(&config.program),
    };
    line = line
        .args(config.arguments.iter().map(fill))
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-S"])
        .args([
            "-chardev",
            &format!("socket,id=console,path={console},{reconnect}"),
        ])
        .args(["-serial", "chardev:console"])
        .args([
            "-chardev",
            &format!("socket,id=monitor,path={}", monitor.display()),
        ])
        .args(["-mon", "chardev=monitor,mode=control"]);
    if let Some(network) = &config.network {
        let outlet = config.outlet;
        let mut backend = match (network.kind, parts.network) {
            (NetworkKind::User, _) => format!("user,id={LINK}"),
            (NetworkKind::Bridge, Some(bridge)) => {
                let tap = bridge.tap(outlet);
                format!("tap,id={LINK},ifname={tap},script=no,downscript=no")
            }
            (NetworkKind::Bridge, None) => {
                let name = parts.name;
                let message = format!("board '{name}' needs the rack's bridge");
                return Err(HalError::new(ErrorKind::Unsupported, name, message)
                    .with_hint("the rack makes one when it is started as root"));
            }
        };
        for option in &network.options {
            backend = format!("{backend},{option}");
        }
        // 52:54:00 is QEMU's own range; the outlet makes it unique within the rack.
        let card = format!(
            "{},netdev={LINK},mac=52:54:00:72:00:{outlet:02x}",
            network.device
        );
        line = line.args(["-netdev", &backend, "-device", &card]);
    }
    Ok(line)
}

/// The error about QEMU ending before it ran, with the end of what it said.
fn ended_at_once(name: &str, status: ExitStatus, log: &Path) -> HalError {
    let said = fs_err::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(500)..]).into_owned();
    let message = format!(
        "board '{name}' ended at once with {status}: {}",
        said.trim()
    );
    HalError::new(ErrorKind::CommandFailed, name, message)
        .with_hint(format!("all it said is in {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_qemu() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright (c) 2003-2022";
        assert_eq!(parse_version(debian), Some((7, 2)));
        assert_eq!(
            parse_version("QEMU emulator version 10.0.2 (v10)"),
            Some((10, 0))
        );
        assert_eq!(parse_version("QEMU emulator version"), None);
        assert_eq!(parse_version("version x.y"), None);
    }
}
