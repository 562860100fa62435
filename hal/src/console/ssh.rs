//! A console through ssh: the system's `ssh` on a pseudo-terminal, with an argument vector.
//!
//! Its own configuration (`~/.ssh/config`, agents, jump hosts) holds. It never asks anything: a
//! password, a passphrase or an unknown host key is an error, which it prints as the console's
//! output before it ends with status 255.

use crate::process::CommandLine;
use std::{path::PathBuf, time::Duration};

/// Intervals without an answer after which ssh gives the connection up.
const KEEPALIVE_COUNT: u32 = 3;

/// What to do about the key of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostKeyCheck {
    /// Only a host whose key is known. The default.
    #[default]
    Strict,
    /// A new host's key is written down; a key that changed is refused.
    AcceptNew,
    /// Any key: for boards that make a new one at each boot.
    Off,
}

impl HostKeyCheck {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Strict, Self::AcceptNew, Self::Off];

    /// Its word in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::AcceptNew => "accept-new",
            Self::Off => "off",
        }
    }

    /// Its word for ssh.
    fn option(self) -> &'static str {
        match self {
            Self::Strict => "yes",
            Self::AcceptNew => "accept-new",
            Self::Off => "no",
        }
    }
}

/// How to reach a console by ssh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshOptions {
    /// The login's name; ssh's own default when `None`.
    pub user: Option<String>,
    /// The host's name or address, or an alias of ssh's configuration.
    pub host: String,
    /// The port; ssh's own default when `None`.
    pub port: Option<u16>,
    /// What to run there, as the shell of the other side understands it: `picocom /dev/ttyS0`. A
    /// login shell when `None`.
    pub command: Option<String>,
    /// The private key; ssh's own choice when `None`.
    pub identity: Option<PathBuf>,
    /// The file of known hosts; ssh's own when `None`.
    pub known_hosts: Option<PathBuf>,
    /// What to do about the host's key.
    pub host_key: HostKeyCheck,
    /// How often to ask whether the other side still answers; the third silence ends the
    /// connection. In whole seconds.
    pub keepalive: Duration,
}

impl SshOptions {
    /// How often ssh asks whether the other side is there, unless said otherwise.
    pub const KEEPALIVE: Duration = Duration::from_secs(15);

    /// To `host`, with everything as ssh itself would have it.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            user: None,
            host: host.into(),
            port: None,
            command: None,
            identity: None,
            known_hosts: None,
            host_key: HostKeyCheck::default(),
            keepalive: Self::KEEPALIVE,
        }
    }

    /// The command that makes the connection.
    pub fn command_line(&self) -> CommandLine {
        // A terminal there, although ours may not look like one; no escape character, since `~`
        // is typed at boards.
        let mut line = CommandLine::new("ssh").args(["-tt", "-e", "none"]);
        let mut option = |name: &str, value: &str| {
            line = std::mem::replace(&mut line, CommandLine::new("ssh"))
                .arg("-o")
                .arg(format!("{name}={value}"));
        };
        option("BatchMode", "yes");
        option("ServerAliveInterval", &self.keepalive.as_secs().to_string());
        option("ServerAliveCountMax", &KEEPALIVE_COUNT.to_string());
        option("StrictHostKeyChecking", self.host_key.option());
        if let Some(file) = &self.known_hosts {
            option("UserKnownHostsFile", &quoted(&file.to_string_lossy()));
            // A host that is not in that file must not be vouched for by the system's.
            option("GlobalKnownHostsFile", "/dev/null");
        }
        if let Some(file) = &self.identity {
            option("IdentitiesOnly", "yes");
            line = line.arg("-i").arg(file);
        }
        if let Some(port) = self.port {
            line = line.arg("-p").arg(port.to_string());
        }
        if let Some(user) = &self.user {
            line = line.arg("-l").arg(user);
        }
        line = line.arg("--").arg(&self.host);
        match &self.command {
            Some(command) => line.arg(command),
            None => line,
        }
    }
}

/// ssh splits this option at blanks, and expands `%`, unless told otherwise.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('%', "%%").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_is_complete_and_nothing_can_pass_for_an_option() {
        let mut options = SshOptions::new("-oProxyCommand=evil");
        options.user = Some("-lroot".to_owned());
        options.command = Some("picocom -b 115200 /dev/ttyS0; true".to_owned());
        options.known_hosts = Some("/tmp/known hosts".into());
        options.port = Some(2222);
        assert_eq!(
            options.command_line().to_string(),
            "ssh -tt -e none -o BatchMode=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=3 \
             -o StrictHostKeyChecking=yes -o 'UserKnownHostsFile=\"/tmp/known hosts\"' \
             -o GlobalKnownHostsFile=/dev/null -p 2222 -l -lroot -- -oProxyCommand=evil \
             'picocom -b 115200 /dev/ttyS0; true'"
        );
    }
}
