//! A row of the table: which requests a model understands, and what its answers mean.

use super::{
    judge::{Expect, Show},
    template::{self, Escape, Values},
};
use crate::{
    error::HalError,
    lab::{PduConfig, Secret},
    tls::{self, Trust},
};
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A row, possibly incomplete: options of the lab file may add to it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Row {
    /// The first and the last outlet. Without it an outlet is any name.
    pub(super) outlets: Option<[u32; 2]>,
    /// The login that the maker ships, if there is one.
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    #[serde(default)]
    pub(super) auth: Auth,
    /// What a path gets with a login, and only then: "user={username}&password={password}".
    pub(super) login_query: Option<String>,
    /// What an answer holds, in any place, when the login is refused.
    pub(super) denied: Option<String>,
    /// Sent with every request.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Requests before each other one; their cookies are kept for it.
    #[serde(default)]
    pub(super) login: Vec<Request>,
    /// Requests after it, whatever it brought.
    #[serde(default)]
    pub(super) logout: Vec<Request>,
    pub(super) on: Option<Request>,
    pub(super) off: Option<Request>,
    pub(super) reboot: Option<Request>,
    pub(super) state: Option<Request>,
    /// When answers to 'on', 'off' and 'reboot' agree, besides their status.
    pub(super) expect: Option<Expect>,
    /// What the answer to 'state' shows.
    pub(super) show: Option<Show>,
    /// The port of an address without one.
    pub(super) port: Option<u16>,
    /// Whether to accept any certificate.
    #[serde(default)]
    insecure: bool,
    /// The SHA-256 of the only certificate to accept.
    fingerprint: Option<String>,
    /// The URL of a proxy. Those of the environment do not hold here.
    pub(super) proxy: Option<String>,
}

/// How requests carry the login. Nothing is sent without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Auth {
    /// In a place that the row's templates say, or not at all.
    #[default]
    None,
    /// RFC 7617; digest too, where the device asks for it.
    Basic,
    /// RFC 7616.
    Digest,
    /// RFC 6750: the password is the token.
    Bearer,
}

/// One request: "GET /path", or a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Body,
    /// What `{value}` stands for.
    pub(super) value: String,
    /// The statuses that are good; else all from 200 to 299.
    pub(super) status: Vec<u16>,
    pub(super) expect: Option<Expect>,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    Form(BTreeMap<String, String>),
    Json(toml::Value),
    Text { text: String, content_type: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Line(String),
    Table(Box<Table>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    form: Option<BTreeMap<String, String>>,
    json: Option<toml::Value>,
    body: Option<String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
    #[serde(default)]
    value: String,
    #[serde(default)]
    status: Vec<u16>,
    expect: Option<Expect>,
}

impl TryFrom<Written> for Request {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let table = match written {
            Written::Table(table) => *table,
            Written::Line(request) => Table {
                request,
                headers: BTreeMap::new(),
                form: None,
                json: None,
                body: None,
                content_type: None,
                value: String::new(),
                status: Vec::new(),
                expect: None,
            },
        };
        let (method, path) = table
            .request
            .split_once(' ')
            .unwrap_or((&table.request, ""));
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
        if !known || !(path.is_empty() || path.starts_with('/')) {
            let request = &table.request;
            return Err(format!(
                "'{request}' is no request: \"GET /path\", \"PUT /path\", …"
            ));
        }
        let body = match (table.form, table.json, table.body) {
            (None, None, None) => Body::None,
            (Some(form), None, None) => Body::Form(form),
            (None, Some(json), None) => Body::Json(json),
            (None, None, Some(text)) => Body::Text {
                text,
                content_type: table
                    .content_type
                    .unwrap_or_else(|| "text/plain".to_owned()),
            },
            _ => return Err("a request has 'form' or 'json' or 'body', one of them".to_owned()),
        };
        Ok(Self {
            method: Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?,
            path: path.to_owned(),
            headers: table.headers,
            body,
            value: table.value,
            status: table.status,
            expect: table.expect,
        })
    }
}

