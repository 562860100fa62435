//! PDUs that are switched by a program: ipmitool, uhubctl, a vendor's tool, or the lab's own.
//!
//! A row is argument vectors with places (`{host}`, `{outlet}`, options of its own). There is never
//! a shell, and a value stays inside the argument it was put in. Passwords go to the program by
//! its environment, never by an argument. A status other than zero is an error with what the
//! program said; one pattern each tells "on" and "off" in the output of `state`.
//!
//! The model `command` has no vectors: the lab file's options give them.
//!
//! ```toml
//! [pdu.rack2]
//! model = "command"
//! options = { on = ["dut-power", "on", "{outlet}"], off = ["dut-power", "off", "{outlet}"] }
//! ```

mod row;

use crate::{
    error::{ErrorKind, HalError},
    lab::{PduConfig, Secret},
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
    process::{Command, CommandLine, Leftovers, Output},
};
use async_trait::async_trait;
use row::{Line, Row, RowText, Values, fill};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The family.
pub(super) static COMMAND: Family = Family {
    name: "command",
    description: "programs that switch: ipmitool, uhubctl, tools of vendors and of the lab",
    table: include_str!("../../tables/command.toml"),
    parse: |row| {
        let text: RowText = row
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        Ok(Arc::new(Model(text.compile()?)))
    },
};

/// The time of one command where the lab file says none: a BMC that is asked three times.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much a command may print.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// How much of what a command printed is in an error.
const SHOWN: usize = 300;

struct Model(Row);

/// The vectors of a lab file for the model that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Own {
    on: OwnLine,
    off: OwnLine,
    reset: Option<OwnLine>,
    state: Option<OwnLine>,
    state_on: Option<String>,
    state_off: Option<String>,
}

/// A list of words, or one text that is split as a shell would split it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a command is a list of words, or one text")]
enum OwnLine {
    Words(Vec<String>),
    Text(String),
}

impl OwnLine {
    fn into_line(self) -> Result<toml::Value, HalError> {
        let words = match self {
            Self::Words(words) => words,
            Self::Text(text) => {
                let line = CommandLine::parse(&text)?;
                line.words()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect()
            }
        };
        Ok(toml::Value::Array(
            words.into_iter().map(toml::Value::String).collect(),
        ))
    }
}

impl Own {
    fn into_row(self, config: &PduConfig) -> Result<Row, HalError> {
        let mut row = toml::Table::new();
        let lines = [("on", Some(self.on)), ("off", Some(self.off))];
        let more = [("reset", self.reset), ("state", self.state)];
        for (key, line) in lines.into_iter().chain(more) {
            if let Some(line) = line {
                row.insert(key.to_owned(), line.into_line()?);
            }
        }
        for (key, pattern) in [("state-on", self.state_on), ("state-off", self.state_off)] {
            if let Some(pattern) = pattern {
                row.insert(key.to_owned(), pattern.into());
            }
        }
        let text: RowText = row.try_into().map_err(|error: toml::de::Error| {
            config.invalid(&format!("options: {}", error.to_string().trim_end()))
        })?;
        text.compile()
            .map_err(|what| config.invalid(&format!("options: {what}")))
    }
}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let (row, options) = if self.0.on.is_none() {
            (config.options::<Own>()?.into_row(config)?, Values::new())
        } else {
            (self.0.clone(), self.options(config)?)
        };
        let mut values = options;
        if let Some(address) = &config.address {
            let (host, port) = split_address(address);
            let port = port
                .map(str::to_owned)
                .or(row.port.map(|port| port.to_string()));
            values.insert("address".to_owned(), address.clone());
            values.insert("host".to_owned(), host.to_owned());
            values.insert("port".to_owned(), port.unwrap_or_default());
        }
        if let Some(username) = &config.username {
            values.insert("username".to_owned(), username.clone());
        }
        for need in &row.needs {
            let there =
                values.contains_key(need) || (need == "password" && config.password.is_some());
            if !there {
                return Err(config.invalid(&format!("model '{}' needs '{need}'", config.model)));
            }
        }
        let pdu = CommandPdu {
            name: config.name.clone(),
            timeout: config.timeout.unwrap_or(TIMEOUT),
            row,
            values,
            password: config.password.clone(),
        };
        pdu.check(config)?;
        Ok(Box::new(pdu))
    }

    fn reads_back(&self) -> bool {
        self.0.state.is_some()
    }
}

impl Model {
    /// The row's options, with the lab file's in their place.
    fn options(&self, config: &PduConfig) -> Result<Values, HalError> {
        let mut values = self.0.options.clone();
        for (key, value) in &config.options {
            let Some(known) = values.get_mut(key) else {
                let known: Vec<_> = self.0.options.keys().map(String::as_str).collect();
                let hint = format!("its options are: {}", known.join(", "));
                return Err(config
                    .invalid(&format!("there is no option '{key}'"))
                    .with_hint(hint));
            };
            *known = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                _ => return Err(config.invalid(&format!("option '{key}' has to be text"))),
            };
        }
        Ok(values)
    }
}

struct CommandPdu {
    name: String,
    timeout: Duration,
    row: Row,
    values: Values,
    password: Option<Secret>,
}

