//! A device, as its rendered template describes it.
//!
//! Most of a device belongs to one method each and stays as it was written; here is what several
//! parts look up.

use crate::{Problem, document::Cursor, timeout::DeviceTimeouts};
use std::time::Duration;
use yaml::{Map, Node, Value};

/// A device.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    document: Node,
    /// Its name, empty in templates rendered for no device.
    pub hostname: String,
    /// Its type.
    pub device_type: String,
    /// `timeouts`.
    pub timeouts: DeviceTimeouts,
    /// `commands`.
    pub commands: Commands,
    /// `character_delays`.
    pub character_delays: CharacterDelays,
    /// `device_info`: USB devices and the like that belong to it.
    pub device_info: Vec<Map>,
    /// `static_info`: facts about it.
    pub static_info: Vec<Map>,
    /// `storage_info`: method and block device.
    pub storage_info: Vec<Map>,
    /// `environment` of the tests.
    pub environment: Map,
}

/// `commands` of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commands {
    /// `connect`: the only console of a device without `connections`.
    pub connect: Option<String>,
    /// `connections` in order.
    pub connections: Vec<Connection>,
    /// Every other command: its key and the command lines, `hard_reset`, `power_off`, ….
    pub commands: Vec<(String, Vec<String>)>,
    /// `users`: the admin's own.
    pub users: Vec<(String, UserCommand)>,
}

/// One console of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// The command line that connects to it.
    pub connect: String,
    /// `primary`, `telnet`, `ssh`, ….
    pub tags: Vec<String>,
}

/// A command of the admin's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCommand {
    /// The command lines.
    pub run: Vec<String>,
    /// The command lines that take it back at the end of a job.
    pub undo: Vec<String>,
}

/// Pauses after each typed character, by the kind of block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CharacterDelays {
    /// In `deploy` blocks.
    pub deploy: Duration,
    /// In `boot` blocks.
    pub boot: Duration,
    /// In `test` blocks.
    pub test: Duration,
}

impl Device {
    /// Reads a rendered and loaded device.
    ///
    /// # Errors
    ///
    /// All that cannot be understood.
    pub fn from_node(node: &Node) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let root = Cursor::root(node);
        if node.as_map().is_none() {
            problems.push(
                root.problem(format!("a device is a map, not {}", root.kind()))
                    .with_hint("this is the rendered template of the device"),
            );
            return Err(problems);
        }
        let device = Self {
            document: placeless(node),
            hostname: root.text_at("hostname", &mut problems).unwrap_or_default(),
            device_type: root
                .text_at("devicetype", &mut problems)
                .unwrap_or_default(),
            timeouts: DeviceTimeouts::read(root.set("timeouts"), &mut problems),
            commands: Commands::read(root.set("commands"), &mut problems),
            character_delays: CharacterDelays::read(root.set("character_delays"), &mut problems),
            device_info: maps(node.get("device_info")),
            static_info: maps(node.get("static_info")),
            storage_info: maps(node.get("storage_info")),
            environment: root
                .get("environment")
                .and_then(|environment| environment.map(&mut problems).cloned())
                .unwrap_or_default(),
        };
        if problems.is_empty() {
            Ok(device)
        } else {
            problems.sort_by_key(|problem| problem.span.start);
            Err(problems)
        }
    }

    /// The device as it was written, for what has no type.
    ///
    /// Paths begin with `device`, and there are no places in the text: whoever reports a problem
    /// here reports it beside those of a job, whose text the places would be taken for.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.document, "device")
    }

    /// A node below the root: `device.at(&["parameters", "media"])`.
    pub fn at(&self, path: &[&str]) -> Option<Cursor<'_>> {
        path.iter()
            .try_fold(self.cursor(), |cursor, key| cursor.get(key))
    }

    /// `actions.deploy.methods.<name>`: present even when it is null.
    pub fn deploy_method(&self, name: &str) -> Option<Cursor<'_>> {
        self.at(&["actions", "deploy", "methods", name])
    }

    /// `actions.boot.methods.<name>`: present even when it is null.
    pub fn boot_method(&self, name: &str) -> Option<Cursor<'_>> {
        self.at(&["actions", "boot", "methods", name])
    }

    /// The names of the deploy methods it has.
    pub fn deploy_methods(&self) -> Vec<&str> {
        names(self.document.at(&["actions", "deploy", "methods"]))
    }

    /// The names of the boot methods it has.
    pub fn boot_methods(&self) -> Vec<&str> {
        names(self.document.at(&["actions", "boot", "methods"]))
    }

    /// `constants.<prefix>.<key>`, or `constants.<key>` with an empty prefix.
    ///
    /// A job's context and the facts about the deployed system come before it; who looks a
    /// constant up asks those first.
    pub fn constant(&self, prefix: &str, key: &str) -> Option<&Node> {
        let constants = self.document.get("constants")?;
        if prefix.is_empty() {
            constants.get(key)
        } else {
            constants.at(&[prefix, key])
        }
    }
}

