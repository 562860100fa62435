//! One conversation with a PDU.

use super::{
    super::line::Line,
    row::{Reply, Row, Step},
    template::{Template, Values},
};
use crate::{
    error::{ErrorKind, HalError},
    power::PowerState,
};
use regex::bytes::{Captures, Regex};
use std::{ops::Range, time::Duration};
use tokio::time::Instant;

/// How many menus above the present one may be asked for.
const MOST_MENUS: usize = 8;

/// How often a screen that turns up on the way may be answered. Lists of 24 outlets have two.
const MOST_REPLIES: usize = 32;

/// How long a PDU may take over the logout; what was asked is done by then.
const LOGOUT: Duration = Duration::from_secs(2);

/// A conversation, and where it is.
pub(super) struct Session<'a> {
    row: &'a Row,
    line: Line,
    values: Values<'a>,
    fail: Vec<Regex>,
    meanwhile: Vec<Regex>,
    /// What was said before the last prompt, while nothing was typed since.
    menu: Option<Vec<u8>>,
    replies: usize,
    typed_password: bool,
    state: Option<PowerState>,
}

/// What turned up first.
enum Heard {
    Expected,
    Denied,
    Failure(usize),
    Meanwhile(usize),
}

impl<'a> Session<'a> {
    pub(super) fn new(row: &'a Row, line: Line, values: Values<'a>) -> Result<Self, HalError> {
        let mut session = Self {
            row,
            line,
            values,
            fail: Vec::new(),
            meanwhile: Vec::new(),
            menu: None,
            replies: 0,
            typed_password: false,
            state: None,
        };
        let fail = row.fail.iter().map(|fail| session.pattern(&fail.pattern));
        session.fail = fail.collect::<Result<_, _>>()?;
        let meanwhile = row
            .meanwhile
            .iter()
            .map(|reply| session.pattern(&reply.expect));
        session.meanwhile = meanwhile.collect::<Result<_, _>>()?;
        Ok(session)
    }

    /// Takes `steps`, and gives the state if they tell it.
    pub(super) async fn walk(&mut self, steps: &[Step]) -> Result<Option<PowerState>, HalError> {
        for step in steps {
            match step {
                Step::Expect {
                    pattern,
                    denied,
                    bit,
                } => self.expect(pattern, denied.as_ref(), bit.as_ref()).await?,
                Step::Send(text) => self.send(text).await?,
                Step::Choose {
                    entries,
                    named,
                    optional,
                    back,
                } => {
                    self.choose(entries, named, *optional, back.as_deref())
                        .await?
                }
                Step::Enter { number, but } => self.enter(number, but.as_ref()).await?,
            }
        }
        Ok(self.state.take())
    }

    /// Logs out as far as that goes: what was asked is done.
    pub(super) async fn leave(mut self) {
        self.line.hurry(Instant::now() + LOGOUT);
        let _ = self.walk(&self.row.logout).await;
        self.line.close().await;
    }

    async fn expect(
        &mut self,
        pattern: &Template,
        denied: Option<&Template>,
        bit: Option<&Template>,
    ) -> Result<(), HalError> {
        let expected = self.pattern(pattern)?;
        let denied = denied.map(|denied| self.pattern(denied)).transpose()?;
        let seen = self
            .hear(&expected, denied.as_ref(), &pattern.shown())
            .await?;
        let Some(found) = expected.captures(&seen) else {
            return Ok(());
        };
        if let Some(state) = self.state_in(&found, bit) {
            self.state = Some(state?);
        }
        self.menu = None;
        Ok(())
    }

