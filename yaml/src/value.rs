//! The tree a document is loaded into: values with the place they came from.

use num_bigint::BigInt;

use crate::map::Map;

/// A place in the text. Lines and columns count from 0, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// Byte offset in the text.
    pub offset: u32,
    /// Line, counted from 0.
    pub line: u32,
    /// Column in characters, counted from 0.
    pub column: u32,
}

/// The text a node was written as: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first character.
    pub start: Mark,
    /// The place after the last character.
    pub end: Mark,
}

/// An integer of any size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Int {
    /// Fits a machine word, as nearly all do.
    Small(i64),
    /// Does not; never holds a value that fits `Small`.
    Big(BigInt),
}

/// What a node is, after resolution.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    #[default]
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer.
    Int(Int),
    /// A float, `.inf` and `.nan` included.
    Float(f64),
    /// A string.
    String(String),
    /// `!!binary`.
    Binary(Vec<u8>),
    /// A date or a date with time, in the form Python's `isoformat()` (with a space) prints.
    Timestamp(String),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the text.
    Mapping(Map),
    /// `!!set`: its members, in the order of the text.
    Set(Vec<Node>),
}

/// A value and where it stands.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written; all zero for nodes that a program made.
    pub span: Span,
}

impl PartialEq for Node {
    /// Nodes are equal when their values are; spans do not count.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self {
            value,
            span: Span::default(),
        }
    }
}

impl From<BigInt> for Int {
    fn from(number: BigInt) -> Self {
        match i64::try_from(&number) {
            Ok(number) => Self::Small(number),
            Err(_) => Self::Big(number),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Int::Small(number))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Mapping(map)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::Sequence(items.into_iter().map(Node::from).collect())
    }
}

impl Value {
    /// The name a user would give this kind of value in an error message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Binary(_) => "binary data",
            Self::Timestamp(_) => "a timestamp",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a map",
            Self::Set(_) => "a set",
        }
    }

    /// Whether it may be a key of a mapping, as Python decides it: collections may not.
    pub fn is_hashable(&self) -> bool {
        !matches!(self, Self::Sequence(_) | Self::Mapping(_) | Self::Set(_))
    }
}

impl Node {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer that fits a machine word.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.value {
            Value::Int(Int::Small(number)) => Some(*number),
            _ => None,
        }
    }

    /// A float, or an integer as a float.
    pub fn as_f64(&self) -> Option<f64> {
        match &self.value {
            Value::Float(number) => Some(*number),
            Value::Int(Int::Small(number)) => Some(*number as f64),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Mapping(map) => Some(map),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The value of a string key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// Follows string keys through nested mappings.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Python's truth of this value: empty, zero, `false` and `null` are false.
    pub fn is_truthy(&self) -> bool {
        match &self.value {
            Value::Null => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != Int::Small(0),
            Value::Float(number) => *number != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Binary(bytes) => !bytes.is_empty(),
            Value::Timestamp(_) => true,
            Value::Sequence(items) | Value::Set(items) => !items.is_empty(),
            Value::Mapping(map) => !map.is_empty(),
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Value::from(text).into()
    }
}
