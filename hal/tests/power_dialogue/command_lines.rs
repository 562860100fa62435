//! PDUs and boards with a command line.

use super::pdu_simulator::{Answer, Device};

/// What a command line keeps.
pub(crate) struct Talk {
    pub(crate) outlets: Vec<bool>,
    /// How far the login is.
    stage: usize,
    /// Whether it says yes and does nothing.
    pub(crate) lies: bool,
}

impl Talk {
    fn set(&mut self, index: Option<usize>, on: bool) -> Option<()> {
        let outlet = self.outlets.get_mut(index?)?;
        if !self.lies {
            *outlet = on;
        }
        Some(())
    }

    fn get(&self, index: Option<usize>) -> Option<bool> {
        self.outlets.get(index?).copied()
    }
}

/// What it says to a line; `None` hangs up.
type Say = fn(&mut Talk, &str) -> Option<String>;

/// A device that hears lines.
pub(crate) struct Lines {
    pub(crate) talk: Talk,
    greeting: &'static str,
    echoes: bool,
    pending: Vec<u8>,
    say: Say,
}

impl Lines {
    fn new(outlets: usize, greeting: &'static str, echoes: bool, say: Say) -> Self {
        Self {
            talk: Talk {
                outlets: vec![false; outlets],
                stage: 0,
                lies: false,
            },
            greeting,
            echoes,
            pending: Vec::new(),
            say,
        }
    }
}

impl Device for Lines {
    fn connect(&mut self) -> Vec<u8> {
        self.talk.stage = 0;
        self.pending.clear();
        self.greeting.into()
    }

    fn hear(&mut self, bytes: &[u8]) -> Answer {
        let mut answer = Vec::new();
        // A telnet client sends NUL after each carriage return.
        for &byte in bytes.iter().filter(|byte| **byte != 0) {
            if self.echoes && byte != b'\n' {
                answer.push(byte);
            }
            if !matches!(byte, b'\r' | b'\n') {
                self.pending.push(byte);
                continue;
            }
            let line = String::from_utf8(std::mem::take(&mut self.pending)).unwrap();
            // The second half of "\r\n".
            if byte == b'\n' && line.is_empty() {
                continue;
            }
            match (self.say)(&mut self.talk, &line) {
                Some(said) => answer.extend(said.as_bytes()),
                None => {
                    let bytes = answer;
                    return Answer { bytes, close: true };
                }
            }
        }
        answer.into()
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        &mut self.talk.outlets
    }
}

fn index(word: &str) -> Option<usize> {
    word.parse::<usize>().ok()?.checked_sub(1)
}

/// APC's newer command line.
pub(crate) fn apc8959() -> Lines {
    Lines::new(24, "\r\nUser Name : ", true, |talk, line| {
        let said = match talk.stage {
            0 if line.is_empty() => return Some("\r\nUser Name : ".to_owned()),
            0 => {
                talk.stage = if line == "apc" { 1 } else { 2 };
                return Some("\r\nPassword  : ".to_owned());
            }
            1 if line == "s3cret" => {
                talk.stage = 3;
                "\r\nSchneider Electric\r\n".to_owned()
            }
            1 | 2 => {
                talk.stage = 0;
                return Some("\r\nUser Name : ".to_owned());
            }
            _ => {
                let words: Vec<_> = line.split(' ').collect();
                let of = words.get(1).and_then(|word| index(word));
                let done = match words[0] {
                    "olOn" => talk.set(of, true).map(|()| String::new()),
                    "olOff" => talk.set(of, false).map(|()| String::new()),
                    "olReboot" => talk.set(of, true).map(|()| String::new()),
                    "olStatus" => talk.get(of).map(|on| {
                        let on = if on { "On" } else { "Off" };
                        format!(" {}: Outlet {0}: {on}\r\n", words[1])
                    }),
                    "exit" => return None,
                    "" => return Some("\r\napc>".to_owned()),
                    _ => return Some("\r\nE101: Command Not Found\r\napc>".to_owned()),
                };
                match done {
                    Some(more) => format!("\r\nE000: Success\r\n{more}"),
                    None => "\r\nE102: Parameter Error\r\n".to_owned(),
                }
            }
        };
        Some(format!("{said}\r\napc>"))
    })
}

fn gude_commands(talk: &mut Talk, line: &str) -> Option<String> {
    let words: Vec<_> = line.split(' ').collect();
    let said = match words[..] {
        ["port", outlet, "state", "set", to] => {
            let done = talk.set(index(outlet), to == "1");
            done.map_or("ERR. port out of range", |()| "OK.")
        }
        ["port", outlet, "state", "show"] => match talk.get(index(outlet)) {
            Some(true) => "ON",
            Some(false) => "OFF",
            None => "ERR. port out of range",
        },
        ["quit"] => return None,
        _ => "ERR. unknown command",
    };
    Some(format!("{said}\r\n>"))
}

/// Gude's, without a login.
pub(crate) fn gude(greeting: &'static str) -> Lines {
    Lines::new(4, greeting, true, |talk, line| {
        gude_commands(talk, line).map(|said| format!("\n{said}"))
    })
}

/// Gude's with a login.
pub(crate) fn gude_with_login() -> Lines {
    Lines::new(4, "Username: ", false, |talk, line| {
        talk.stage += 1;
        Some(match (talk.stage, line) {
            (1, "admin") => "Password: ".to_owned(),
            (2, "s3cret") => ">".to_owned(),
            (1 | 2, _) => {
                talk.stage = 0;
                "\r\nUsername: ".to_owned()
            }
            _ => return gude_commands(talk, line),
        })
    })
}