impl Body {
    /// The bytes and their type.
    pub(super) fn filled(&self, values: Values<'_>) -> Result<Option<(String, String)>, String> {
        let fill = |text: &str| template::fill(text, values, Escape::None);
        let typed = |text, content_type: &str| Ok(Some((text, content_type.to_owned())));
        match self {
            Self::None => Ok(None),
            Self::Form(form) => {
                let pairs: Result<Vec<_>, String> = form
                    .iter()
                    .map(|(key, value)| {
                        let (key, value) = (fill(key)?, fill(value)?);
                        Ok(format!(
                            "{}={}",
                            template::percent(&key),
                            template::percent(&value)
                        ))
                    })
                    .collect();
                typed(pairs?.join("&"), "application/x-www-form-urlencoded")
            }
            Self::Json(json) => typed(as_json(json, values)?.to_string(), "application/json"),
            Self::Text { text, content_type } => typed(fill(text)?, content_type),
        }
    }
}

/// JSON with its texts filled in; a text that is one number made of the outlet becomes a number.
fn as_json(value: &toml::Value, values: Values<'_>) -> Result<serde_json::Value, String> {
    use serde_json::Value;
    Ok(match value {
        toml::Value::String(text) => {
            let filled = template::fill(text, values, Escape::None)?;
            let alone = text.starts_with("{outlet") && text.find('}') == Some(text.len() - 1);
            match filled.parse::<u64>() {
                Ok(number) if alone => Value::from(number),
                _ => Value::from(filled),
            }
        }
        toml::Value::Array(list) => {
            let list: Result<_, String> = list.iter().map(|value| as_json(value, values)).collect();
            Value::Array(list?)
        }
        toml::Value::Table(table) => {
            let members: Result<_, String> = table
                .iter()
                .map(|(key, value)| {
                    let key = template::fill(key, values, Escape::None)?;
                    Ok((key, as_json(value, values)?))
                })
                .collect();
            Value::Object(members?)
        }
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
    })
}

impl Row {
    /// Reads a row and checks what can be checked without a lab file.
    pub(super) fn parse(table: toml::Table) -> Result<Self, String> {
        let row: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        if row.state.is_some() != row.show.is_some() {
            return Err("'state' and 'show' need each other".to_owned());
        }
        row.trust()?;
        let first = row.outlets.map_or(1, |[first, _]| first).to_string();
        // A model whose outlets have two parts cannot be filled in with one, and the reverse.
        row.check(&first)
            .or_else(|error| row.check("1/2/3/4").map_err(|_| error))?;
        Ok(row)
    }

    /// The row `table` with what the lab file's options add and replace.
    pub(super) fn with_options(table: &toml::Table, config: &PduConfig) -> Result<Self, HalError> {
        let mut table = table.clone();
        table.extend(config.options.clone());
        let row = Self::parse(table).map_err(|what| config.invalid(&what))?;
        for (name, request) in [("on", &row.on), ("off", &row.off)] {
            if request.is_none() {
                return Err(config.invalid(&format!(
                    "needs the option '{name}': the request that switches {name}"
                )));
            }
        }
        Ok(row)
    }

    /// All requests.
    fn requests(&self) -> impl Iterator<Item = &Request> {
        let single = [&self.on, &self.off, &self.reboot, &self.state];
        self.login
            .iter()
            .chain(&self.logout)
            .chain(single.into_iter().flatten())
    }

    fn check(&self, outlet: &str) -> Result<(), String> {
        let secret = Secret::new("password");
        for request in self.requests() {
            let values = Values {
                outlet,
                value: &request.value,
                username: "username",
                password: &secret,
            };
            template::fill(&request.path, values, Escape::Percent)?;
            request.body.filled(values)?;
            for text in self.headers.values().chain(request.headers.values()) {
                template::fill(text, values, Escape::None)?;
            }
            for expect in self.expect.iter().chain(&request.expect) {
                expect.check(values)?;
            }
            if let Some(show) = &self.show {
                show.check(values)?;
            }
            if let Some(query) = &self.login_query {
                template::fill(query, values, Escape::Percent)?;
            }
        }
        Ok(())
    }

    /// Whose certificate is accepted.
    pub(super) fn trust(&self) -> Result<Trust, String> {
        match (&self.fingerprint, self.insecure) {
            (Some(_), true) => Err("has both 'fingerprint' and 'insecure'".to_owned()),
            (Some(text), false) => tls::fingerprint(text)
                .map(Trust::Fingerprint)
                .ok_or_else(|| format!("'{text}' is no fingerprint: the SHA-256 in hexadecimal")),
            (None, true) => Ok(Trust::Anybody),
            (None, false) => Ok(Trust::Host),
        }
    }
}
