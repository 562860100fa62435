//! Values as YAML.

use serde_json::Value;

/// A document in block style, as PyYAML's safe dumper writes it with `sort_keys=False`.
pub(super) fn dump(value: &Value) -> String {
    let mut out = Vec::new();
    if let Value::Array(items) = value {
        for item in items {
            out.extend_from_slice(b"- ");
            super::text::push_value(&mut out, item);
            out.push(b'\n');
        }
    } else {
        super::text::push_value(&mut out, value);
        out.push(b'\n');
    }
    String::from_utf8_lossy(&out).into_owned()
}
