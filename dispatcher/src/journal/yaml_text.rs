//! Values as YAML.

use serde_json::{Number, Value};
use yaml::{DumpOptions, Map, Node};

/// A document in block style, as PyYAML's safe dumper writes it with `sort_keys=False`.
pub(super) fn dump(value: &Value) -> String {
    yaml::dump(&node(value).value, &DumpOptions::default())
}

fn node(value: &Value) -> Node {
    let value = match value {
        Value::Null => yaml::Value::Null,
        Value::Bool(value) => yaml::Value::from(*value),
        Value::Number(number) => number_value(number),
        Value::String(text) => yaml::Value::from(text.as_str()),
        Value::Array(items) => yaml::Value::Sequence(items.iter().map(node).collect()),
        Value::Object(map) => {
            let pairs = map.iter();
            let pairs = pairs.map(|(key, value)| (Node::from(key.as_str()), node(value)));
            yaml::Value::Mapping(pairs.collect::<Map>())
        }
    };
    Node::from(value)
}

fn number_value(number: &Number) -> yaml::Value {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => yaml::Value::from(integer),
        (None, Some(float)) if number.is_f64() => yaml::Value::from(float),
        // Longer than a machine word with a sign: as text it is the same number to every reader.
        _ => yaml::load(&number.to_string(), &yaml::Limits::default())
            .map_or(yaml::Value::Null, |node| node.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_look_like_those_of_lava() {
        let value = json!([{
            "name": "validate",
            "job": "1",
            "measurement": "None",
            "level": "1.1.2",
            "big": u64::MAX,
            "metadata": {"extra": [{"size": 14_186_432}, {"tiny": 1e-7}], "nothing": null},
        }]);
        assert_eq!(
            dump(&value),
            "- name: validate\n  job: '1'\n  measurement: None\n  level: 1.1.2\n  \
             big: 18446744073709551615\n  metadata:\n    extra:\n    - size: 14186432\n    \
             - tiny: 1.0e-07\n    nothing: null\n"
        );
    }
}