impl Commands {
    /// The command lines of a key; `None` when the device has none or they are empty.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.commands
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, lines)| lines.as_slice())
            .filter(|lines| !lines.is_empty())
    }

    /// The console that actions use unless told otherwise.
    pub fn primary_connection(&self) -> Option<Connection> {
        if let Some(connect) = &self.connect {
            return Some(Connection {
                name: String::new(),
                connect: connect.clone(),
                tags: Vec::new(),
            });
        }
        self.connections
            .iter()
            .find(|connection| connection.tags.iter().any(|tag| tag == "primary"))
            .cloned()
    }

    /// A console by its name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections
            .iter()
            .find(|connection| connection.name == name)
    }

    fn read(cursor: Option<Cursor<'_>>, problems: &mut Vec<Problem>) -> Self {
        let mut commands = Self::default();
        let Some(cursor) = cursor else {
            return commands;
        };
        for (key, value) in cursor.entries(problems) {
            match key.as_str() {
                "connect" => commands.connect = value.as_text().filter(|text| !text.is_empty()),
                "connections" => {
                    for (name, connection) in value.entries(problems) {
                        commands
                            .connections
                            .extend(Connection::read(name, &connection, problems));
                    }
                }
                "users" => {
                    for (name, user) in value.entries(problems) {
                        let command = UserCommand {
                            run: user.texts_at("do", problems),
                            undo: user.texts_at("undo", problems),
                        };
                        commands.users.push((name, command));
                    }
                }
                // Not a command: whether jobs must use a named connection.
                "must_use_connection" => {}
                _ => {
                    // Labs keep data of their own here; what is no command is not looked at.
                    let mut lines = value.texts(&mut Vec::new());
                    lines.retain(|line| !line.is_empty());
                    commands.commands.push((key, lines));
                }
            }
        }
        commands
    }
}

impl Connection {
    fn read(name: String, cursor: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self {
            name,
            connect: cursor.set("connect")?.text(problems)?,
            tags: cursor.texts_at("tags", problems),
        })
    }
}

impl CharacterDelays {
    fn read(cursor: Option<Cursor<'_>>, problems: &mut Vec<Problem>) -> Self {
        let Some(cursor) = cursor else {
            return Self::default();
        };
        let mut delay = |key: &str| {
            let milliseconds = cursor
                .set(key)
                .and_then(|delay| delay.count(problems))
                .unwrap_or(0);
            Duration::from_millis(u64::from(milliseconds))
        };
        Self {
            deploy: delay("deploy"),
            boot: delay("boot"),
            test: delay("test"),
        }
    }
}

/// The maps of a list; other members are left out, as templates print unset values there.
fn maps(list: Option<&Node>) -> Vec<Map> {
    list.and_then(Node::as_sequence)
        .unwrap_or_default()
        .iter()
        .filter_map(|item| item.as_map().cloned())
        .collect()
}

/// A copy without places in the text.
fn placeless(node: &Node) -> Node {
    let value = match &node.value {
        Value::Sequence(items) => Value::Sequence(items.iter().map(placeless).collect()),
        Value::Mapping(map) => {
            let mut out = Map::new();
            for (key, value) in map.iter() {
                out.insert(key.value.clone(), placeless(value));
            }
            Value::Mapping(out)
        }
        other => other.clone(),
    };
    value.into()
}

fn names(methods: Option<&Node>) -> Vec<&str> {
    methods
        .and_then(Node::as_map)
        .map_or_else(Vec::new, |methods| {
            methods.iter().filter_map(|(key, _)| key.as_str()).collect()
        })
}
