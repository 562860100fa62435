//! pdudaemon's `localcmdline`: commands of the lab that switch an outlet.
//!
//! pdudaemon gives them to a shell. Here they are argument vectors, and what needs a shell is
//! refused when the configuration is read. A command that fails is a request that failed.

use async_trait::async_trait;
use hal::{
    HalError,
    lab::PduConfig,
    power::{Outlet, Pdu, PowerState},
    process::{Command, CommandLine, Leftovers},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// What a shell gives a meaning to outside of quotes.
const OF_SHELLS: &str = "|&;<>()$`*?[]{}~#!\n";

/// What it gives a meaning to within double quotes.
const OF_SHELLS_QUOTED: &str = "$`!";

/// A PDU that two commands switch.
struct Local {
    on: Template,
    off: Template,
}

/// A command line with places for the outlet's name.
struct Template(Vec<String>);

/// Reads `cmd_on` and `cmd_off`.
pub(super) fn open(
    config: &PduConfig,
    settings: &Map<String, Value>,
) -> Result<Box<dyn Pdu>, HalError> {
    let command = |key: &str| {
        let text = settings.get(key).and_then(Value::as_str);
        let text = text.ok_or_else(|| config.invalid(&format!("'{key}' is missing")))?;
        Template::parse(text).map_err(|what| {
            config.invalid(&format!("{key}: {what}")).with_hint(
                "no shell runs it: put what needs one into a script, and name the script here",
            )
        })
    };
    Ok(Box::new(Local {
        on: command("cmd_on")?,
        off: command("cmd_off")?,
    }))
}

#[async_trait]
impl Pdu for Local {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let template = match to {
            PowerState::On => &self.on,
            PowerState::Off => &self.off,
        };
        let command = Command::new(template.fill(outlet)?).leftovers(Leftovers::Leave);
        let mut last = String::new();
        let exit = command
            .run(deadline, |line| {
                last = String::from_utf8_lossy(line).into_owned();
            })
            .await?;
        if exit.success() {
            return Ok(());
        }
        let failure = command.failure(&exit);
        if last.is_empty() {
            return Err(failure);
        }
        Err(failure.with_hint(format!("it said: {}", last.escape_debug())))
    }
}

impl Template {
    /// Splits as a shell would, and refuses what only a shell can do.
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(special) = special(text) {
            return Err(format!("'{special}' means something to a shell only"));
        }
        let line = CommandLine::parse(text).map_err(|error| error.to_string())?;
        let words = line.words().map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> = words.collect();
        for word in &words {
            substitute(word, "1")?;
        }
        Ok(Self(words))
    }

    fn fill(&self, outlet: &Outlet) -> Result<CommandLine, HalError> {
        let invalid = |what| HalError::new(hal::ErrorKind::InvalidInput, "localcmdline", what);
        let words: Result<Vec<String>, String> = self
            .0
            .iter()
            .map(|word| substitute(word, outlet.as_str()))
            .collect();
        CommandLine::from_words(words.map_err(invalid)?)
            .ok_or_else(|| invalid("the command is empty".to_owned()))
    }
}

/// Python's `%`: `%s` and `%d` are the outlet, `%%` is one `%`.
fn substitute(word: &str, outlet: &str) -> Result<String, String> {
    let mut parts = word.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        match part.chars().next() {
            Some('s' | 'd') => {
                text.push_str(outlet);
                text.push_str(&part[1..]);
            }
            None => {
                text.push('%');
                text.push_str(parts.next().ok_or("'%' at its end means nothing")?);
            }
            Some(other) => return Err(format!("'%{other}' means nothing; %s is the outlet")),
        }
    }
    Ok(text)
}

/// The first character that a shell would act on.
fn special(text: &str) -> Option<char> {
    let mut characters = text.chars();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None | Some('"'), '\\') => {
                characters.next();
            }
            (None, _) if OF_SHELLS.contains(character) => return Some(character),
            (Some('"'), _) if OF_SHELLS_QUOTED.contains(character) => return Some(character),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_for_the_outlet() {
        assert_eq!(substitute("a%sb%d%%", "7").unwrap(), "a7b7%");
        for bad in ["%", "%x", "a%"] {
            assert!(substitute(bad, "7").is_err(), "{bad}");
        }
    }

    #[test]
    fn what_needs_a_shell_is_found() {
        for (text, found) in [
            ("relay on %s", None),
            ("relay 'a;b' \"c;d\" e\\;f", None),
            ("relay on %s; sleep 1", Some(';')),
            ("relay $HOME", Some('$')),
            ("relay \"$HOME\"", Some('$')),
            ("relay '$HOME'", None),
            ("relay on > /dev/null", Some('>')),
            ("relay `date`", Some('`')),
        ] {
            assert_eq!(special(text), found, "{text}");
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_is_reported() {
        let config = PduConfig {
            name: "local".to_owned(),
            ..PduConfig::default()
        };
        let settings =
            serde_json::json!({"cmd_on": "true %s", "cmd_off": "sh -c 'echo no relay %s; exit 3'"});
        let mut pdu = open(&config, settings.as_object().unwrap()).unwrap();
        let deadline = Instant::now() + std::time::Duration::from_secs(20);
        let outlet = "4".parse().unwrap();
        pdu.switch(&outlet, PowerState::On, deadline).await.unwrap();
        let error = pdu
            .switch(&outlet, PowerState::Off, deadline)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), hal::ErrorKind::CommandFailed);
        assert_eq!(error.hint(), Some("it said: no relay 4"));
    }

    proptest! {
        #[test]
        fn no_command_is_too_much(text in "\\PC{0,60}") {
            if let Ok(template) = Template::parse(&text) {
                template.fill(&"3".parse().unwrap()).unwrap();
            }
        }
    }
}
