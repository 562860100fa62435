//! YAML values as values of the template engine.

use minijinja::value::Value;
use yaml::{Int, Node};

/// What a template sees of a node of the job's context.
pub(crate) fn from_node(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::from(()),
        yaml::Value::Bool(truth) => Value::from(*truth),
        yaml::Value::Int(Int::Small(number)) => Value::from(*number),
        yaml::Value::Int(Int::Big(number)) => {
            // Wider than the engine's integers: the digits are all a template can use.
            i128::try_from(number).map_or_else(|_| Value::from(number.to_string()), Value::from)
        }
        yaml::Value::Float(number) => Value::from(*number),
        yaml::Value::String(text) | yaml::Value::Timestamp(text) => Value::from(text.as_str()),
        yaml::Value::Binary(bytes) => Value::from_bytes(bytes.clone()),
        yaml::Value::Sequence(items) | yaml::Value::Set(items) => {
            Value::from(items.iter().map(from_node).collect::<Vec<_>>())
        }
        yaml::Value::Mapping(map) => Value::from_pairs(
            map.iter()
                .map(|(key, value)| (from_node(key), from_node(value))),
        ),
    }
}
