//! Quoting for the shells of boards, and Python's texts of values, which LAVA's users see.

use yaml::{Int, Node, Value};

/// `text` as one word of a shell, quoted only where it must be (Python's `shlex.quote`).
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        always(text)
    }
}

/// `text` in single quotes.
pub(super) fn always(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Whether a shell takes `name` as the name of a variable.
pub(super) fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Python's `str()` of a value, as LAVA writes parameters that are not strings.
pub(super) fn python_str(node: &Node) -> String {
    match &node.value {
        Value::String(text) => text.clone(),
        _ => python_repr(node),
    }
}

/// Python's `repr()` of a value.
pub(super) fn python_repr(node: &Node) -> String {
    match &node.value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(Int::Small(number)) => number.to_string(),
        Value::Int(Int::Big(number)) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::String(text) | Value::Timestamp(text) => python_text_repr(text),
        Value::Binary(bytes) => format!("b{}", python_text_repr(&String::from_utf8_lossy(bytes))),
        Value::Sequence(items) => format!("[{}]", join(items.iter().map(python_repr))),
        Value::Set(items) => format!("{{{}}}", join(items.iter().map(python_repr))),
        Value::Mapping(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| format!("{}: {}", python_repr(key), python_repr(value)));
            format!("{{{}}}", join(entries))
        }
    }
}

/// Python's `repr()` of a string.
pub(super) fn python_text_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_expand() {
        assert_eq!(word("qemu-tcg01"), "qemu-tcg01");
        assert_eq!(word(""), "''");
        assert_eq!(word("two words"), "'two words'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn variables_have_no_characters_that_end_an_assignment() {
        for name in ["A", "_x1", "GREETING"] {
            assert!(is_variable(name), "{name}");
        }
        for name in ["", "1A", "A-B", "A;reboot", "A B", "Ä"] {
            assert!(!is_variable(name), "{name}");
        }
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        let map: yaml::Map = {
            let mut map = yaml::Map::new();
            map.insert("a", Value::from(true));
            map.insert("b", Value::Null);
            map
        };
        let value = Value::from(vec![Value::from("it's"), Value::from(1), Value::from(map)]);
        assert_eq!(
            python_str(&value.into()),
            r#"["it's", 1, {'a': True, 'b': None}]"#
        );
        assert_eq!(python_str(&Value::from("plain").into()), "plain");
        assert_eq!(python_str(&Value::from(0.5).into()), "0.5");
    }
}
