//! Reads `pdudaemon.conf`, so that a lab changes the daemon and nothing else.
//!
//! It is JSON: `daemon` says where to listen, `pdus` has the PDUs by the host name that requests
//! name them by, `aliases` names outlets. Drivers are looked up by pdudaemon's names, which our
//! tables of models have as aliases. A PDU that cannot be used does not keep the others from being
//! used: it is listed in [`Configuration::unusable`], and its requests are answered with the reason.

mod drivers;
mod local;

use hal::{
    ErrorKind, HalError,
    lab::{BoardConfig, Lab, OutletConfig, PduConfig, Secret},
    power::models::Models,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// The longest file.
const LONGEST: u64 = 4 << 20;

/// How long pdudaemon's reboot leaves an outlet off unless the client says.
pub const OFF_FOR: Duration = Duration::from_secs(5);

/// Keys of every driver that say how pdudaemon itself works.
const OF_PDUDAEMON: [&str; 3] = ["driver", "retries", "retrydelay"];

/// Keys that name the address, the first that is there counts; without any it is the PDU's name.
const ADDRESSES: [&str; 5] = ["ip", "address", "hostname", "device", "url"];

/// Keys that name the port of the address.
const PORTS: [&str; 3] = ["port", "sshport", "telnetport"];

/// What the file says.
#[derive(Debug)]
pub struct Configuration {
    /// Its PDUs that can be used; its aliases are boards.
    pub lab: Lab,
    /// Its PDUs and aliases that cannot, and why.
    pub unusable: BTreeMap<String, String>,
    /// Where it listens.
    pub listen: Listen,
}

/// Where pdudaemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address, 0.0.0.0 unless the file says.
    pub host: String,
    /// The port, 16421 unless the file says.
    pub port: u16,
    /// Whether it speaks the line protocol instead of HTTP.
    pub line: bool,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    daemon: Daemon,
    #[serde(default)]
    pdus: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
}

#[derive(Default, Deserialize)]
struct Daemon {
    hostname: Option<String>,
    port: Option<Value>,
    listener: Option<String>,
}

#[derive(Deserialize)]
struct Alias {
    hostname: String,
    port: Value,
}

/// Reads the file at `path`.
///
/// # Errors
/// When it cannot be read, or `InvalidInput` when it is no pdudaemon.conf.
pub fn read(path: &Path) -> Result<Configuration, HalError> {
    let origin = path.display().to_string();
    let read_error = |error| HalError::from_io("read", &origin, error);
    if fs_err::metadata(path).map_err(read_error)?.len() > LONGEST {
        let message = format!("{origin} is too long for a pdudaemon.conf");
        return Err(HalError::new(ErrorKind::InvalidInput, &origin, message));
    }
    let text = fs_err::read_to_string(path).map_err(read_error)?;
    parse(&text, &origin, Models::built_in()?)
}

/// Reads the text of such a file; `origin` names it in messages.
///
/// # Errors
/// `InvalidInput` when it is none.
pub fn parse(text: &str, origin: &str, models: Models) -> Result<Configuration, HalError> {
    let invalid =
        |what: String| HalError::new(ErrorKind::InvalidInput, origin, format!("{origin}: {what}"));
    let file: File = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let listen = listen(&file.daemon).map_err(invalid)?;
    let mut lab = Lab::new(origin, models);
    let mut unusable = BTreeMap::new();
    for (name, settings) in &file.pdus {
        if let Err(error) = add_pdu(&mut lab, name, settings) {
            unusable.insert(name.clone(), describe(&error));
        }
    }
    for (name, alias) in file.aliases {
        if let Err(why) = add_alias(&mut lab, &name, &alias, &unusable) {
            unusable.insert(name, why);
        }
    }
    Ok(Configuration {
        lab,
        unusable,
        listen,
    })
}

fn listen(daemon: &Daemon) -> Result<Listen, String> {
    let port = match &daemon.port {
        None => Some(crate::PORT),
        Some(port) => text(port).and_then(|port| port.parse().ok()),
    };
    let line = match daemon.listener.as_deref() {
        None | Some("tcp") => true,
        Some("http") => false,
        Some(other) => {
            return Err(format!(
                "daemon: listener is 'tcp' or 'http', not '{other}'"
            ));
        }
    };
    Ok(Listen {
        host: daemon
            .hostname
            .clone()
            .unwrap_or_else(|| "0.0.0.0".to_owned()),
        port: port.ok_or("daemon: port is not a port number")?,
        line,
    })
}

