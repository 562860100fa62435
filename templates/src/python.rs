//! How Python prints values: `str()` and `repr()`.
//!
//! Device types paste lists and strings into YAML, so `['a\n']` against `["a\n"]` is a difference
//! of meaning there, not of taste: only in double quotes is `\n` a line break.

use job::python::{push_float_repr, push_text_repr};
use minijinja::value::{Value, ValueKind};
use std::fmt::{self, Write};

/// Nesting that is printed; deeper values are refused rather than overflow the stack.
const MAX_DEPTH: usize = 100;

/// Why a value cannot be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// What was printed, and whether a part of it was never set.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) has_unset: bool,
}

/// `str(value)`.
pub(crate) fn to_str(value: &Value) -> Result<Printed, TooDeep> {
    let mut printed = Printed::default();
    match value.kind() {
        ValueKind::Undefined => {}
        ValueKind::String => printed.text.push_str(value.as_str().unwrap_or_default()),
        _ => write_repr(&mut printed, value, 0)?,
    }
    Ok(printed)
}

fn write_repr(out: &mut Printed, value: &Value, depth: usize) -> Result<(), TooDeep> {
    if depth > MAX_DEPTH {
        return Err(TooDeep);
    }
    match value.kind() {
        ValueKind::Undefined => {
            out.has_unset = true;
            out.text.push_str("Undefined");
        }
        ValueKind::None => out.text.push_str("None"),
        ValueKind::Bool => out
            .text
            .push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number if !value.is_integer() => {
            let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
            push_float_repr(number, &mut out.text);
        }
        ValueKind::String => {
            push_text_repr(value.as_str().unwrap_or_default(), &mut out.text);
        }
        ValueKind::Bytes => write_bytes(&mut out.text, value.as_bytes().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => write_sequence(out, value, depth)?,
        ValueKind::Map => write_map(out, value, depth)?,
        _ => append(&mut out.text, format_args!("{value}")),
    }
    Ok(())
}

fn append(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail unless a Display implementation does.
    let _ = out.write_fmt(text);
}

fn write_sequence(out: &mut Printed, value: &Value, depth: usize) -> Result<(), TooDeep> {
    let is_tuple = value.is_tuple();
    out.text.push(if is_tuple { '(' } else { '[' });
    let mut count = 0;
    for item in value.try_iter().into_iter().flatten() {
        if count > 0 {
            out.text.push_str(", ");
        }
        write_repr(out, &item, depth + 1)?;
        count += 1;
    }
    if is_tuple && count == 1 {
        out.text.push(',');
    }
    out.text.push(if is_tuple { ')' } else { ']' });
    Ok(())
}

fn write_map(out: &mut Printed, value: &Value, depth: usize) -> Result<(), TooDeep> {
    out.text.push('{');
    for (index, key) in value.try_iter().into_iter().flatten().enumerate() {
        if index > 0 {
            out.text.push_str(", ");
        }
        write_repr(out, &key, depth + 1)?;
        out.text.push_str(": ");
        write_repr(out, &value.get_item(&key).unwrap_or_default(), depth + 1)?;
    }
    out.text.push('}');
    Ok(())
}

fn write_bytes(out: &mut String, bytes: &[u8]) {
    let has_single = bytes.contains(&b'\'');
    let quote = if has_single && !bytes.contains(&b'"') {
        b'"'
    } else {
        b'\''
    };
    out.push('b');
    out.push(char::from(quote));
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ if byte == quote => append(out, format_args!("\\{}", char::from(byte))),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => append(out, format_args!("\\x{byte:02x}")),
        }
    }
    out.push(char::from(quote));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repr(value: &Value) -> String {
        let mut printed = Printed::default();
        write_repr(&mut printed, value, 0).unwrap();
        printed.text
    }

    #[test]
    fn floats_print_as_in_python() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456.789, "123456.789"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(repr(&Value::from(number)), expected);
        }
    }

    #[test]
    fn strings_prefer_single_quotes() {
        for (text, expected) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("\"", "'\"'"),
            ("'\"", "'\\'\"'"),
            ("12:1234\n1\\", "'12:1234\\n1\\\\'"),
            ("\x1b\u{a0}\u{200b}é", "'\\x1b\\xa0\\u200bé'"),
            ("\u{f0000}", "'\\U000f0000'"),
        ] {
            assert_eq!(repr(&Value::from(text)), expected);
        }
    }

    #[test]
    fn containers_and_constants_nest() {
        let value = Value::from(vec![
            Value::from(true),
            Value::from(()),
            Value::UNDEFINED,
            Value::from_pairs([("k", Value::from(vec![1, 2]))]),
        ]);
        assert_eq!(repr(&value), "[True, None, Undefined, {'k': [1, 2]}]");
    }

    #[test]
    fn a_value_that_is_nested_too_deep_is_refused() {
        let mut value = Value::from(1);
        for _ in 0..200 {
            value = Value::from(vec![value]);
        }
        assert_eq!(to_str(&value).unwrap_err(), TooDeep);
    }
}
