//! The mapping: a Python `dict` in insertion order.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use num_bigint::BigInt;

use crate::construct::timestamp::instant;
use crate::{Int, Node, Value};

/// An ordered mapping with unique keys.
///
/// As in a Python `dict`, a repeated key keeps its first place and gets the last value, and
/// `True`, `1` and `1.0` are the same key. Access takes constant time, however many keys there are.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<(Node, Node)>,
    /// Where the keys are; small maps do without.
    index: Option<Box<Index>>,
}

/// Up to so many entries a look at each is quicker than hashing.
const UNINDEXED: usize = 16;

/// Places of entries by the hash of their key.
#[derive(Clone, Default)]
struct Index {
    /// Randomly seeded, so that nobody can choose keys that collide.
    hasher: RandomState,
    /// When hashes collide, the later key is filed under the next free number.
    places: HashMap<u64, usize>,
}

impl Map {
    /// An empty mapping.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty mapping with room for some entries.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            entries: Vec::with_capacity(capacity),
            index: None,
        }
    }

    /// The value of a string key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.get_entry(key).map(|(_, value)| value)
    }

    /// Key and value of a string key, for those who need the key's span.
    pub fn get_entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let place = self.find(&Key::String(key)).ok()?;
        self.entries.get(place).map(|(name, value)| (name, value))
    }

    /// Whether a string key is there, whatever its value.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a key: a new one goes last, a known one keeps its place.
    pub fn insert(&mut self, key: impl Into<Node>, value: impl Into<Node>) {
        let (key, value) = (key.into(), value.into());
        match self.find(&Key::of(&key.value)) {
            Ok(place) => self.entries[place].1 = value,
            Err(hash) => {
                if let Some(index) = &mut self.index {
                    index.places.insert(hash, self.entries.len());
                }
                self.entries.push((key, value));
                if self.index.is_none() && self.entries.len() > UNINDEXED {
                    self.build_index();
                }
            }
        }
    }

    /// Key and value pairs in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Node, &Node)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys alone.
    pub(crate) fn into_keys(self) -> Vec<Node> {
        self.entries.into_iter().map(|(key, _)| key).collect()
    }

    /// The place of a key, or else the number to file it under in the index.
    fn find(&self, wanted: &Key<'_>) -> Result<usize, u64> {
        let is_wanted = |(key, _): &(Node, Node)| Key::of(&key.value) == *wanted;
        let Some(index) = &self.index else {
            return self.entries.iter().position(is_wanted).ok_or(0);
        };
        let mut hash = index.hasher.hash_one(wanted);
        while let Some(place) = index.places.get(&hash) {
            if self.entries.get(*place).is_some_and(is_wanted) {
                return Ok(*place);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }

    fn build_index(&mut self) {
        self.index = Some(Box::default());
        for place in 0..self.entries.len() {
            if let Err(hash) = self.find(&Key::of(&self.entries[place].0.value))
                && let Some(index) = &mut self.index
            {
                index.places.insert(hash, place);
            }
        }
    }
}

impl std::fmt::Debug for Map {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl FromIterator<(Node, Node)> for Map {
    fn from_iter<T: IntoIterator<Item = (Node, Node)>>(entries: T) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// A key as Python compares keys.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    String(&'a str),
    /// Every number that is integral, booleans included.
    Int(i64),
    BigInt(BigInt),
    /// The bits of any other number; all NaN count as one.
    Float(u64),
    Null,
    Binary(&'a [u8]),
    /// Times without an offset are compared as they are written, ...
    Timestamp(&'a str),
    /// ... others by the instant.
    Instant(i64, u32),
    Collection(Collection<'a>),
}

/// A collection cannot be a key in Python, and is none in anything that was loaded. Should a
/// program use one, it is compared by value and found by looking at each.
struct Collection<'a>(&'a Value);

impl PartialEq for Collection<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Collection<'_> {}

impl Hash for Collection<'_> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<'a> Key<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::String(text),
            Value::Bool(truth) => Self::Int(i64::from(*truth)),
            Value::Int(Int::Small(number)) => Self::Int(*number),
            Value::Int(Int::Big(number)) => Self::BigInt(number.clone()),
            Value::Float(number) => Self::float(*number),
            Value::Null => Self::Null,
            Value::Binary(bytes) => Self::Binary(bytes),
            Value::Timestamp(text) => match instant(text) {
                Some((minutes, microseconds)) => Self::Instant(minutes, microseconds),
                None => Self::Timestamp(text),
            },
            Value::Sequence(_) | Value::Mapping(_) | Value::Set(_) => {
                Self::Collection(Collection(value))
            }
        }
    }

    fn float(number: f64) -> Self {
        if number.is_nan() {
            return Self::Float(f64::NAN.to_bits());
        }
        if number.is_infinite() || number.fract() != 0.0 {
            return Self::Float(number.to_bits());
        }
        match Int::from(exact(number)) {
            Int::Small(number) => Self::Int(number),
            Int::Big(number) => Self::BigInt(number),
        }
    }
}

/// The integer that an integral, finite float is.
pub(crate) fn exact(number: f64) -> BigInt {
    const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    // Every float up to here fits.
    if number.abs() < 9.0e18 {
        return BigInt::from(number as i64);
    }
    let bits = number.abs().to_bits();
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | 1 << MANTISSA_BITS;
    let exponent = (bits >> MANTISSA_BITS) as u32 - (f64::MAX_EXP as u32 - 1) - MANTISSA_BITS;
    let magnitude = BigInt::from(mantissa) << exponent;
    if number < 0.0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::{Map, UNINDEXED};
    use crate::{Int, Value};

    fn same(left: &Value, right: &Value) -> bool {
        let (mut small, mut large) = (Map::new(), Map::new());
        for number in 0..=UNINDEXED {
            large.insert(Value::from(format!("filler {number}")), Value::Null);
        }
        let before = large.len();
        for map in [&mut small, &mut large] {
            map.insert(left.clone(), Value::Null);
            map.insert(right.clone(), Value::Null);
        }
        let same = small.len() == 1;
        assert_eq!(
            large.len() - before == 1,
            same,
            "the index disagrees on {left:?} and {right:?}"
        );
        same
    }

    fn big(text: &str) -> Value {
        Value::Int(Int::from(text.parse::<BigInt>().expect("a number")))
    }

    #[test]
    fn keys_are_equal_when_python_says_so() {
        let time = |text: &str| Value::Timestamp(text.to_owned());
        let equal = [
            (Value::from(true), Value::from(1)),
            (Value::from(1), Value::from(1.0)),
            (Value::from(false), Value::from(-0.0)),
            (Value::from(f64::NAN), Value::from(f64::NAN)),
            (
                big("9223372036854775808"),
                Value::from(9_223_372_036_854_775_808.0),
            ),
            (
                big("-36893488147419103232"),
                Value::from(-36_893_488_147_419_103_232.0),
            ),
            (
                time("2001-12-14 10:00:00+00:00"),
                time("2001-12-14 12:00:00+02:00"),
            ),
            (
                time("2000-03-01 00:30:00+01:00"),
                time("2000-02-29 23:30:00+00:00"),
            ),
        ];
        for (left, right) in equal {
            assert!(same(&left, &right), "{left:?} {right:?}");
        }
        let different = [
            (Value::from("1"), Value::from(1)),
            (Value::from(1), Value::from(1.5)),
            (Value::Null, Value::from("")),
            (
                big("9223372036854775809"),
                Value::from(9_223_372_036_854_775_808.0),
            ),
            (Value::Binary(b"a".to_vec()), Value::from("a")),
            (time("2001-12-14"), Value::from("2001-12-14")),
            (
                time("2001-12-14 10:00:00"),
                time("2001-12-14 10:00:00+00:00"),
            ),
        ];
        for (left, right) in different {
            assert!(!same(&left, &right), "{left:?} {right:?}");
        }
    }

    #[test]
    fn repeated_key_keeps_its_place_and_gets_the_last_value() {
        let mut map = Map::new();
        map.insert("a", Value::from(1));
        map.insert("b", Value::from(2));
        map.insert("a", Value::from(3));
        let entries: Vec<_> = map
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_i64()))
            .collect();
        assert_eq!(entries, [(Some("a"), Some(3)), (Some("b"), Some(2))]);
    }
}
