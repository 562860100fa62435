//! LAVA's filters, and those of Jinja2's whose counterparts in the engine differ.
#![expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands filters their optional arguments by value"
)]

use crate::{engine::python_text, error::Error, error::ErrorKind};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error as EngineError, ErrorKind as EngineErrorKind};

pub(crate) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("shlex_quote", shlex_quote);
    environment.add_filter("yaml_quote", yaml_quote);
    environment.add_filter("qemu_guest_fs_interface", qemu_guest_fs_interface);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("string", string);
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("attr", attr);
}

/// Quotes a string for a POSIX shell as Python's `shlex.quote` does.
fn shlex_quote(value: &Value) -> Result<String, EngineError> {
    if !value.is_true() {
        return Ok("''".to_owned());
    }
    let text = value.as_str().ok_or_else(|| {
        EngineError::new(
            EngineErrorKind::InvalidOperation,
            format!("shlex_quote takes a string, not a {}", value.kind()),
        )
    })?;
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if text.chars().all(is_safe) {
        Ok(text.to_owned())
    } else {
        Ok(format!("'{}'", text.replace('\'', "'\"'\"'")))
    }
}

/// Writes a value as one line of double-quoted YAML in flow style.
fn yaml_quote(value: &Value) -> Result<String, EngineError> {
    let mut out = String::new();
    write_yaml(&mut out, value, 0)?;
    Ok(out)
}

fn write_yaml(out: &mut String, value: &Value, depth: usize) -> Result<(), EngineError> {
    if depth > 100 {
        return Err(Error::new(ErrorKind::Limit, "the value is nested too deep").into());
    }
    match value.kind() {
        ValueKind::String => write_yaml_string(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, item) in value.try_iter()?.enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_yaml(out, &item, depth + 1)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_yaml(out, &key, depth + 1)?;
                out.push_str(": ");
                write_yaml(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push('}');
        }
        ValueKind::None => out.push_str("!!null \"null\""),
        ValueKind::Bool => {
            out.push_str("!!bool ");
            write_yaml_string(out, if value.is_true() { "true" } else { "false" });
        }
        ValueKind::Number => {
            out.push_str(if value.is_integer() {
                "!!int "
            } else {
                "!!float "
            });
            write_yaml_string(out, &python_text(value)?);
        }
        kind => {
            return Err(EngineError::new(
                EngineErrorKind::InvalidOperation,
                format!("yaml_quote cannot write a value of type {kind}"),
            ));
        }
    }
    Ok(())
}

/// A double-quoted scalar with the escapes PyYAML uses when it writes ASCII only.
fn write_yaml_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            ' '..='~' => out.push(character),
            _ => out.push_str(&match u32::from(character) {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            }),
        }
    }
    out.push('"');
}

/// The bus of QEMU's guest drive: what the lab or job says, else what the machine has.
fn qemu_guest_fs_interface(architecture: &Value, chosen: Option<Value>) -> Value {
    if let Some(chosen) = chosen.filter(Value::is_true) {
        return chosen;
    }
    Value::from(match architecture.as_str() {
        Some("amd64" | "x86_64" | "i386") => "ide",
        _ => "virtio",
    })
}

fn default(value: &Value, arguments: Rest<Value>, kwargs: Kwargs) -> Result<Value, EngineError> {
    let (positional_value, positional_lax) = match arguments.0.as_slice() {
        [] => (None, None),
        [value] => (Some(value.clone()), None),
        [value, lax] => (Some(value.clone()), Some(lax.is_true())),
        _ => return Err(EngineErrorKind::TooManyArguments.into()),
    };
    let fallback = match positional_value {
        Some(value) => value,
        None => kwargs
            .get::<Option<Value>>("default_value")?
            .unwrap_or_else(|| Value::from("")),
    };
    let lax = match positional_lax {
        Some(lax) => lax,
        None => kwargs
            .get::<Option<Value>>("boolean")?
            .is_some_and(|lax| lax.is_true()),
    };
    kwargs.assert_all_used()?;
    Ok(if value.is_undefined() || (lax && !value.is_true()) {
        fallback
    } else {
        value.clone()
    })
}

fn string(value: &Value) -> Result<String, EngineError> {
    python_text(value)
}

fn join(
    value: &Value,
    separator: Option<Value>,
    attribute: Option<Value>,
    kwargs: Kwargs,
) -> Result<String, EngineError> {
    let separator = match separator {
        Some(separator) => separator,
        None => kwargs.get::<Option<Value>>("d")?.unwrap_or_default(),
    };
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get::<Option<Value>>("attribute")?,
    };
    kwargs.assert_all_used()?;
    let separator = python_text(&separator)?;
    let mut out = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        let item = match &attribute {
            Some(attribute) => item.get_item(attribute)?,
            None => item,
        };
        out.push_str(&python_text(&item)?);
    }
    Ok(out)
}

fn replace(
    value: &Value,
    old: &Value,
    new: &Value,
    count: Option<i64>,
) -> Result<String, EngineError> {
    let (text, old, new) = (python_text(value)?, python_text(old)?, python_text(new)?);
    Ok(match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => text.replacen(&old, &new, count),
        None => text.replace(&old, &new),
    })
}

fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    kwargs: Kwargs,
) -> Result<String, EngineError> {
    let width = match width {
        Some(width) => width,
        None => kwargs
            .get::<Option<Value>>("width")?
            .unwrap_or_else(|| Value::from(4)),
    };
    let first = match first {
        Some(first) => first,
        None => kwargs.get::<Option<bool>>("first")?.unwrap_or(false),
    };
    let blank = match blank {
        Some(blank) => blank,
        None => kwargs.get::<Option<bool>>("blank")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    let prefix = match width.as_str() {
        Some(prefix) => prefix.to_owned(),
        None => {
            let width = usize::try_from(width)?;
            if width > 1000 {
                return Err(Error::new(ErrorKind::Limit, "indent takes 1000 at most").into());
            }
            " ".repeat(width)
        }
    };
    let text = python_text(value)?;
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let is_indented = if index == 0 {
            first
        } else {
            blank || !line.is_empty()
        };
        if is_indented {
            out.push_str(&prefix);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn int(
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    kwargs: Kwargs,
) -> Result<Value, EngineError> {
    let default = match default {
        Some(default) => default,
        None => kwargs
            .get::<Option<Value>>("default")?
            .unwrap_or_else(|| Value::from(0)),
    };
    let base = match base {
        Some(base) => base,
        None => kwargs.get::<Option<u32>>("base")?.unwrap_or(10),
    };
    kwargs.assert_all_used()?;
    refuse_undefined(value)?;
    if let Some(text) = value.as_str() {
        return Ok(parse_int(text, base)
            .or_else(|| parse_float(text).map(truncate))
            .map_or(default, Value::from));
    }
    Ok(match value.kind() {
        ValueKind::Bool => Value::from(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => {
            f64::try_from(value.clone()).map_or(default, |number| Value::from(truncate(number)))
        }
        _ => default,
    })
}

/// Jinja2 has no number for what nobody set, whatever the default.
fn refuse_undefined(value: &Value) -> Result<(), EngineError> {
    if value.is_undefined() {
        return Err(EngineErrorKind::UndefinedError.into());
    }
    Ok(())
}

/// Python's `int(text, base)` for the bases templates use.
fn parse_int(text: &str, base: u32) -> Option<i128> {
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => ["", ""],
    };
    let digits = prefix
        .iter()
        .find_map(|prefix| digits.strip_prefix(prefix))
        .unwrap_or(digits);
    if !(2..=36).contains(&base) || !digits.starts_with(|c: char| c.is_digit(base)) {
        return None;
    }
    let number = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if is_negative { -number } else { number })
}

fn parse_float(text: &str) -> Option<f64> {
    text.trim().replace('_', "").parse().ok()
}

fn truncate(number: f64) -> i128 {
    number as i128
}

fn float(value: &Value, default: Option<Value>, kwargs: Kwargs) -> Result<Value, EngineError> {
    let default = match default {
        Some(default) => default,
        None => kwargs
            .get::<Option<Value>>("default")?
            .unwrap_or_else(|| Value::from(0.0)),
    };
    kwargs.assert_all_used()?;
    refuse_undefined(value)?;
    if let Some(text) = value.as_str() {
        return Ok(parse_float(text).map_or(default, Value::from));
    }
    Ok(match value.kind() {
        ValueKind::Bool => Value::from(if value.is_true() { 1.0 } else { 0.0 }),
        ValueKind::Number => f64::try_from(value.clone()).map_or(default, Value::from),
        _ => default,
    })
}

/// Jinja2's sandbox hides what Python keeps behind `__x__`; here there is nothing to hide, but a
/// template that tries is refused all the same.
fn attr(value: &Value, name: &str) -> Result<Value, EngineError> {
    if name.starts_with("__") {
        return Err(crate::source::private_name(name).into());
    }
    value.get_attr(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_quoting_follows_python() {
        for (text, expected) in [
            ("", "''"),
            ("plain-1.2:/x@y%z+=,", "plain-1.2:/x@y%z+=,"),
            ("two words", "'two words'"),
            ("it's", "'it'\"'\"'s'"),
            ("é", "'é'"),
        ] {
            assert_eq!(shlex_quote(&Value::from(text)).unwrap(), expected);
        }
        assert!(shlex_quote(&Value::from(5)).is_err());
    }

    #[test]
    fn yaml_quoting_is_one_line() {
        for (value, expected) in [
            (Value::from("a \"b\"\n\u{e9}"), r#""a \"b\"\n\xE9""#),
            (Value::from(5), r#"!!int "5""#),
            (Value::from(true), r#"!!bool "true""#),
            (Value::from(()), r#"!!null "null""#),
            (
                Value::from_pairs([("k", Value::from(vec!["x", "y"]))]),
                r#"{"k": ["x", "y"]}"#,
            ),
        ] {
            assert_eq!(yaml_quote(&value).unwrap(), expected);
        }
    }

    #[test]
    fn guest_drives_are_ide_on_pcs_only() {
        let interface = |architecture: &str, chosen: Option<&str>| {
            qemu_guest_fs_interface(&Value::from(architecture), chosen.map(Value::from)).to_string()
        };
        assert_eq!(interface("amd64", None), "ide");
        assert_eq!(interface("i386", Some("")), "ide");
        assert_eq!(interface("arm64", None), "virtio");
        assert_eq!(interface("amd64", Some("scsi")), "scsi");
    }
}
