//! APC's menus, as the models have them: entries differ in name, number and depth.

use super::pdu_simulator::{Answer, Device};

/// A menu: its title, its entries, and which of them leads on towards the outlets.
type Menu = (&'static str, &'static [&'static str], usize);

/// What differs between models.
pub(crate) struct Layout {
    pub(crate) models: &'static [&'static str],
    /// From the main menu to the list of outlets.
    menus: &'static [Menu],
    outlet_entries: &'static [&'static str],
    control_entries: &'static [&'static str],
    outlets: usize,
    /// Whether a page for ENTER comes before the control menu.
    warns: bool,
}

const IMMEDIATE: &[&str] = &[
    "Immediate On",
    "Immediate Off",
    "Immediate Reboot",
    "Delayed On",
    "Delayed Off",
    "Delayed Reboot",
    "Cancel",
];

const MAIN: Menu = (
    "Control Console",
    &["Device Manager", "Network", "System", "Logout"],
    0,
);

pub(crate) const LAYOUTS: &[Layout] = &[
    Layout {
        models: &["apc7900"],
        menus: &[
            MAIN,
            (
                "Device Manager",
                &[
                    "Phase Monitor/Configuration",
                    "Outlet Restriction Configuration",
                    "Outlet Control/Configuration",
                    "Power Supply Status",
                ],
                2,
            ),
        ],
        outlet_entries: &["Control Outlet", "Configure Outlet"],
        control_entries: IMMEDIATE,
        outlets: 8,
        warns: false,
    },
    Layout {
        models: &["apc7920", "apc7921", "apc7952", "apc7932"],
        menus: &[
            MAIN,
            (
                "Device Manager",
                &[
                    "Phase Management",
                    "Outlet Management",
                    "Power Supply Status",
                ],
                1,
            ),
            (
                "Outlet Management",
                &["Outlet Control/Configuration", "Outlet Restriction"],
                0,
            ),
        ],
        outlet_entries: &["Control Outlet", "Configure Outlet"],
        control_entries: IMMEDIATE,
        outlets: 24,
        warns: true,
    },
    Layout {
        models: &["apc9218", "ap9606"],
        menus: &[MAIN],
        outlet_entries: &["Outlet Control/Configuration", "Outlet Schedule"],
        control_entries: IMMEDIATE,
        outlets: 8,
        warns: false,
    },
    Layout {
        models: &["apc9210"],
        menus: &[(
            "Control Console",
            &["Outlet Manager", "Network", "System", "Logout"],
            0,
        )],
        outlet_entries: &["Control of Outlet", "Outlet Configuration"],
        control_entries: &["Turn Outlet On", "Turn Outlet Off", "Reboot Outlet"],
        outlets: 8,
        warns: false,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    User,
    Password,
    Menu(usize),
    Outlets,
    Master,
    Outlet(usize),
    Warning(usize),
    Control(usize),
    Confirm(usize, bool),
    Done(usize),
}

/// A PDU with such menus.
pub(crate) struct Apc {
    layout: &'static Layout,
    place: Place,
    outlets: Vec<bool>,
    line: Vec<u8>,
    /// Bytes of a telnet command that are still to come.
    command: usize,
    user: bool,
    pub(crate) taken: bool,
    pub(crate) lies: bool,
}

impl Apc {
    pub(crate) fn new(layout: &'static Layout) -> Self {
        Self {
            layout,
            place: Place::User,
            outlets: vec![false; layout.outlets],
            line: Vec::new(),
            command: 0,
            user: false,
            taken: false,
            lies: false,
        }
    }

    fn state(&self, outlet: usize) -> &'static str {
        if self.outlets[outlet] { "ON" } else { "OFF" }
    }

    fn screen(&self) -> String {
        match self.place {
            Place::User => "\r\nUser Name : ".to_owned(),
            Place::Password => "\r\nPassword  : ".to_owned(),
            Place::Menu(depth) => {
                let (title, entries, _) = self.layout.menus[depth];
                menu(title, "", entries.iter().map(|entry| (*entry).to_owned()))
            }
            Place::Outlets => {
                let outlet = |index| format!("Outlet {:<20}{}", index + 1, self.state(index));
                let entries = (0..self.outlets.len()).map(outlet);
                let master = std::iter::once("Master Control/Configuration".to_owned());
                menu("Outlet Control/Configuration", "", entries.chain(master))
            }
            Place::Master => {
                menu("Master Control", "", ["Control of ALL Outlets".to_owned()].into_iter())
            }
            Place::Outlet(outlet) => {
                let about = format!(
                    "        Name         : Outlet {0}\r\n        Outlet       : {0}\r\n        \
                     State        : {1}\r\n\r\n",
                    outlet + 1,
                    self.state(outlet)
                );
                let entries = self.layout.outlet_entries.iter();
                menu("Outlet", &about, entries.map(|entry| (*entry).to_owned()))
            }
            Place::Control(_) => {
                let entries = self.layout.control_entries.iter();
                menu("Control Outlet", "", entries.map(|entry| (*entry).to_owned()))
            }
            Place::Confirm(outlet, on) => format!(
                "\r\n        Immediate {}\r\n\r\n        This switches outlet {}.\r\n\r\n        \
                 Enter 'YES' to continue or <ENTER> to cancel : ",
                if on { "On" } else { "Off" },
                outlet + 1
            ),
            Place::Warning(_) => {
                "\r\n        Other outlets may follow.\r\n\r\n        Press <ENTER> to continue..."
                    .to_owned()
            }
            Place::Done(_) => {
                "\r\n        Command successfully issued.\r\n\r\n        Press <ENTER> to continue..."
                    .to_owned()
            }
        }
    }

    fn enter(&mut self, line: &str) -> bool {
        let chosen = line
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        self.place = match (self.place, chosen) {
            (Place::User, _) if line.is_empty() => Place::User,
            (Place::User, _) => {
                self.user = line == "apc";
                Place::Password
            }
            (Place::Password, _) if self.user && line == "s3cret" => Place::Menu(0),
            (Place::Password, _) => Place::User,
            (Place::Menu(0), Some(3)) => return false,
            (Place::Menu(depth), Some(chosen)) if chosen == self.layout.menus[depth].2 => {
                if depth + 1 < self.layout.menus.len() {
                    Place::Menu(depth + 1)
                } else {
                    Place::Outlets
                }
            }
            (Place::Outlets, Some(chosen)) if chosen < self.outlets.len() => Place::Outlet(chosen),
            (Place::Outlets, Some(chosen)) if chosen == self.outlets.len() => Place::Master,
            (Place::Outlet(outlet), Some(0)) if self.layout.warns => Place::Warning(outlet),
            (Place::Outlet(outlet), Some(0)) => Place::Control(outlet),
            (Place::Warning(outlet), _) => Place::Control(outlet),
            (Place::Control(outlet), Some(chosen @ 0..=1)) => Place::Confirm(outlet, chosen == 0),
            (Place::Confirm(outlet, on), _) if line == "YES" => {
                if !self.lies {
                    self.outlets[outlet] = on;
                }
                Place::Done(outlet)
            }
            (Place::Confirm(outlet, _) | Place::Done(outlet), _) => Place::Control(outlet),
            (place, _) => place,
        };
        true
    }

    fn back(&mut self) {
        self.place = match self.place {
            Place::Menu(depth) => Place::Menu(depth.saturating_sub(1)),
            Place::Outlets => Place::Menu(self.layout.menus.len() - 1),
            Place::Outlet(_) | Place::Master => Place::Outlets,
            Place::Control(outlet) => Place::Outlet(outlet),
            place => place,
        };
    }
}

