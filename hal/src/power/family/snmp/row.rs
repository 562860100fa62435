//! A row of the table: which variables a model has, and what they may be set to.

use super::{
    ber::Oid,
    message::{Request, Value},
    session::Credentials,
    usm::{Cipher, Hash, User},
};
use crate::{
    error::HalError,
    lab::{PduConfig, Secret},
    power::{Outlet, PowerState},
};
use serde::Deserialize;

/// The community that may write, where neither row nor lab file name one: what vendors ship.
const WRITE_COMMUNITY: &str = "private";
/// The same for reading.
const READ_COMMUNITY: &str = "public";

/// A row, possibly incomplete: options of the lab file may add to it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Row {
    /// The first and the last outlet. Without it an outlet is any number, or numbers with dots.
    outlets: Option<[u32; 2]>,
    /// How many outlets a bank has, for `{bank}` and `{position}`.
    outlets_per_bank: Option<u32>,
    version: Option<Version>,
    /// What may write, and read.
    community: Option<Secret>,
    /// What may read, where that is another.
    read_community: Option<Secret>,
    /// The variable that switches: with `{outlet}`, or `{bank}` and `{position}`.
    oid: Option<String>,
    /// The variable that switches on, where it is another.
    on_oid: Option<String>,
    /// The variable that switches off, where it is another.
    off_oid: Option<String>,
    /// The variable that reboots, where it is another.
    reboot_oid: Option<String>,
    on: Option<Setting>,
    off: Option<Setting>,
    reboot: Option<Setting>,
    /// The type of numbers.
    #[serde(default, rename = "type")]
    number: Number,
    /// The variable that shows the state.
    state_oid: Option<String>,
    /// Its values that mean "on"; else that of `on`.
    #[serde(default)]
    state_on: Vec<Setting>,
    /// Its values that mean "off"; else that of `off`.
    #[serde(default)]
    state_off: Vec<Setting>,
    /// Version 3: the hash that signs.
    auth: Option<String>,
    /// Version 3: the cipher that encrypts.
    privacy: Option<String>,
    privacy_password: Option<Secret>,
    context: Option<String>,
}

