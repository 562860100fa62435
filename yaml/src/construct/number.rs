//! Integers and floats, read as PyYAML reads them through Python's `int()` and `float()`.

use num_bigint::{BigInt, Sign};

use crate::Int;

/// Python refuses to convert decimal numbers with more digits than this, since that takes
/// quadratic time.
const MOST_DIGITS: usize = 4300;

/// The integer that a scalar of type `!!int` stands for.
pub(super) fn integer(text: &str) -> Option<Int> {
    // Nearly all are short and decimal.
    if text.len() < 18
        && !text.starts_with(['0', '-', '+'])
        && text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return text.parse().ok().map(Int::Small);
    }
    let text = without_underscores(text);
    let (negative, text) = split_sign(&text)?;
    let number = match text.as_bytes() {
        b"0" => Int::Small(0),
        [b'0', b'b', ..] => python_int(&text[2..], 2)?,
        [b'0', b'x', ..] => python_int(&text[2..], 16)?,
        [b'0', ..] => python_int(text, 8)?,
        _ if text.contains(':') => sexagesimal(text)?,
        _ => python_int(text, 10)?,
    };
    Some(if negative { negate(number) } else { number })
}

/// The float that a scalar of type `!!float` stands for.
pub(super) fn float(text: &str) -> Option<f64> {
    let text = without_underscores(text).to_lowercase();
    let (negative, text) = split_sign(&text)?;
    let number = match text {
        ".inf" => f64::INFINITY,
        ".nan" => return Some(f64::NAN),
        _ if text.contains(':') => sexagesimal_float(text)?,
        _ => python_float(text)?,
    };
    Some(if negative { -number } else { number })
}

fn without_underscores(text: &str) -> String {
    text.chars().filter(|character| *character != '_').collect()
}

/// Splits a sign off. Nothing when there is no text at all.
fn split_sign(text: &str) -> Option<(bool, &str)> {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    // PyYAML looks at the first character behind the sign too.
    (!rest.is_empty()).then_some((text.starts_with('-'), rest))
}

fn negate(number: Int) -> Int {
    match number {
        Int::Small(number) => match number.checked_neg() {
            Some(number) => Int::Small(number),
            None => Int::from(-BigInt::from(number)),
        },
        Int::Big(number) => Int::from(-number),
    }
}

/// Python's `int(text, base)`: blanks around, a sign and the prefix of the base are accepted.
fn python_int(text: &str, base: u32) -> Option<Int> {
    let text = text.trim();
    let (negative, text) = split_sign(text)?;
    let prefix = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => [":", ":"],
    };
    let digits = prefix
        .iter()
        .find_map(|prefix| text.strip_prefix(*prefix))
        .unwrap_or(text);
    if digits.is_empty() || (base == 10 && digits.len() > MOST_DIGITS) {
        return None;
    }
    let values: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| digit.to_digit(base).map(|value| value as u8))
        .collect();
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    Some(Int::from(BigInt::from_radix_be(sign, &values?, base)?))
}

/// A number to the base of 60, as in `10:30`.
fn sexagesimal(text: &str) -> Option<Int> {
    // Python has no bound here, but would take quadratic time.
    if text.len() > MOST_DIGITS {
        return None;
    }
    let mut number = BigInt::ZERO;
    for part in text.split(':') {
        number *= 60;
        match python_int(part, 10)? {
            Int::Small(part) => number += part,
            Int::Big(part) => number += part,
        }
    }
    Some(Int::from(number))
}

/// Python's `float(text)`.
fn python_float(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// A float to the base of 60, as in `1:30.5`. The order of the operations is PyYAML's, since it
/// decides how the result is rounded.
fn sexagesimal_float(text: &str) -> Option<f64> {
    let mut number = 0.0;
    let mut base = BigInt::from(1);
    for part in text.rsplit(':') {
        let factor: f64 = base.to_string().parse().ok()?;
        if factor.is_infinite() {
            return None;
        }
        number += python_float(part)? * factor;
        base *= 60;
    }
    Some(number)
}
