//! A row of the table of dialogues.
//!
//! ```toml
//! port = 23                  # on TCP, when the address names none
//! telnet = true              # over TCP it is telnet; raw bytes by default
//! baud = 9600                # on a serial line
//! outlets = [1, 8]           # their numbers; any name by default
//! username = "apc"           # the factory's, when the lab file has none
//! password = "apc"
//! prompt = '[\r\n]> ?\z'     # what a menu ends with; needed for `choose` and `enter`
//! newline = "\r\n"           # what ends a choice
//! login = [{ expect = 'User Name\s*:', send = "{username}\r\n" }]
//! on = [{ send = "olOn {outlet}\r\n" }, { expect = 'E000' }]
//! off = []
//! reboot = []                # one request for off and on, where there is one
//! state = [{ expect = '{outlet}: (?:(?P<on>On)|(?P<off>Off))' }]
//! logout = [{ send = "exit\r\n" }]
//! meanwhile = [{ expect = 'Press <ENTER>', send = "\r\n" }]  # whenever it turns up
//! fail = [{ pattern = 'E102', kind = "outlet", means = "has no outlet {outlet}" }]
//! ```

use super::{
    super::line::Reach,
    template::{EXAMPLE, Template, compile},
};
use crate::error::ErrorKind;
use regex::bytes::Regex;
use serde::Deserialize;

/// A row, understood.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) reach: Reach,
    pub(super) outlets: Option<[u32; 2]>,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) prompt: Option<Template>,
    pub(super) newline: String,
    pub(super) login: Vec<Step>,
    pub(super) on: Vec<Step>,
    pub(super) off: Vec<Step>,
    pub(super) reboot: Vec<Step>,
    pub(super) state: Vec<Step>,
    pub(super) logout: Vec<Step>,
    pub(super) meanwhile: Vec<Reply>,
    pub(super) fail: Vec<Failure>,
}

/// One step of a dialogue.
#[derive(Debug)]
pub(super) enum Step {
    /// Waits for a pattern. Its groups `on` and `off`, or the bit `bit` of the hexadecimal number
    /// in its group `bits`, are the state. `denied` instead of it refuses the login.
    Expect {
        pattern: Template,
        denied: Option<Template>,
        bit: Option<Template>,
    },
    /// Types.
    Send(Template),
    /// Chooses the first of these entries that the menu has, by its text.
    Choose {
        entries: Vec<Regex>,
        named: String,
        /// The menu may lack it.
        optional: bool,
        /// What to type for the menu above this one, until one has it.
        back: Option<String>,
    },
    /// Chooses the entry with this number, unless its text matches `but`.
    Enter {
        number: Template,
        but: Option<Regex>,
    },
}

/// What to type whenever a pattern turns up.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) expect: Template,
    pub(super) send: Template,
}