impl CommandPdu {
    /// What the lab file lacks is told when it is read, not when a board has to be switched.
    fn check(&self, config: &PduConfig) -> Result<(), HalError> {
        let values = self.values_for("1");
        let lines = [
            &self.row.before,
            &self.row.on,
            &self.row.off,
            &self.row.state,
        ];
        for line in lines.into_iter().flatten() {
            line.words(&values).map_err(|what| config.invalid(&what))?;
        }
        Ok(())
    }

    fn values_for(&self, outlet: &str) -> Values {
        let mut values = self.values.clone();
        values.insert("outlet".to_owned(), outlet.to_owned());
        values
    }

    fn values(&self, outlet: &Outlet) -> Result<Values, HalError> {
        if let Some(last) = self.row.outlets {
            outlet.number(&self.name, 1, last)?;
        }
        Ok(self.values_for(outlet.as_str()))
    }

    /// Runs a command to its end; what it printed.
    async fn run(
        &self,
        line: &Line,
        values: &Values,
        deadline: Instant,
    ) -> Result<String, HalError> {
        let words = line.words(values).map_err(|what| self.invalid(&what))?;
        let line = CommandLine::from_words(words).ok_or_else(|| self.invalid("no command"))?;
        let mut command = Command::new(line)
            .leftovers(Leftovers::Kill)
            .output_limit(OUTPUT_LIMIT);
        for (name, value) in &self.row.environment {
            let mut values = values.clone();
            if let Some(password) = &self.password {
                values.insert("password".to_owned(), password.expose().to_owned());
            }
            // A variable whose value nobody gave is not set.
            if let Ok(value) = fill_secret(value, &values) {
                command = command.env(name, value);
            }
        }
        let deadline = deadline.min(Instant::now() + self.timeout);
        let output = command.output(deadline).await?;
        if output.exit.success() {
            Ok(self.printed(&output))
        } else {
            Err(self.failed(&command, &output))
        }
    }

    fn failed(&self, command: &Command, output: &Output) -> HalError {
        let printed = self.printed(output);
        let failure = command.failure(&output.exit);
        let kind = self
            .row
            .failure(&printed)
            .unwrap_or(ErrorKind::CommandFailed);
        let mut said: Vec<&str> = printed
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        said.dedup();
        let said: String = said.join("; ").chars().take(SHOWN).collect();
        let message = format!("PDU '{}': {failure}: {}", self.name, said.escape_debug());
        let hint = match kind {
            ErrorKind::PermissionDenied => "look at 'username' and 'password' in the lab file",
            ErrorKind::Closed => "is the address right, and does the device answer there?",
            _ => "run it by hand as the same user",
        };
        HalError::new(kind, &self.name, message).with_hint(hint)
    }

    /// Standard output, then error, without the password.
    fn printed(&self, output: &Output) -> String {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        match &self.password {
            Some(password) if !password.expose().is_empty() => {
                text.replace(password.expose(), "(password)")
            }
            _ => text,
        }
    }

    fn invalid(&self, what: &str) -> HalError {
        let message = format!("PDU '{}': {what}", self.name);
        HalError::new(ErrorKind::InvalidInput, &self.name, message)
    }
}

#[async_trait]
impl Pdu for CommandPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let values = self.values(outlet)?;
        let line = match to {
            PowerState::On => &self.row.on,
            PowerState::Off => &self.row.off,
        };
        if let Some(before) = &self.row.before {
            self.run(before, &values, deadline).await?;
        }
        match line {
            Some(line) => self.run(line, &values, deadline).await.map(drop),
            None => Err(self.invalid(&format!("it has no command to switch {to}"))),
        }
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let values = self.values(outlet)?;
        let Some(line) = &self.row.state else {
            return Ok(None);
        };
        let printed = self.run(line, &values, deadline).await?;
        let state = self.row.state(&printed, &values);
        state.map(Some).ok_or_else(|| {
            let said: String = printed.trim().chars().take(SHOWN).collect();
            let said = said.escape_debug();
            let message = format!("PDU '{}' says neither on nor off: {said}", self.name);
            HalError::new(ErrorKind::Protocol, &self.name, message)
                .with_hint("look at 'state-on' and 'state-off' of its model")
        })
    }

    async fn reboot(&mut self, outlet: &Outlet, deadline: Instant) -> Result<bool, HalError> {
        let values = self.values(outlet)?;
        match &self.row.reset {
            Some(line) => self.run(line, &values, deadline).await.map(|_| true),
            None => Ok(false),
        }
    }
}

/// A value of the environment: a password may begin with a hyphen.
fn fill_secret(text: &str, values: &Values) -> Result<String, String> {
    match text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        Some(place) if !place.contains(['{', '}']) => values
            .get(place)
            .cloned()
            .ok_or_else(|| format!("it needs '{place}'")),
        _ => fill(text, values),
    }
}

/// Host and port of "host", "host:623", `[fe80::1]:623`, `fe80::1`.
fn split_address(address: &str) -> (&str, Option<&str>) {
    if let Some(rest) = address.strip_prefix('[')
        && let Some((host, rest)) = rest.split_once(']')
    {
        return (host, rest.strip_prefix(':'));
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests;