    /// Waits for `expected`, answering and failing on the way, and takes what was said up to its
    /// end.
    async fn hear(
        &mut self,
        expected: &Regex,
        denied: Option<&Regex>,
        shown: &str,
    ) -> Result<Vec<u8>, HalError> {
        loop {
            let Some((heard, range)) = self.first(expected, denied) else {
                let wanted = format!("'{}'", shown.escape_debug());
                self.line.receive(&wanted, self.values.password).await?;
                continue;
            };
            match heard {
                Heard::Expected => return Ok(self.line.take(range.end)),
                Heard::Denied => return Err(self.denied()),
                Heard::Failure(index) => return Err(self.failure(index)),
                Heard::Meanwhile(index) => {
                    self.line.take(range.end);
                    let row = self.row;
                    self.reply(&row.meanwhile[index], shown).await?;
                }
            }
        }
    }

    /// What of all that may turn up comes first; failures before all that begins with them.
    fn first(&self, expected: &Regex, denied: Option<&Regex>) -> Option<(Heard, Range<usize>)> {
        let said = self.line.unread();
        let find = |pattern: &Regex, heard| Some((heard, pattern.find(said)?.range()));
        let fail = self.fail.iter().enumerate();
        let fail = fail.filter_map(|(index, pattern)| find(pattern, Heard::Failure(index)));
        let denied = denied.and_then(|pattern| find(pattern, Heard::Denied));
        let meanwhile = self.meanwhile.iter().enumerate();
        let meanwhile =
            meanwhile.filter_map(|(index, pattern)| find(pattern, Heard::Meanwhile(index)));
        let expected = find(expected, Heard::Expected);
        let all = fail.chain(denied).chain(meanwhile).chain(expected);
        all.min_by_key(|(_, range)| range.start)
    }

    async fn reply(&mut self, reply: &Reply, shown: &str) -> Result<(), HalError> {
        // Asked for the password again, it did not like the first.
        if reply.send.has_password() && self.typed_password {
            return Err(self.denied());
        }
        self.replies += 1;
        if self.replies > MOST_REPLIES {
            let what = format!(
                "turns in circles and never comes to '{}'",
                shown.escape_debug()
            );
            return Err(self.error(ErrorKind::Protocol, &what));
        }
        self.send(&reply.send).await
    }

    async fn send(&mut self, text: &Template) -> Result<(), HalError> {
        self.typed_password |= text.has_password();
        let text = self.fill(text)?;
        self.type_text(&text).await
    }

    async fn type_text(&mut self, text: &str) -> Result<(), HalError> {
        self.menu = None;
        self.line.send(text.as_bytes()).await
    }

    /// Chooses a menu's entry by its text.
    async fn choose(
        &mut self,
        entries: &[Regex],
        named: &str,
        optional: bool,
        back: Option<&str>,
    ) -> Result<(), HalError> {
        for _ in 0..MOST_MENUS {
            let menu = self.menu().await?;
            let find = |entry: &Regex| {
                menu.iter()
                    .find(|(_, text)| entry.is_match(text.as_bytes()))
            };
            if let Some((number, _)) = entries.iter().find_map(find) {
                let typed = format!("{number}{}", self.row.newline);
                return self.type_text(&typed).await;
            }
            match back {
                Some(back) => self.type_text(back).await?,
                None => break,
            }
        }
        if optional {
            return Ok(());
        }
        let menu = self.menu().await?;
        let has: Vec<_> = menu.iter().map(|(_, text)| text.as_str()).collect();
        let what = format!("has no entry '{named}' in its menu: {}", has.join(", "));
        Err(self.error(ErrorKind::Protocol, &what).with_hint(
            "is it this model, and may this user switch outlets? \
             Other words of a menu go into a table of your own",
        ))
    }

    /// Chooses a menu's entry by its number.
    async fn enter(&mut self, number: &Template, but: Option<&Regex>) -> Result<(), HalError> {
        let number = self.fill(number)?;
        let menu = self.menu().await?;
        let allowed = |text: &str| but.is_none_or(|but| !but.is_match(text.as_bytes()));
        if menu
            .iter()
            .any(|(known, text)| *known == number && allowed(text))
        {
            let typed = format!("{number}{}", self.row.newline);
            return self.type_text(&typed).await;
        }
        let has: Vec<_> = menu.iter().filter(|(_, text)| allowed(text)).collect();
        let message = format!("PDU '{}' has no outlet '{number}'", self.line.pdu());
        let error = HalError::new(ErrorKind::InvalidInput, self.line.pdu(), message);
        Err(match (has.first(), has.last()) {
            (Some((first, _)), Some((last, _))) => {
                error.with_hint(format!("its outlets are {first} to {last}"))
            }
            _ => error,
        })
    }

