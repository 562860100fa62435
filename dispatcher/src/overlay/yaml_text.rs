//! Test definitions as text: loading with limits and the normalised dump.

use super::files;
use job::Fault;
use std::path::Path;
use yaml::{Int, Node, Value};

/// The largest test definition that is read. The largest known ones have some 100 kB.
const LIMIT: u64 = 4 << 20;

/// Loads a definition from its file in a repository.
pub(super) fn load_below(directory: &Path, path: &str) -> Result<Node, Fault> {
    let text = files::read_below(directory, path, "the test definition", LIMIT)?;
    let value: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| Fault::job(format!("the test definition {path:?}: {error}")))?;
    Ok(from_json(value).into())
}

/// The normalised text of a document.
pub(super) fn dump(document: &Node) -> Result<String, Fault> {
    serde_json::to_string(&to_json(document)).map_err(|error| Fault::bug(error.to_string()))
}

fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => truth.into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(Int::Small(number)),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Array(items) => Value::Sequence(
            items
                .into_iter()
                .map(|item| from_json(item).into())
                .collect(),
        ),
        serde_json::Value::Object(entries) => {
            let mut map = yaml::Map::new();
            for (key, value) in entries {
                map.insert(Value::from(key), from_json(value));
            }
            map.into()
        }
    }
}

fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(Int::Small(number)) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Sequence(items) | Value::Set(items) => items.iter().map(to_json).collect(),
        Value::Mapping(map) => serde_json::Value::Object(
            map.iter()
                .map(|(key, value)| (super::quote::python_str(key), to_json(value)))
                .collect(),
        ),
        _ => super::quote::python_str(node).into(),
    }
}
