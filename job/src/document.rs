//! Reading a loaded document: values with the path that leads to them.
//!
//! The typed views of jobs and devices, and planning where it reads a block itself, all go
//! through [`Cursor`], so that every problem names its place the same way.

use crate::Problem;
use yaml::{Map, Node, Value};

pub use crate::python::python_str;

/// A node and the path that leads to it.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> Cursor<'a> {
    /// The whole document.
    pub fn root(node: &'a Node) -> Self {
        Self::new(node, "")
    }

    /// A node that is known to be at a path.
    pub fn new(node: &'a Node, path: impl Into<String>) -> Self {
        Self {
            node,
            path: path.into(),
        }
    }

    /// The node.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The path: `actions[1].boot.prompts`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        self.node.value.kind()
    }

    /// A problem with this node.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.path.clone(), self.node.span, message)
    }

    /// A problem with a key that is not there.
    pub fn missing(&self, key: &str) -> Problem {
        self.problem(format!("`{key}` is missing"))
    }

    /// The value of a key; `None` when it is absent or this is not a map. A key without a value
    /// is there.
    pub fn get(&self, key: &str) -> Option<Self> {
        Some(Self {
            node: self.node.get(key)?,
            path: self.path_of(key),
        })
    }

    /// Whether this is a map with a key, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// The value of a key unless it is absent or null.
    pub fn set(&self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| !value.node.is_null())
    }

    /// The value of a key that must be there.
    pub fn require(&self, key: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let found = self.get(key);
        if found.is_none() {
            problems.push(self.missing(key));
        }
        found
    }

    /// Python's truth of the value of a key; an absent one is `default`.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.node.get(key).map_or(default, Node::is_truthy)
    }

    /// Scalars as text, the way Python's `str` prints them (an integer is accepted where a name
    /// is expected, as in LAVA); maps, lists and null are a problem.
    pub fn text(&self, problems: &mut Vec<Problem>) -> Option<String> {
        let text = self.as_text();
        if text.is_none() {
            problems.push(self.problem(format!("expected text, found {}", self.kind())));
        }
        text
    }

    /// As [`Cursor::text`], without a problem.
    pub fn as_text(&self) -> Option<String> {
        match &self.node.value {
            Value::String(text) => Some(text.clone()),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Set(_) => None,
            other => Some(python_str(other)),
        }
    }

    /// The text of a key, where it is set.
    pub fn text_at(&self, key: &str, problems: &mut Vec<Problem>) -> Option<String> {
        self.set(key)?.text(problems)
    }

    /// One text or a list of them; null members are left out, nested lists are flattened, as LAVA
    /// does with the lists of devices.
    pub fn texts(&self, problems: &mut Vec<Problem>) -> Vec<String> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::Sequence(_) => self
                .items(problems)
                .iter()
                .flat_map(|item| item.texts(problems))
                .collect(),
            _ => self.text(problems).into_iter().collect(),
        }
    }

    /// The texts of a key; none when it is absent.
    pub fn texts_at(&self, key: &str, problems: &mut Vec<Problem>) -> Vec<String> {
        self.get(key)
            .map_or_else(Vec::new, |value| value.texts(problems))
    }

    /// The items of a list; anything else is a problem.
    pub fn items(&self, problems: &mut Vec<Problem>) -> Vec<Self> {
        let Some(items) = self.node.as_sequence() else {
            problems.push(self.problem(format!("expected a list, found {}", self.kind())));
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(index, node)| Self {
                node,
                path: format!("{}[{index}]", self.path),
            })
            .collect()
    }

    /// The map this is; null is an empty one, anything else a problem.
    pub fn map(&self, problems: &mut Vec<Problem>) -> Option<&'a Map> {
        match &self.node.value {
            Value::Mapping(map) => Some(map),
            Value::Null => None,
            _ => {
                problems.push(self.problem(format!("expected a map, found {}", self.kind())));
                None
            }
        }
    }

    /// Key and value of each entry of a map; null has none, anything else is a problem.
    pub fn entries(&self, problems: &mut Vec<Problem>) -> Vec<(String, Self)> {
        let Some(map) = self.map(problems) else {
            return Vec::new();
        };
        map.iter()
            .map(|(key, node)| {
                let key = python_str(&key.value);
                let path = self.path_of(&key);
                (key, Self { node, path })
            })
            .collect()
    }

    /// Key and text of each entry of a map, values as Python prints them.
    pub fn text_entries(&self, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
        self.entries(problems)
            .into_iter()
            .map(|(key, value)| (key, python_str(&value.node.value)))
            .collect()
    }

    /// A number that fits `u32`; anything else is a problem.
    pub fn count(&self, problems: &mut Vec<Problem>) -> Option<u32> {
        let number = match &self.node.value {
            // Numbers in quotes are common in device dictionaries.
            Value::String(text) => text.trim().parse().ok(),
            _ => self
                .node
                .as_i64()
                .and_then(|number| u32::try_from(number).ok()),
        };
        if number.is_none() {
            problems.push(self.problem(format!("expected a number, found {}", self.kind())));
        }
        number
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// A value as JSON has it. What JSON does not know becomes text as Python prints it: numbers that
/// are too large or not finite, binary data, keys that are no strings.
pub fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(yaml::Int::Small(number)) => (*number).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| Json::String(python_str(value)), Json::Number),
        Value::Sequence(items) | Value::Set(items) => {
            items.iter().map(|item| json(&item.value)).collect()
        }
        Value::Mapping(map) => map
            .iter()
            .map(|(key, value)| (python_str(&key.value), json(&value.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => Json::String(python_str(other)),
    }
}