    /// The entries of the menu that we are in, number and text: of the last one while nothing was
    /// typed, otherwise of the next that ends in a prompt.
    async fn menu(&mut self) -> Result<Vec<(String, String)>, HalError> {
        let Some(prompt) = &self.row.prompt else {
            return Ok(Vec::new());
        };
        if self.menu.is_none() {
            let pattern = self.pattern(prompt)?;
            self.menu = Some(self.hear(&pattern, None, "a menu").await?);
        }
        Ok(entries(self.menu.as_deref().unwrap_or_default()))
    }

    /// What the groups of a pattern say about the state.
    fn state_in(
        &self,
        found: &Captures<'_>,
        bit: Option<&Template>,
    ) -> Option<Result<PowerState, HalError>> {
        if found.name("on").is_some() {
            return Some(Ok(PowerState::On));
        }
        if found.name("off").is_some() {
            return Some(Ok(PowerState::Off));
        }
        let bits = std::str::from_utf8(found.name("bits")?.as_bytes()).ok()?;
        let bit = bit.and_then(|bit| bit.fill(&self.values)?.parse::<u32>().ok());
        let bits = u64::from_str_radix(bits, 16).ok();
        Some(
            match bits.zip(bit).and_then(|(bits, bit)| bits.checked_shr(bit)) {
                Some(bits) if bits & 1 == 1 => Ok(PowerState::On),
                Some(_) => Ok(PowerState::Off),
                None => Err(self.error(ErrorKind::Protocol, "tells no state of this outlet")),
            },
        )
    }

    fn pattern(&self, template: &Template) -> Result<Regex, HalError> {
        template
            .pattern(&self.values)
            .ok_or_else(|| self.no_such_outlet())
    }

    fn fill(&self, template: &Template) -> Result<String, HalError> {
        template
            .fill(&self.values)
            .ok_or_else(|| self.no_such_outlet())
    }

    fn no_such_outlet(&self) -> HalError {
        let (pdu, outlet) = (self.line.pdu(), self.values.outlet);
        let message = format!("PDU '{pdu}' has no outlet '{outlet}'");
        HalError::new(ErrorKind::InvalidInput, pdu, message).with_hint("its outlets are numbered")
    }

    fn failure(&self, index: usize) -> HalError {
        let failure = &self.row.fail[index];
        let means = failure.means.fill(&self.values).unwrap_or_default();
        self.error(failure.kind, &means)
    }

    fn denied(&self) -> HalError {
        let what = format!("refused the login of user '{}'", self.values.username);
        self.error(ErrorKind::PermissionDenied, &what)
            .with_hint("set 'username' and 'password' of this PDU in the lab file")
    }

    fn error(&self, kind: ErrorKind, what: &str) -> HalError {
        self.line.error(kind, what, self.values.password)
    }
}

/// The numbered entries of a menu: "  1- Device Manager".
fn entries(menu: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(menu);
    let entry = |line: &str| {
        let (number, text) = line.trim().split_once('-')?;
        let number = number.trim();
        let is_number =
            (1..=4).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| (number.to_owned(), text.trim().to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_the_numbered_lines() {
        let menu = b"------- Control Console -------\r\n\r\n     1- Device Manager\r\n    12- Outlet 12   ON\r\n\
                     \r\n     <ESC>- Main Menu, <ENTER>- Refresh\r\n> ";
        let pair = |number: &str, text: &str| (number.to_owned(), text.to_owned());
        assert_eq!(
            entries(menu),
            [pair("1", "Device Manager"), pair("12", "Outlet 12   ON")]
        );
    }
}
