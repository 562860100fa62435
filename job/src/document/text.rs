//! Values as Python prints them.

use yaml::{Int, Map, Node, Value};

/// What Python's `str` makes of a value: LAVA pastes values of jobs into commands this way.
pub fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) | Value::Timestamp(text) => text.clone(),
        other => {
            let mut out = String::new();
            repr(other, &mut out);
            out
        }
    }
}

fn repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(Int::Small(number)) => out.push_str(&number.to_string()),
        Value::Int(Int::Big(number)) => out.push_str(&number.to_string()),
        Value::Float(number) => repr_float(*number, out),
        Value::String(text) | Value::Timestamp(text) => repr_str(text, out),
        Value::Binary(bytes) => {
            out.push('b');
            repr_str(&String::from_utf8_lossy(bytes), out);
        }
        Value::Sequence(items) => repr_items(items, ('[', ']'), out),
        Value::Set(items) => repr_items(items, ('{', '}'), out),
        Value::Mapping(map) => repr_map(map, out),
    }
}

fn repr_items(items: &[Node], (open, close): (char, char), out: &mut String) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(&item.value, out);
    }
    out.push(close);
}

fn repr_map(map: &Map, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(&key.value, out);
        out.push_str(": ");
        repr(&value.value, out);
    }
    out.push('}');
}

/// Shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
fn repr_float(number: f64, out: &mut String) {
    if number.is_nan() {
        return out.push_str("nan");
    }
    if number.is_infinite() {
        return out.push_str(if number > 0.0 { "inf" } else { "-inf" });
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        out.push_str(&format!("{digits}e{sign}{exponent:0>2}"));
    } else {
        out.push_str(&format!("{number:?}"));
    }
}

fn repr_str(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other == quote => {
                out.push('\\');
                out.push(other);
            }
            other if other.is_control() && u32::from(other) < 0x100 => {
                out.push_str(&format!("\\x{:02x}", u32::from(other)));
            }
            other => out.push(other),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_scalars_as_python_does() {
        for (value, text) in [
            (Value::Null, "None"),
            (Value::Bool(true), "True"),
            (Value::from(12), "12"),
            (Value::from(0.5), "0.5"),
            (Value::from(2.0), "2.0"),
            (Value::from(1e16), "1e+16"),
            (Value::from(1.5e-7), "1.5e-07"),
            (Value::from(f64::NEG_INFINITY), "-inf"),
            (Value::from("it's"), "it's"),
        ] {
            assert_eq!(python_str(&value), text);
        }
    }

    #[test]
    fn quotes_strings_only_inside_containers() {
        let items = vec![
            Value::from("it's"),
            Value::from("a\"'\n"),
            Value::from("\u{1b}"),
        ];
        assert_eq!(
            python_str(&Value::from(items)),
            r#"["it's", 'a"\'\n', '\x1b']"#
        );
        let mut map = Map::new();
        map.insert("a", Value::from(vec![Value::Null]));
        assert_eq!(python_str(&Value::from(map)), "{'a': [None]}");
    }
}
