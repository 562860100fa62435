//! pdudaemon's `localcmdline`: commands of the lab that switch an outlet.
//!
//! pdudaemon gives them to a shell. The model `command` takes argument vectors, and what needs a
//! shell is refused when the configuration is read. A command that fails is a request that failed.

use hal::{HalError, lab::PduConfig, process::CommandLine};
use serde_json::{Map, Value};

/// What a shell gives a meaning to outside of quotes.
const OF_SHELLS: &str = "|&;<>()$`*?[]{}~#!\n";

/// What it gives a meaning to within double quotes.
const OF_SHELLS_QUOTED: &str = "$`!";

/// The place that the model `command` fills with the outlet's name.
const OUTLET: &str = "{outlet}";

/// Makes `config` one of the model `command` from `cmd_on` and `cmd_off`.
pub(super) fn fill(config: &mut PduConfig, settings: &Map<String, Value>) -> Result<(), HalError> {
    for (key, option) in [("cmd_on", "on"), ("cmd_off", "off")] {
        let text = settings.get(key).and_then(Value::as_str);
        let text = text.ok_or_else(|| config.invalid(&format!("'{key}' is missing")))?;
        let words = words(text).map_err(|what| {
            config.invalid(&format!("{key}: {what}")).with_hint(
                "no shell runs it: put what needs one into a script, and name the script here",
            )
        })?;
        config.options.insert(option.to_owned(), words.into());
    }
    "command".clone_into(&mut config.model);
    Ok(())
}

/// Splits as a shell would, and refuses what only a shell can do.
fn words(text: &str) -> Result<Vec<String>, String> {
    if let Some(special) = special(text) {
        return Err(format!("'{special}' means something to a shell only"));
    }
    if text.contains(['{', '}']) {
        return Err("braces cannot be part of a command here".to_owned());
    }
    let line = CommandLine::parse(text).map_err(|error| error.to_string())?;
    let words = line.words().map(|word| word.to_string_lossy().into_owned());
    words.map(|word| substitute(&word)).collect()
}

/// Python's `%`: `%s` and `%d` are the outlet, `%%` is one `%`.
fn substitute(word: &str) -> Result<String, String> {
    let mut parts = word.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        match part.chars().next() {
            Some('s' | 'd') => {
                text.push_str(OUTLET);
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
        assert_eq!(substitute("a%sb%d%%").unwrap(), "a{outlet}b{outlet}%");
        for bad in ["%", "%x", "a%"] {
            assert!(substitute(bad).is_err(), "{bad}");
        }
        assert_eq!(
            words("relay 'to on' %s").unwrap(),
            ["relay", "to on", "{outlet}"]
        );
        assert!(words("relay '{x}'").is_err());
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

    proptest! {
        #[test]
        fn no_command_is_too_much(text in "\\PC{0,60}") {
            let _ = words(&text);
        }
    }
}
