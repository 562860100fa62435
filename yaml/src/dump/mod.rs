//! From values to text, as `yaml.dump(value, Dumper=CSafeDumper, …)` writes it.
//!
//! Byte for byte: LAVA's users compare exports, and some tools parse them by line.

mod analysis;
mod emitter;
mod order;
mod scalar;

use std::borrow::Cow;

use crate::resolver::Tag;
use crate::{Int, Map, Node, Value};
use emitter::{Emitter, Scalar, Style};

/// How a value is written; the default is what LAVA writes files with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpOptions {
    /// Whether mappings are written in the order of their keys. Python cannot order keys of
    /// different kinds; such mappings keep their order.
    pub sort_keys: bool,
    /// The column behind which text is folded, unless it is no more than twice `indent`: then 80.
    pub width: usize,
    /// Spaces per level, unless it is not in 2..=9: then 2.
    pub indent: usize,
    /// Whether characters beyond ASCII are written as they are. Those beyond the Basic
    /// Multilingual Plane are escaped even so, as libyaml takes them for unprintable.
    pub allow_unicode: bool,
    /// Whether collections are written as `[a, b]` and `{a: b}`, with everything on one line as
    /// far as `width` allows.
    pub flow: bool,
    /// Whether every scalar is put into double quotes; those that are no strings get the tag `!`.
    pub double_quoted: bool,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self {
            sort_keys: false,
            width: 80,
            indent: 2,
            allow_unicode: false,
            flow: false,
            double_quoted: false,
        }
    }
}

/// Writes a value as a YAML document with a line break at its end.
///
/// Anchors are never written: PyYAML writes them for objects that occur twice, which values of
/// this crate cannot.
pub fn dump(value: &Value, options: &DumpOptions) -> String {
    let mut dumper = Dumper {
        emitter: Emitter::new(options),
        options,
    };
    dumper.value(value, Place::Elsewhere);
    dumper.emitter.finish()
}

/// What surrounds a node.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// A sequence or nothing.
    Elsewhere,
    /// It is a key that is written without `? `.
    SimpleKey,
    /// It is any other key, or the value of a mapping.
    MappingPart,
}

struct Dumper<'o> {
    emitter: Emitter,
    options: &'o DumpOptions,
}

impl Dumper<'_> {
    fn value(&mut self, value: &Value, place: Place) {
        match value {
            Value::Sequence(items) => self.sequence(items, place),
            Value::Mapping(map) => self.mapping(map.iter().collect()),
            Value::Set(members) => {
                self.emitter.write_tag("!!set");
                let null = Node::default();
                let entries = members.iter().map(|member| (member, &null)).collect();
                self.mapping(entries);
            }
            _ => {
                let scalar = self.scalar(value);
                self.emitter.write_scalar(&scalar, false);
            }
        }
    }

    fn sequence(&mut self, items: &[Node], place: Place) {
        let emitter = &mut self.emitter;
        if emitter.in_flow() || self.options.flow || items.is_empty() {
            emitter.begin_flow("[");
            for (index, item) in items.iter().enumerate() {
                self.emitter.begin_flow_item(index == 0);
                self.value(&item.value, Place::Elsewhere);
            }
            self.emitter.end_flow("]");
            return;
        }
        // A sequence in a mapping is not indented further than its key.
        let indentless = place == Place::MappingPart && !emitter.indention;
        emitter.begin_block(indentless);
        for item in items {
            self.emitter.write_indent();
            self.emitter.write_indicator("-", true, false, true);
            self.value(&item.value, Place::Elsewhere);
        }
        self.emitter.end_block();
    }

    fn mapping(&mut self, mut entries: Vec<(&Node, &Node)>) {
        if self.options.sort_keys {
            sort(&mut entries);
        }
        let flow = self.emitter.in_flow() || self.options.flow || entries.is_empty();
        if flow {
            self.emitter.begin_flow("{");
        } else {
            self.emitter.begin_block(false);
        }
        for (index, (key, value)) in entries.into_iter().enumerate() {
            if flow {
                self.emitter.begin_flow_item(index == 0);
            } else {
                self.emitter.write_indent();
            }
            self.entry(&key.value, &value.value, flow);
        }
        if flow {
            self.emitter.end_flow("}");
        } else {
            self.emitter.end_block();
        }
    }

    fn entry(&mut self, key: &Value, value: &Value, flow: bool) {
        let scalar = (!key.is_collection()).then(|| self.scalar(key));
        let simple = match &scalar {
            Some(scalar) => scalar.is_simple_key(),
            None => key.is_empty_collection(),
        };
        let place = if simple {
            Place::SimpleKey
        } else {
            self.emitter.write_indicator("?", true, false, !flow);
            Place::MappingPart
        };
        match &scalar {
            Some(scalar) => self.emitter.write_scalar(scalar, simple),
            None => self.value(key, place),
        }
        if !simple && flow {
            self.emitter.break_flow_when_wide();
        } else if !simple {
            self.emitter.write_indent();
        }
        self.emitter
            .write_indicator(":", !simple, false, !simple && !flow);
        self.value(value, Place::MappingPart);
    }

    /// The text of a scalar, and the tag and style it needs to be read back as what it is.
    fn scalar<'v>(&self, value: &'v Value) -> Scalar<'v> {
        let (text, tag): (Cow<'v, str>, _) = match value {
            // Collections do not come here.
            Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Set(_) => {
                ("null".into(), Tag::Null)
            }
            Value::Bool(true) => ("true".into(), Tag::Bool),
            Value::Bool(false) => ("false".into(), Tag::Bool),
            Value::Int(Int::Small(number)) => (number.to_string().into(), Tag::Int),
            Value::Int(Int::Big(number)) => (number.to_string().into(), Tag::Int),
            Value::Float(number) => (scalar::float(*number).into(), Tag::Float),
            Value::Timestamp(text) => (text.into(), Tag::Timestamp),
            Value::Binary(bytes) => (scalar::base64(bytes).into(), Tag::Binary),
            Value::String(text) => (text.into(), Tag::String),
        };
        let style = match tag {
            Tag::Binary => Style::Literal,
            _ if self.options.double_quoted => Style::DoubleQuoted,
            _ => Style::Plain,
        };
        Scalar::new(text, &tag, style, self.options.allow_unicode)
    }
}