impl Device for Apc {
    fn connect(&mut self) -> Vec<u8> {
        self.place = Place::User;
        self.line.clear();
        let mut greeting = b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x18".to_vec();
        if self.taken {
            greeting.extend(b"\r\nUser 'apc' is already logged in.\r\n");
        } else {
            greeting.extend(self.screen().as_bytes());
        }
        greeting
    }

    fn hear(&mut self, bytes: &[u8]) -> Answer {
        let mut answer = Vec::new();
        for &byte in bytes {
            match byte {
                0xff => self.command = 2,
                _ if self.command > 0 => self.command -= 1,
                0x1b => {
                    self.back();
                    answer.extend(self.screen().as_bytes());
                }
                b'\n' | 0 => {}
                b'\r' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                    if !self.enter(&line) {
                        let bytes = b"\r\nConnection Closed - Bye\r\n".to_vec();
                        return Answer { bytes, close: true };
                    }
                    answer.extend(self.screen().as_bytes());
                }
                _ => {
                    self.line.push(byte);
                    if self.place != Place::Password {
                        answer.push(byte);
                    }
                }
            }
        }
        answer.into()
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        &mut self.outlets
    }
}

fn menu(title: &str, about: &str, entries: impl Iterator<Item = String>) -> String {
    let numbered = entries.enumerate();
    let entries: String = numbered
        .map(|(index, text)| format!("    {:>2}- {text}\r\n", index + 1))
        .collect();
    format!(
        "\r\n\r\n------- {title} -------------------------------------------\r\n\r\n{about}{entries}\r\n     \
         ?- Help, <ESC>- Back, <ENTER>- Refresh, <CTRL-L>- Event Log\r\n> "
    )
}