/// What a PDU says when it does not do it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) pattern: Template,
    pub(super) kind: ErrorKind,
    pub(super) means: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RowTable {
    port: Option<u16>,
    #[serde(default)]
    telnet: bool,
    baud: Option<u32>,
    outlets: Option<[u32; 2]>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    prompt: Option<String>,
    #[serde(default = "newline")]
    newline: String,
    #[serde(default)]
    login: Vec<StepTable>,
    on: Vec<StepTable>,
    off: Vec<StepTable>,
    #[serde(default)]
    reboot: Vec<StepTable>,
    #[serde(default)]
    state: Vec<StepTable>,
    #[serde(default)]
    logout: Vec<StepTable>,
    #[serde(default)]
    meanwhile: Vec<StepTable>,
    #[serde(default)]
    fail: Vec<FailureTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct StepTable {
    expect: Option<String>,
    denied: Option<String>,
    bit: Option<String>,
    send: Option<String>,
    choose: Vec<String>,
    optional: bool,
    back: Option<String>,
    enter: Option<String>,
    but: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureTable {
    pattern: String,
    kind: FailureKind,
    means: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FailureKind {
    Busy,
    Failed,
    Outlet,
    Permission,
}

fn newline() -> String {
    "\r\n".to_owned()
}

impl Row {
    pub(super) fn parse(row: toml::Table) -> Result<Self, String> {
        let table = RowTable::deserialize(row).map_err(|error| error.to_string())?;
        if table.on.is_empty() || table.off.is_empty() {
            return Err("'on' and 'off' need at least one step each".to_owned());
        }
        let row = Self {
            reach: Reach {
                port: table.port,
                telnet: table.telnet,
                baud: table.baud,
            },
            outlets: table.outlets,
            username: table.username,
            password: table.password,
            prompt: table.prompt.as_deref().map(pattern).transpose()?,
            newline: table.newline,
            login: steps("login", table.login)?,
            on: steps("on", table.on)?,
            off: steps("off", table.off)?,
            reboot: steps("reboot", table.reboot)?,
            state: steps("state", table.state)?,
            logout: steps("logout", table.logout)?,
            meanwhile: replies(table.meanwhile)?,
            fail: failures(table.fail)?,
        };
        row.check()?;
        Ok(row)
    }

    /// What only the whole row shows.
    fn check(&self) -> Result<(), String> {
        let lists = [
            &self.login,
            &self.on,
            &self.off,
            &self.reboot,
            &self.state,
            &self.logout,
        ];
        let is_menu = |step: &Step| matches!(step, Step::Choose { .. } | Step::Enter { .. });
        if self.prompt.is_none() && lists.into_iter().flatten().any(is_menu) {
            return Err("'choose' and 'enter' need 'prompt'".to_owned());
        }
        if !self.state.is_empty() && !self.state.iter().any(Step::tells_state) {
            return Err(
                "'state' needs a pattern with the groups 'on' and 'off', or 'bits'".to_owned(),
            );
        }
        Ok(())
    }
}

impl Step {
    fn tells_state(&self) -> bool {
        let Self::Expect { pattern, bit, .. } = self else {
            return false;
        };
        let Some(pattern) = pattern.pattern(&EXAMPLE) else {
            return false;
        };
        let has = |name| pattern.capture_names().flatten().any(|known| known == name);
        (has("on") && has("off")) || (has("bits") && bit.is_some())
    }
}

impl StepTable {
    /// One table may wait and type: two steps.
    fn into_steps(self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        if let Some(expect) = &self.expect {
            steps.push(Step::Expect {
                pattern: pattern(expect)?,
                denied: self.denied.as_deref().map(pattern).transpose()?,
                bit: self
                    .bit
                    .as_deref()
                    .map(|bit| filled(&format!("{{{bit}}}")))
                    .transpose()?,
            });
        } else if self.denied.is_some() || self.bit.is_some() {
            return Err("'denied' and 'bit' go with 'expect'".to_owned());
        }
        if !self.choose.is_empty() {
            steps.push(Step::Choose {
                entries: self
                    .choose
                    .iter()
                    .map(|text| entry(text))
                    .collect::<Result<_, _>>()?,
                named: self.choose.join("' or '"),
                optional: self.optional,
                back: self.back,
            });
        } else if self.optional || self.back.is_some() {
            return Err("'optional' and 'back' go with 'choose'".to_owned());
        }
        if let Some(number) = &self.enter {
            steps.push(Step::Enter {
                number: filled(number)?,
                but: self.but.as_deref().map(entry).transpose()?,
            });
        } else if self.but.is_some() {
            return Err("'but' goes with 'enter'".to_owned());
        }
        if let Some(text) = &self.send {
            steps.push(Step::Send(filled(text)?));
        }
        if steps.is_empty() {
            return Err("a step has 'expect', 'send', 'choose' or 'enter'".to_owned());
        }
        Ok(steps)
    }
}

fn steps(list: &str, tables: Vec<StepTable>) -> Result<Vec<Step>, String> {
    let steps = tables.into_iter().map(StepTable::into_steps);
    let steps: Result<Vec<_>, String> = steps.collect();
    let steps = steps.map_err(|what| format!("{list}: {what}"))?;
    Ok(steps.into_iter().flatten().collect())
}

fn replies(tables: Vec<StepTable>) -> Result<Vec<Reply>, String> {
    let reply = |table: StepTable| match (table.expect, table.send) {
        (Some(expect), Some(send)) => Ok(Reply {
            expect: pattern(&expect)?,
            send: filled(&send)?,
        }),
        _ => Err("meanwhile: needs 'expect' and 'send'".to_owned()),
    };
    tables.into_iter().map(reply).collect()
}

fn failures(tables: Vec<FailureTable>) -> Result<Vec<Failure>, String> {
    let failure = |table: FailureTable| {
        Ok(Failure {
            pattern: pattern(&table.pattern)?,
            kind: match table.kind {
                FailureKind::Busy => ErrorKind::Busy,
                FailureKind::Failed => ErrorKind::CommandFailed,
                FailureKind::Outlet => ErrorKind::InvalidInput,
                FailureKind::Permission => ErrorKind::PermissionDenied,
            },
            means: filled(&table.means)?,
        })
    };
    tables.into_iter().map(failure).collect()
}

/// A text with holes that can be filled.
fn filled(text: &str) -> Result<Template, String> {
    let template = Template::parse(text)?;
    match template.fill(&EXAMPLE) {
        Some(_) => Ok(template),
        None => Err(format!("'{text}' has no value for outlet 1")),
    }
}

/// A pattern with holes.
fn pattern(text: &str) -> Result<Template, String> {
    let template = filled(text)?;
    compile(&template.fill(&EXAMPLE).unwrap_or_default())?;
    Ok(template)
}

/// An entry of a menu: the words it begins with, in any letter case.
fn entry(text: &str) -> Result<Regex, String> {
    compile(&format!("(?i)^(?:{text})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let head = "on = [{ send = '1' }]\noff = [{ send = '0' }]\n";
        let table: toml::Table = format!("{head}{text}").parse().unwrap();
        Row::parse(table).unwrap_err()
    }

    #[test]
    fn mistakes_are_named() {
        assert!(error("sned = 1").contains("sned"));
        assert!(error("login = [{ expect = '(' }]").starts_with("login: '(' is no pattern"));
        assert!(error("login = [{}]").contains("a step has"));
        assert!(error("login = [{ choose = ['a'] }]").contains("'prompt'"));
        assert!(error("login = [{ send = '{port}' }]").contains("{port}"));
        assert!(error("state = [{ send = '?' }]").contains("'on' and 'off'"));
        assert!(error("state = [{ send = 'a', denied = 'b' }]").contains("'expect'"));
        assert!(error("fail = [{ pattern = 'x', kind = 'bad', means = 'y' }]").contains("bad"));
        let table: toml::Table = "on = []\noff = []".parse().unwrap();
        assert!(Row::parse(table).unwrap_err().contains("at least one step"));
    }
}
