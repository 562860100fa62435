//! The order of keys in Python.

use std::cmp::Ordering;

use num_bigint::BigInt;

use crate::construct::timestamp::{Fields, instant};
use crate::map::exact;
use crate::{Int, Value};

/// Python compares keys with keys of the same kind only.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Number,
    String,
    Binary,
    Date,
    /// A time without an offset.
    LocalTime,
    /// A time with an offset.
    Instant,
}

impl Kind {
    /// The kind of a key; none when it has no order even among its like.
    pub(super) fn of(key: &Value) -> Option<Self> {
        Some(match key {
            Value::Float(number) if number.is_nan() => return None,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Binary(_) => Self::Binary,
            Value::Timestamp(text) if instant(text).is_some() => Self::Instant,
            Value::Timestamp(text) => match Fields::parse(text.as_bytes()) {
                Some(fields) if fields.has_time() => Self::LocalTime,
                _ => Self::Date,
            },
            _ => return None,
        })
    }
}

/// The order of two keys of the same kind.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Binary(left), Value::Binary(right)) => left.cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => {
            match (instant(left), instant(right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                // A fraction of zero is not written, and a prefix is less, so the text sorts right.
                _ => left.cmp(right),
            }
        }
        _ => match (number(left), number(right)) {
            (Number::Int(left), Number::Int(right)) => left.cmp(&right),
            (Number::Float(left), Number::Float(right)) if left == right => Ordering::Equal,
            (Number::Float(left), Number::Float(right)) => left.total_cmp(&right),
            (Number::Int(left), Number::Float(right)) => compare_exactly(&left, right),
            (Number::Float(left), Number::Int(right)) => compare_exactly(&right, left).reverse(),
        },
    }
}

enum Number {
    Int(BigInt),
    Float(f64),
}

fn number(value: &Value) -> Number {
    Number::Int(match value {
        Value::Float(number) => return Number::Float(*number),
        Value::Int(Int::Small(number)) => BigInt::from(*number),
        Value::Int(Int::Big(number)) => number.clone(),
        other => BigInt::from(u8::from(*other == Value::Bool(true))),
    })
}

/// Compares without rounding the integer.
fn compare_exactly(int: &BigInt, float: f64) -> Ordering {
    if float.is_infinite() {
        return 0.0_f64.total_cmp(&float);
    }
    match int.cmp(&exact(float.floor())) {
        Ordering::Equal if float.fract() != 0.0 => Ordering::Less,
        order => order,
    }
}
