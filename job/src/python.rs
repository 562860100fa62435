//! Values as Python prints them: LAVA shows them to its users and pastes them into commands.

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

/// What Python's `repr` makes of a value.
pub fn python_repr(value: &Value) -> String {
    let mut out = String::new();
    repr(value, &mut out);
    out
}

fn repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(Int::Small(number)) => out.push_str(&number.to_string()),
        Value::Int(Int::Big(number)) => out.push_str(&number.to_string()),
        Value::Float(number) => push_float_repr(*number, out),
        Value::String(text) | Value::Timestamp(text) => push_text_repr(text, out),
        Value::Binary(bytes) => {
            out.push('b');
            push_text_repr(&String::from_utf8_lossy(bytes), out);
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

/// Appends Python's `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub fn push_float_repr(number: f64, out: &mut String) {
    if number.is_nan() {
        return out.push_str("nan");
    }
    if number.is_infinite() {
        return out.push_str(if number > 0.0 { "inf" } else { "-inf" });
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
    } else {
        // Debug prints `1.0` where Display prints `1`, and no exponent in this range.
        out.push_str(&format!("{number:?}"));
    }
}

/// Python's `repr` of a string: single quotes, unless only double quotes save an escape.
pub fn text_repr(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_text_repr(text, &mut out);
    out
}

/// Appends Python's `repr` of a string.
pub fn push_text_repr(text: &str, out: &mut String) {
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
            _ if character == quote => {
                out.push('\\');
                out.push(character);
            }
            _ if is_printable(character) => out.push(character),
            _ => match u32::from(character) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable` for one character, but for unassigned code points, which count as
/// printable here: the tables are not worth their weight.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && (character == ' ' || !character.is_whitespace())
        && !matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' | '\u{f0000}'..='\u{10ffff}')
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