/// A value in the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Setting {
    Number(i64),
    Text(String),
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Number {
    #[default]
    Integer,
    Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Setting")]
enum Version {
    One,
    TwoC,
    Three,
}

impl TryFrom<Setting> for Version {
    type Error = String;

    fn try_from(setting: Setting) -> Result<Self, String> {
        match setting {
            Setting::Number(1) => Ok(Self::One),
            Setting::Number(2) => Ok(Self::TwoC),
            Setting::Number(3) => Ok(Self::Three),
            Setting::Text(text) => match text.trim_start_matches('v') {
                "1" => Ok(Self::One),
                "2" | "2c" => Ok(Self::TwoC),
                "3" => Ok(Self::Three),
                _ => Err(format!(
                    "'{text}' is no version of SNMP: \"1\", \"2c\" or \"3\""
                )),
            },
            Setting::Number(other) => Err(format!("{other} is no version of SNMP")),
        }
    }
}

/// What pdudaemon calls the same in its configuration.
const OTHER_NAMES: [(&str, &str); 4] = [
    ("onsetting", "on"),
    ("offsetting", "off"),
    ("privpassphrase", "privacy-password"),
    ("readcommunity", "read-community"),
];

/// Variables that pdudaemon's users name by MIB and name, and that a table of numbers replaces:
/// name, OID, on, off, reboot.
const KNOWN: [(&str, &str, [i64; 2]); 3] = [
    (
        "sPDUOutletCtl",
        "1.3.6.1.4.1.318.1.1.4.4.2.1.3.{outlet}",
        [1, 2],
    ),
    (
        "rPDUOutletControlOutletCommand",
        "1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.{outlet}",
        [1, 2],
    ),
    (
        "pethPsePortAdminEnable",
        "1.3.6.1.2.1.105.1.1.1.3.1.{outlet}",
        [1, 2],
    ),
];

impl Row {
    /// Reads a row and checks what can be checked without a lab file.
    pub(super) fn parse(table: toml::Table) -> Result<Self, String> {
        let row: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        let sample = row.outlets.map_or(1, |[first, _]| first).to_string();
        let sample: Outlet = sample
            .parse()
            .map_err(|error: HalError| error.to_string())?;
        for template in [
            &row.oid,
            &row.on_oid,
            &row.off_oid,
            &row.reboot_oid,
            &row.state_oid,
        ]
        .into_iter()
        .flatten()
        {
            row.fill(template, sample.as_str())?;
        }
        if row.state_oid.is_some()
            && (row.values(PowerState::On).is_empty() || row.values(PowerState::Off).is_empty())
        {
            return Err(
                "'state-oid' needs 'state-on' and 'state-off', or 'on' and 'off'".to_owned(),
            );
        }
        if let Some(hash) = &row.auth
            && Hash::named(hash).is_none()
        {
            return Err(format!(
                "'{hash}' does not sign: md5, sha, sha224, sha256, sha384 or sha512"
            ));
        }
        if let Some(cipher) = &row.privacy
            && Cipher::named(cipher).is_none()
        {
            return Err(format!("'{cipher}' does not encrypt: des or aes"));
        }
        Ok(row)
    }

    /// The row `table` with what the lab file's options add and replace.
    pub(super) fn with_options(table: &toml::Table, config: &PduConfig) -> Result<Self, HalError> {
        let mut table = table.clone();
        for (key, value) in &config.options {
            let other = OTHER_NAMES.iter().find(|(theirs, _)| theirs == key);
            let key = other.map_or(key.as_str(), |(_, ours)| ours);
            match key {
                // These are in the lab file itself, or say nothing where variables are numbers.
                "username" | "authpassphrase" | "mib" => {}
                "controlpoint" => known(value, &mut table).map_err(|what| config.invalid(&what))?,
                _ => {
                    table.insert(key.to_owned(), value.clone());
                }
            }
        }
        numbers_as_numbers(&mut table);
        Self::parse(table).map_err(|what| config.invalid(&what))
    }

    /// Whether the state can be read.
    pub(super) fn reads_back(&self) -> bool {
        self.state_oid.is_some()
    }

    /// Whether it can be used: a row without variables needs options.
    pub(super) fn check_complete(&self) -> Result<(), String> {
        for (name, own, setting) in [
            ("on", &self.on_oid, &self.on),
            ("off", &self.off_oid, &self.off),
        ] {
            if self.oid.is_none() && own.is_none() {
                return Err(format!("needs the option 'oid' (or '{name}-oid')"));
            }
            if setting.is_none() {
                return Err(format!(
                    "needs the option '{name}': the value that switches {name}"
                ));
            }
        }
        Ok(())
    }

    /// The request that switches.
    pub(super) fn switch(
        &self,
        pdu: &str,
        outlet: &Outlet,
        to: PowerState,
    ) -> Result<Option<Request>, HalError> {
        match to {
            PowerState::On => self.request(pdu, outlet, &self.on_oid, &self.on),
            PowerState::Off => self.request(pdu, outlet, &self.off_oid, &self.off),
        }
    }

    /// The request that reboots, if there is one.
    pub(super) fn reboot(&self, pdu: &str, outlet: &Outlet) -> Result<Option<Request>, HalError> {
        self.request(pdu, outlet, &self.reboot_oid, &self.reboot)
    }

    /// The request for the state, if there is one.
    pub(super) fn state(&self, pdu: &str, outlet: &Outlet) -> Result<Option<Request>, HalError> {
        let Some(template) = &self.state_oid else {
            return Ok(None);
        };
        let oid = self.oid(pdu, template, outlet)?;
        Ok(Some(Request { oid, set: None }))
    }

    /// What a value of the state's variable means; `None` when it means nothing.
    pub(super) fn meaning(&self, value: &Value) -> Option<PowerState> {
        let means = |state: PowerState| {
            self.values(state).iter().any(|setting| match setting {
                Setting::Number(number) => value.number() == Some(*number),
                Setting::Text(text) => *value == Value::Text(text.clone().into_bytes()),
            })
        };
        [PowerState::On, PowerState::Off]
            .into_iter()
            .find(|state| means(*state))
    }

    fn values(&self, state: PowerState) -> &[Setting] {
        let (listed, otherwise) = match state {
            PowerState::On => (&self.state_on, &self.on),
            PowerState::Off => (&self.state_off, &self.off),
        };
        if listed.is_empty() {
            otherwise.as_slice()
        } else {
            listed
        }
    }

    fn request(
        &self,
        pdu: &str,
        outlet: &Outlet,
        own: &Option<String>,
        setting: &Option<Setting>,
    ) -> Result<Option<Request>, HalError> {
        let (Some(template), Some(setting)) = (own.as_ref().or(self.oid.as_ref()), setting) else {
            return Ok(None);
        };
        let value = match (setting, self.number) {
            (Setting::Text(text), _) => Value::Text(text.clone().into_bytes()),
            (Setting::Number(number), Number::Integer) => Value::Integer(*number),
            (Setting::Number(number), Number::Gauge) => {
                Value::Gauge(u32::try_from(*number).unwrap_or(u32::MAX))
            }
        };
        let oid = self.oid(pdu, template, outlet)?;
        Ok(Some(Request {
            oid,
            set: Some(value),
        }))
    }

    fn oid(&self, pdu: &str, template: &str, outlet: &Outlet) -> Result<Oid, HalError> {
        if let Some([first, last]) = self.outlets {
            outlet.number(pdu, first, last)?;
        }
        self.fill(template, outlet.as_str()).map_err(|_| {
            use crate::error::ErrorKind::InvalidInput;
            let message = format!("PDU '{pdu}' has no outlet '{outlet}'");
            HalError::new(InvalidInput, pdu, message).with_hint("its outlets are numbers")
        })
    }

    /// A template with an outlet in it.
    fn fill(&self, template: &str, outlet: &str) -> Result<Oid, String> {
        let mut text = template.replace("{outlet}", outlet).replace('*', outlet);
        if let Some(size) = self.outlets_per_bank {
            let index = outlet
                .parse::<u32>()
                .ok()
                .and_then(|number| number.checked_sub(1));
            let bank = index.and_then(|index| Some((index.checked_div(size)?, index % size)));
            let Some((bank, position)) = bank else {
                return Err(format!("outlet '{outlet}' is in no bank"));
            };
            text = text
                .replace("{bank}", &(bank + 1).to_string())
                .replace("{position}", &(position + 1).to_string());
        }
        text.parse()
    }

    /// Who we are to this PDU.
    pub(super) fn credentials(&self, config: &PduConfig) -> Result<Credentials, HalError> {
        let number = match self.version.unwrap_or(Version::One) {
            Version::One => 0,
            Version::TwoC => 1,
            Version::Three => return self.user(config),
        };
        let own = self.community.as_ref();
        let given = config.password.as_ref();
        let write = given
            .or(own)
            .cloned()
            .unwrap_or_else(|| Secret::new(WRITE_COMMUNITY));
        // Who gives one community means it for both: what may write may read.
        let read = self.read_community.as_ref().or(given).or(own);
        let read = read.cloned().unwrap_or_else(|| Secret::new(READ_COMMUNITY));
        Ok(Credentials::Community {
            number,
            read,
            write,
        })
    }

    fn user(&self, config: &PduConfig) -> Result<Credentials, HalError> {
        let text = |key: &str| config.options.get(key).and_then(toml::Value::as_str);
        let name = config.username.as_deref().or_else(|| text("username"));
        let name = name.ok_or_else(|| config.invalid("SNMP version 3 needs 'username'"))?;
        let theirs = text("authpassphrase").map(Secret::new);
        let password = config.password.clone().or(theirs);
        let hash = self.auth.as_deref().map_or(Some(Hash::Sha1), Hash::named);
        let hash = hash.zip(password.clone());
        let wants_privacy = self.privacy_password.is_some()
            || (config.options.contains_key("privacy") && password.is_some());
        let cipher = self
            .privacy
            .as_deref()
            .map_or(Some(Cipher::Aes), Cipher::named);
        let cipher = cipher.zip(self.privacy_password.clone().or(password));
        if wants_privacy && hash.is_none() {
            return Err(config.invalid("what is encrypted has to be signed too: set 'password'"));
        }
        let weak = |secret: &Secret| secret.expose().len() < 8;
        let secrets = hash
            .iter()
            .map(|(_, secret)| secret)
            .chain(cipher.iter().map(|(_, secret)| secret));
        if secrets.into_iter().any(weak) {
            return Err(
                config.invalid("passwords of SNMP version 3 have at least eight characters")
            );
        }
        Ok(Credentials::User(User {
            name: name.to_owned(),
            hash,
            cipher: cipher.filter(|_| wants_privacy),
            context: self.context.clone().unwrap_or_default(),
        }))
    }
}

/// Replaces the name of a variable by what the table knows of it.
fn known(name: &toml::Value, table: &mut toml::Table) -> Result<(), String> {
    let name = name.as_str().unwrap_or_default();
    let Some((_, oid, [on, off])) = KNOWN.iter().find(|(known, ..)| *known == name) else {
        let names: Vec<_> = KNOWN.iter().map(|(name, ..)| *name).collect();
        return Err(format!(
            "the variable '{name}' is not known by its name (known are: {}): give its number as \
             the option 'oid'",
            names.join(", ")
        ));
    };
    table.insert("oid".to_owned(), toml::Value::from(*oid));
    table.insert("state-oid".to_owned(), toml::Value::from(*oid));
    table.insert("on".to_owned(), toml::Value::from(*on));
    table.insert("off".to_owned(), toml::Value::from(*off));
    Ok(())
}

/// pdudaemon's settings are text: "1" means 1, and a name means what the table knows.
fn numbers_as_numbers(table: &mut toml::Table) {
    for (key, default) in [("on", 1), ("off", 2)] {
        let Some(toml::Value::String(text)) = table.get(key) else {
            continue;
        };
        let named = text.to_ascii_lowercase().ends_with(key) && text.len() > key.len();
        let number = text
            .parse::<i64>()
            .ok()
            .or_else(|| named.then_some(default));
        if let Some(number) = number {
            table.insert(key.to_owned(), toml::Value::from(number));
        }
    }
}