/// Sorts entries by key, unless Python would fail to compare two of the keys.
fn sort(entries: &mut [(&Node, &Node)]) {
    let kind = |(key, _): &(&Node, &Node)| order::Kind::of(&key.value);
    let first = entries.first().and_then(kind);
    if first.is_some() && entries.iter().all(|entry| kind(entry) == first) {
        entries.sort_by(|(left, _), (right, _)| order::compare(&left.value, &right.value));
    }
}

impl Value {
    fn is_collection(&self) -> bool {
        matches!(self, Self::Sequence(_) | Self::Mapping(_) | Self::Set(_))
    }

    fn is_empty_collection(&self) -> bool {
        match self {
            Self::Sequence(items) | Self::Set(items) => items.is_empty(),
            Self::Mapping(map) => map.is_empty(),
            _ => false,
        }
    }
}

impl Map {
    /// Writes the mapping as a YAML document; see [`dump`].
    pub fn dump(&self, options: &DumpOptions) -> String {
        let mut dumper = Dumper {
            emitter: Emitter::new(options),
            options,
        };
        dumper.mapping(self.iter().collect());
        dumper.emitter.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{DumpOptions, dump};
    use crate::{Limits, load};

    fn written(text: &str, options: &DumpOptions) -> String {
        let node = load(text, &Limits::default()).expect("YAML");
        dump(&node.value, options)
    }

    #[test]
    fn files_are_written_in_block_style() {
        let text = "{b: [1, {c: 'yes'}], a: [], d: \"x\\ny\"}";
        let expected = "b:\n- 1\n- c: 'yes'\na: []\nd: 'x\n\n  y'\n";
        assert_eq!(written(text, &DumpOptions::default()), expected);
    }

    #[test]
    fn log_records_are_written_on_one_line_in_double_quotes() {
        let options = DumpOptions {
            flow: true,
            double_quoted: true,
            width: 1_000_000,
            ..DumpOptions::default()
        };
        let text = "{lvl: results, msg: {case: a, result: 12, set: null}}";
        let expected = "{\"lvl\": \"results\", \"msg\": {\"case\": \"a\", \"result\": ! \"12\", \"set\": ! \"null\"}}\n";
        assert_eq!(written(text, &options), expected);
    }

    #[test]
    fn keys_are_sorted_only_when_python_can_compare_them() {
        let options = DumpOptions {
            sort_keys: true,
            ..DumpOptions::default()
        };
        assert_eq!(written("{b: 1, a: 2}", &options), "a: 2\nb: 1\n");
        assert_eq!(
            written("{2: 1, 1.5: 2, true: 3}", &options),
            "true: 3\n1.5: 2\n2: 1\n"
        );
        assert_eq!(written("{b: 1, 1: 2}", &options), "b: 1\n1: 2\n");
    }
}
