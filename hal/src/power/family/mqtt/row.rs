//! What a row of the table says, and the topics that it makes for an outlet. The keys are
//! explained at the head of the table.

use crate::power::PowerState;
use serde::Deserialize;

/// The longest topic that we use.
const LONGEST_TOPIC: usize = 1024;

/// A model, or a PDU of one with its options.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Row {
    pub(super) port: Option<u16>,
    pub(super) outlets: Option<[u32; 2]>,
    topic: Option<String>,
    pub(super) command: Option<String>,
    on: Option<String>,
    off: Option<String>,
    query_topic: Option<String>,
    pub(super) query: Option<String>,
    pub(super) state: Option<String>,
    first_state: Option<String>,
    pointer: Option<String>,
    state_on: Option<String>,
    state_off: Option<String>,
    online: Option<String>,
    offline: Option<String>,
}

/// What is published and subscribed for one outlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topics {
    pub(super) command: String,
    pub(super) query: String,
    pub(super) state: Vec<String>,
    pub(super) online: Option<String>,
}

impl Row {
    /// Finds mistakes that no lab file can cure.
    pub(super) fn check(&self) -> Result<(), String> {
        for text in [
            &self.command,
            &self.query_topic,
            &self.state,
            &self.first_state,
            &self.online,
        ]
        .into_iter()
        .flatten()
        {
            self.fill(text, "1", "topic")?;
        }
        if self.online.is_some() != self.offline.is_some() {
            return Err("'online' goes with 'offline'".to_owned());
        }
        if self.first_state.is_some() && self.state.is_none() {
            return Err("'first-state' goes with 'state'".to_owned());
        }
        Ok(())
    }

    /// The topics of `outlet`.
    pub(super) fn topics(&self, outlet: &str) -> Result<Topics, String> {
        let own = match &self.topic {
            Some(topic) => topic.as_str(),
            None if self.uses_own_topic() => {
                return Err("needs the option 'topic': the name that the plug has there".to_owned());
            }
            None => "",
        };
        let fill = |text: &String| self.fill(text, outlet, own);
        let command = self.command.as_ref();
        let command = fill(command.ok_or("needs the option 'command': the topic that switches")?)?;
        let first = self.first_state.iter().filter(|_| outlet == "1");
        Ok(Topics {
            query: self
                .query_topic
                .as_ref()
                .map_or(Ok(command.clone()), fill)?,
            command,
            state: self
                .state
                .iter()
                .chain(first)
                .map(fill)
                .collect::<Result<_, _>>()?,
            online: self.online.as_ref().map(fill).transpose()?,
        })
    }

    fn uses_own_topic(&self) -> bool {
        let all = [&self.command, &self.query_topic, &self.state, &self.online];
        all.into_iter()
            .flatten()
            .any(|text| text.contains("{topic}"))
    }

    fn fill(&self, text: &str, outlet: &str, own: &str) -> Result<String, String> {
        let filled = text.replace("{outlet}", outlet).replace("{topic}", own);
        if filled.contains(['{', '}']) {
            return Err(format!(
                "'{text}': the only places are {{topic}} and {{outlet}}"
            ));
        }
        if filled.is_empty() || filled.len() > LONGEST_TOPIC || filled.contains(['+', '#', '\0']) {
            return Err(format!(
                "'{text}' makes no topic: '{}'",
                filled.escape_debug()
            ));
        }
        Ok(filled)
    }

    /// What is published to switch.
    pub(super) fn payload(&self, to: PowerState) -> &str {
        match to {
            PowerState::On => self.on.as_deref().unwrap_or("ON"),
            PowerState::Off => self.off.as_deref().unwrap_or("OFF"),
        }
    }

    /// The state that a message tells; `None` when it tells none.
    pub(super) fn told(&self, payload: &[u8]) -> Option<PowerState> {
        let word = match &self.pointer {
            None => std::str::from_utf8(payload).ok()?.trim().to_owned(),
            Some(pointer) => {
                let json: serde_json::Value = serde_json::from_slice(payload).ok()?;
                match json.pointer(pointer)? {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                }
            }
        };
        [
            (PowerState::On, &self.state_on),
            (PowerState::Off, &self.state_off),
        ]
        .into_iter()
        .find(|(state, shown)| {
            let shown = shown.as_deref().unwrap_or_else(|| self.payload(*state));
            word.eq_ignore_ascii_case(shown)
        })
        .map(|(state, _)| state)
    }

    /// Whether a message on the topic `online` says that the plug is gone.
    pub(super) fn is_offline(&self, payload: &[u8]) -> bool {
        let offline = self.offline.as_deref().unwrap_or_default();
        payload.eq_ignore_ascii_case(offline.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        toml::from_str(text).unwrap()
    }

    const PLUG: &str = "command = 'cmnd/{topic}/POWER{outlet}'\n\
                        state = 'stat/{topic}/POWER{outlet}'\n\
                        first-state = 'stat/{topic}/POWER'\n";

    #[test]
    fn topics_are_filled() {
        let row = row(&format!("topic = 'plug7'\nquery = ''\n{PLUG}"));
        let topics = row.topics("1").unwrap();
        assert_eq!(topics.command, "cmnd/plug7/POWER1");
        assert_eq!(topics.query, topics.command);
        assert_eq!(topics.state, ["stat/plug7/POWER1", "stat/plug7/POWER"]);
        assert_eq!(row.topics("2").unwrap().state, ["stat/plug7/POWER2"]);
    }

    #[test]
    fn mistakes_are_told() {
        let error = |text: &str| {
            let row = row(text);
            row.check().and_then(|()| row.topics("1")).unwrap_err()
        };
        assert!(error(PLUG).contains("option 'topic'"));
        assert!(error("on = '1'").contains("option 'command'"));
        assert!(error("command = 'a/{name}'").contains("only places"));
        assert!(error("command = 'a/#'").contains("makes no topic"));
        assert!(error("command = ''").contains("makes no topic"));
        assert!(error("command = 'a'\nonline = 'b'").contains("'offline'"));
        let wild = format!("topic = '+'\n{PLUG}");
        assert!(error(&wild).contains("makes no topic"));
    }

    #[test]
    fn states_are_read() {
        let plain = row("command = 'a'");
        assert_eq!(plain.told(b"ON"), Some(PowerState::On));
        assert_eq!(plain.told(b" off\n"), Some(PowerState::Off));
        assert_eq!(plain.told(b"HOLD"), None);
        assert_eq!(plain.told(b"\xFF"), None);
        let json = row("pointer = '/state/on'\nstate-on = 'true'\nstate-off = 'false'");
        assert_eq!(json.told(br#"{"state":{"on":true}}"#), Some(PowerState::On));
        assert_eq!(
            json.told(br#"{"state":{"on":"FALSE"}}"#),
            Some(PowerState::Off)
        );
        assert_eq!(json.told(b"{"), None);
    }
}