/// NETIO's.
pub(crate) fn netio() -> Lines {
    Lines::new(4, "100 HELLO 12345678\r\n", false, |talk, line| {
        let words: Vec<_> = line.split(' ').collect();
        let said = match (talk.stage, &words[..]) {
            (0, ["login", "admin", "s3cret"]) => {
                talk.stage = 1;
                "250 OK".to_owned()
            }
            (_, [""]) => "502 UNKNOWN COMMAND".to_owned(),
            (0, ["login", ..]) => "503 INVALID LOGIN".to_owned(),
            (0, _) => "505 FORBIDDEN".to_owned(),
            (_, ["port", outlet]) => match talk.get(index(outlet)) {
                Some(on) => format!("250 {}", u8::from(on)),
                None => "501 INVALID PARAMETER".to_owned(),
            },
            (_, ["port", outlet, to]) => match talk.set(index(outlet), *to == "1") {
                Some(()) => "250 OK".to_owned(),
                None => "501 INVALID PARAMETER".to_owned(),
            },
            (_, ["quit"]) => "110 BYE".to_owned(),
            _ => "502 UNKNOWN COMMAND".to_owned(),
        };
        Some(said + "\r\n")
    })
}

/// Synaccess' netBooter.
pub(crate) fn netbooter() -> Lines {
    Lines::new(16, "\r\nSynaccess\r\n>", true, |talk, line| {
        let words: Vec<_> = line.split(' ').collect();
        Some(match (talk.stage, &words[..]) {
            (0, ["login"]) => {
                talk.stage = 1;
                "\r\nUser ID:".to_owned()
            }
            (0, ["exit"]) => return None,
            (0, _) => "\r\nInvalid command\r\n>".to_owned(),
            (1, user) => {
                talk.stage = if *user == ["admin"] { 2 } else { 3 };
                "\r\nPassword:".to_owned()
            }
            (2, ["s3cret"]) => {
                talk.stage = 4;
                "\r\n>".to_owned()
            }
            (2 | 3, _) => {
                talk.stage = 0;
                "\r\nInvalid user or password\r\n>".to_owned()
            }
            (_, [""]) => "\r\n>".to_owned(),
            (_, ["pset", outlet, to]) => match talk.set(index(outlet), *to == "1") {
                Some(()) => "\r\n>".to_owned(),
                None => "\r\nInvalid port\r\n>".to_owned(),
            },
            (_, ["pshow"]) => {
                let row = |(index, on): (usize, &bool)| {
                    let on = if *on { "ON" } else { "OFF" };
                    format!("  {:>2} | Outlet{:<5}| {on:<4} |\r\n", index + 1, index + 1)
                };
                let rows: String = talk.outlets.iter().enumerate().map(row).collect();
                format!("\r\nPort | Name       |Status\r\n-----+------------+------\r\n{rows}>")
            }
            (_, ["exit"]) => return None,
            _ => "\r\nInvalid command\r\n>".to_owned(),
        })
    })
}

/// Siglent's supply, with other bits set than those of the outputs.
pub(crate) fn siglent() -> Lines {
    Lines::new(2, "", false, |talk, line| {
        let output = |word: &str| index(word.strip_prefix("CH")?);
        Some(match line.split_once(' ') {
            Some(("OUTPUT", what)) => {
                let (channel, to) = what.split_once(',')?;
                talk.set(output(channel), to == "ON")?;
                String::new()
            }
            _ if line == "SYSTem:STATus?" => {
                let bit = |index: usize| u32::from(talk.outlets[index]) << (4 + index);
                format!("0x{:X}\n", 0x205 | bit(0) | bit(1))
            }
            _ => return None,
        })
    })
}

/// Devantech's dS boards.
pub(crate) fn devantech_ds(outlets: usize) -> Lines {
    Lines::new(outlets, "", false, |talk, line| {
        let words: Vec<_> = line.split(' ').collect();
        Some(match words[..] {
            ["SR", relay, to @ ("on" | "off")] => match talk.set(index(relay), to == "on") {
                Some(()) => "Ok\r\n".to_owned(),
                None => "Fail\r\n".to_owned(),
            },
            ["GR", relay] => match talk.get(index(relay)) {
                Some(true) => "Active\r\n".to_owned(),
                Some(false) => "Inactive\r\n".to_owned(),
                None => "Fail\r\n".to_owned(),
            },
            _ => "Fail\r\n".to_owned(),
        })
    })
}

/// Numato's modules: the id of a relay has one digit, one of 36, or two.
pub(crate) fn numato(outlets: usize) -> Lines {
    Lines::new(outlets, "", true, |talk, line| {
        let words: Vec<_> = line.split(' ').collect();
        let id = |word: &str, count: usize| match count {
            64 if word.len() == 2 => word.parse().ok(),
            32 if word.len() == 1 => usize::from_str_radix(word, 36).ok(),
            1..=16 if word.len() == 1 => usize::from_str_radix(word, 16).ok(),
            _ => None,
        };
        let count = talk.outlets.len();
        let said = match words[..] {
            ["relay", "on", word] => talk.set(id(word, count), true).map(|()| ""),
            ["relay", "off", word] => talk.set(id(word, count), false).map(|()| ""),
            ["relay", "read", word] => talk
                .get(id(word, count))
                .map(|on| if on { "on\n\r" } else { "off\n\r" }),
            _ => Some(""),
        };
        Some(format!("\n\r{}>", said.unwrap_or("")))
    })
}