fn add_pdu(lab: &mut Lab, name: &str, settings: &Map<String, Value>) -> Result<(), HalError> {
    let driver = settings
        .get("driver")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut config = PduConfig {
        name: name.to_owned(),
        model: driver.to_owned(),
        ..PduConfig::default()
    };
    if driver.is_empty() {
        return Err(config.invalid("has no 'driver'"));
    }
    if driver.eq_ignore_ascii_case("localcmdline") {
        local::fill(&mut config, settings)?;
    } else {
        let settings = drivers::translate(&mut config, settings.clone())?;
        fill(&mut config, &settings)?;
    }
    lab.add_pdu(config)
}

/// Sorts settings into what all PDUs have and what only this model knows.
fn fill(config: &mut PduConfig, settings: &Map<String, Value>) -> Result<(), HalError> {
    let address = ADDRESSES.iter().find(|key| settings.contains_key(**key));
    for (key, value) in settings {
        if OF_PDUDAEMON.contains(&key.as_str()) || PORTS.contains(&key.as_str()) {
            continue;
        }
        let shown = || config.invalid(&format!("'{key}' is neither text nor a number"));
        let value_text = text(value);
        match key.as_str() {
            key if Some(&key) == address => config.address = Some(value_text.ok_or_else(shown)?),
            "username" | "user" => config.username = Some(value_text.ok_or_else(shown)?),
            "password" => config.password = Some(Secret::new(value_text.ok_or_else(shown)?)),
            _ => {
                let value = toml::Value::try_from(value).map_err(|_| shown())?;
                config.options.insert(key.replace('_', "-"), value);
            }
        }
    }
    let mut address = config.address.take().unwrap_or_else(|| config.name.clone());
    let port = PORTS.iter().find_map(|key| settings.get(*key));
    if let Some(port) = port {
        let port = text(port).ok_or_else(|| config.invalid("its port is no number"))?;
        address = format!("{address}:{port}");
    }
    config.address = Some(address);
    Ok(())
}

fn add_alias(
    lab: &mut Lab,
    name: &str,
    alias: &Alias,
    unusable: &BTreeMap<String, String>,
) -> Result<(), String> {
    if let Some(why) = unusable.get(&alias.hostname) {
        return Err(format!("its PDU cannot be used: {why}"));
    }
    let outlet = text(&alias.port).ok_or("its port is neither text nor a number")?;
    let board = BoardConfig {
        console: None,
        power: Some(OutletConfig {
            pdu: alias.hostname.clone(),
            outlet,
            off_for: None,
            settle: None,
        }),
    };
    lab.add_board(name, board).map_err(|error| describe(&error))
}

/// Text and numbers are the same to pdudaemon's users.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn describe(error: &HalError) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Configuration {
        parse(text, "pdudaemon.conf", Models::built_in().unwrap()).unwrap()
    }

    #[test]
    fn one_bad_pdu_does_not_take_the_others_along() {
        let read = read(
            r#"{"daemon": {"hostname": "127.0.0.1", "port": 16421, "listener": "http"},
                "pdus": {
                    "good": {"driver": "localcmdline", "cmd_on": "on %s", "cmd_off": "off %s"},
                    "odd": {"driver": "toaster"},
                    "none": {}
                },
                "aliases": {
                    "board1": {"hostname": "good", "port": 3},
                    "board2": {"hostname": "odd", "port": "3"},
                    "board3": {"hostname": "missing", "port": "3"}
                }}"#,
        );
        assert_eq!(read.lab.pdus().collect::<Vec<_>>(), ["good"]);
        assert_eq!(read.lab.boards().collect::<Vec<_>>(), ["board1"]);
        let unusable: Vec<&str> = read.unusable.keys().map(String::as_str).collect();
        assert_eq!(unusable, ["board2", "board3", "none", "odd"]);
        assert!(
            read.unusable["odd"].contains("toaster"),
            "{:?}",
            read.unusable
        );
        let expected = Listen {
            host: "127.0.0.1".to_owned(),
            port: 16421,
            line: false,
        };
        assert_eq!(read.listen, expected);
    }

    #[test]
    fn without_settings_it_listens_as_pdudaemon_does() {
        let listen = read("{}").listen;
        assert_eq!(
            (listen.host.as_str(), listen.port, listen.line),
            ("0.0.0.0", 16421, true)
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_name() {
        for bad in [
            "",
            "[1]",
            r#"{"pdus": 1}"#,
            r#"{"daemon": {"listener": "x"}}"#,
        ] {
            let error = parse(bad, "pdudaemon.conf", Models::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(error.to_string().starts_with("pdudaemon.conf: "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC{0,100}") {
            let _ = parse(&text, "x", Models::default());
        }
    }
}
