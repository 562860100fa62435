//! From a graph of nodes to values, as PyYAML's `SafeConstructor` makes them.

mod number;
pub(crate) mod timestamp;

mod binary;

use std::borrow::Cow;

use crate::compose::{Content, Graph, Id};
use crate::error::{Error, ErrorKind};
use crate::resolver::Tag;
use crate::{Map, Mark, Node, Value};

/// Makes the values of one document. Recursion is bounded: the composer refused deeper nesting.
pub(crate) struct Constructor<'a> {
    graph: Graph<'a>,
}

fn error(message: impl Into<String>, mark: Mark) -> Error {
    Error::new(ErrorKind::Constructor, message, mark)
}

impl<'a> Constructor<'a> {
    pub(crate) fn new(graph: Graph<'a>) -> Self {
        Self { graph }
    }

    /// The value of a node. Only collections recurse, so the rest stays out of this frame.
    pub(crate) fn node(&mut self, id: Id) -> Result<Node, Error> {
        let raw = &self.graph.nodes[id];
        let span = raw.span;
        let value = match raw.tag {
            Tag::Sequence => Value::Sequence(self.sequence(id)?),
            Tag::Mapping => Value::Mapping(self.mapping(id)?),
            Tag::Set => Value::Set(self.mapping(id)?.into_keys()),
            Tag::OrderedMap => self.pairs(id, "while constructing an ordered map")?,
            Tag::Pairs => self.pairs(id, "while constructing pairs")?,
            _ => self.scalar_value(id)?,
        };
        Ok(Node { value, span })
    }

    fn scalar_value(&mut self, id: Id) -> Result<Value, Error> {
        let mark = self.mark(id);
        let tag = self.graph.nodes[id].tag.clone();
        if let Tag::Merge | Tag::DefaultValue | Tag::Unknown(_) = tag {
            let tag = tag.name();
            let message = format!("could not determine a constructor for the tag {tag:?}");
            return Err(error(message, mark));
        }
        let text = self.scalar(id)?;
        let value = match tag {
            Tag::Null => Some(Value::Null),
            Tag::Bool => boolean(&text).map(Value::Bool),
            Tag::Int => number::integer(&text).map(Value::Int),
            Tag::Float => number::float(&text).map(Value::Float),
            Tag::Timestamp => return timestamp(&text, mark),
            Tag::Binary => return binary(&text, mark),
            _ => return Ok(Value::String(text.into_owned())),
        };
        value.ok_or_else(|| invalid(tag.name(), &text, mark))
    }

    fn kind(&self, id: Id) -> &'static str {
        match self.graph.nodes[id].content {
            Content::Scalar(_) => "scalar",
            Content::Sequence(_) => "sequence",
            Content::Mapping(_) => "mapping",
        }
    }

    fn mark(&self, id: Id) -> Mark {
        self.graph.nodes[id].span.start
    }

    fn expected(&self, wanted: &str, id: Id) -> Error {
        let found = self.kind(id);
        let message = format!("expected a {wanted} node, but found {found}");
        error(message, self.mark(id))
    }

    /// The text of a scalar, or of the value of the `=` key of a mapping.
    fn scalar(&mut self, id: Id) -> Result<Cow<'a, str>, Error> {
        let mut at = id;
        while let Content::Mapping(pairs) = &self.graph.nodes[at].content {
            let default = |(key, _): &&(Id, Id)| self.graph.nodes[*key].tag == Tag::DefaultValue;
            match pairs.iter().find(default) {
                Some((_, value)) => at = *value,
                None => break,
            }
        }
        match &mut self.graph.nodes[at].content {
            Content::Scalar(text) if self.graph.aliased => Ok(text.clone()),
            Content::Scalar(text) => Ok(std::mem::take(text)),
            _ => Err(self.expected("scalar", at)),
        }
    }

    fn sequence(&mut self, id: Id) -> Result<Vec<Node>, Error> {
        let Content::Sequence(items) = &mut self.graph.nodes[id].content else {
            return Err(self.expected("sequence", id));
        };
        let items = if self.graph.aliased {
            items.clone()
        } else {
            std::mem::take(items)
        };
        let mut nodes = Vec::with_capacity(items.len());
        for item in items {
            nodes.push(self.node(item)?);
        }
        Ok(nodes)
    }

    fn mapping(&mut self, id: Id) -> Result<Map, Error> {
        if !matches!(self.graph.nodes[id].content, Content::Mapping(_)) {
            return Err(self.expected("mapping", id));
        }
        self.flatten(id)?;
        let Content::Mapping(pairs) = &mut self.graph.nodes[id].content else {
            return Err(self.expected("mapping", id));
        };
        let pairs = if self.graph.aliased {
            pairs.clone()
        } else {
            std::mem::take(pairs)
        };
        let mut map = Map::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key_mark = self.mark(key);
            let key = self.node(key)?;
            if !key.value.is_hashable() {
                return Err(self.unhashable(&key.value, key_mark, id));
            }
            let value = self.node(value)?;
            map.insert(key, value);
        }
        Ok(map)
    }

    fn unhashable(&self, key: &Value, mark: Mark, id: Id) -> Error {
        let message = format!("found unhashable key: {} cannot be one", key.kind());
        error(message, mark).within("while constructing a mapping", self.mark(id))
    }

    /// Replaces the merge keys of a mapping by what they merge, in front of its own entries so
    /// that those win. Of several merged mappings in a list the first wins.
    fn flatten(&mut self, id: Id) -> Result<(), Error> {
        let Content::Mapping(pairs) = &self.graph.nodes[id].content else {
            return Ok(());
        };
        let special = |(key, _): &(Id, Id)| {
            matches!(self.graph.nodes[*key].tag, Tag::Merge | Tag::DefaultValue)
        };
        if !pairs.iter().any(special) {
            return Ok(());
        }
        let mut merged = Vec::new();
        let mut own = Vec::with_capacity(pairs.len());
        for (key, value) in pairs.clone() {
            match self.graph.nodes[key].tag {
                Tag::Merge => self.merge(id, value, &mut merged)?,
                Tag::DefaultValue => {
                    self.graph.nodes[key].tag = Tag::String;
                    own.push((key, value));
                }
                _ => own.push((key, value)),
            }
        }
        merged.append(&mut own);
        self.graph.nodes[id].content = Content::Mapping(merged);
        Ok(())
    }

    /// Adds what the value of a merge key merges.
    fn merge(&mut self, id: Id, value: Id, merged: &mut Vec<(Id, Id)>) -> Result<(), Error> {
        const CONTEXT: &str = "while constructing a mapping";
        let sources = match &self.graph.nodes[value].content {
            Content::Mapping(_) => vec![value],
            Content::Sequence(items) => items.iter().rev().copied().collect(),
            Content::Scalar(_) => {
                let message =
                    "expected a mapping or list of mappings for merging, but found scalar";
                return Err(error(message, self.mark(value)).within(CONTEXT, self.mark(id)));
            }
        };
        for source in sources {
            self.flatten(source)?;
            let Content::Mapping(pairs) = &self.graph.nodes[source].content else {
                let found = self.kind(source);
                let message = format!("expected a mapping for merging, but found {found}");
                return Err(error(message, self.mark(source)).within(CONTEXT, self.mark(id)));
            };
            merged.extend_from_slice(pairs);
        }
        Ok(())
    }

    /// `!!omap` and `!!pairs`: what Python makes a list of tuples becomes a list of lists of two.
    fn pairs(&mut self, id: Id, context: &'static str) -> Result<Value, Error> {
        let begin = self.mark(id);
        let Content::Sequence(items) = &self.graph.nodes[id].content else {
            let message = format!("expected a sequence, but found {}", self.kind(id));
            return Err(error(message, begin).within(context, begin));
        };
        let mut pairs = Vec::with_capacity(items.len());
        for item in items.clone() {
            let message = match &self.graph.nodes[item].content {
                Content::Mapping(entries) => {
                    if let [(key, value)] = entries[..] {
                        let span = self.graph.nodes[item].span;
                        let value = Value::Sequence(vec![self.node(key)?, self.node(value)?]);
                        pairs.push(Node { value, span });
                        continue;
                    }
                    let count = entries.len();
                    format!("expected a single mapping item, but found {count} items")
                }
                _ => {
                    let found = self.kind(item);
                    format!("expected a mapping of length 1, but found {found}")
                }
            };
            return Err(error(message, self.mark(item)).within(context, begin));
        }
        Ok(Value::Sequence(pairs))
    }
}

fn invalid(tag: &str, text: &str, mark: Mark) -> Error {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).collect();
    let dots = if shown.len() < text.len() { "…" } else { "" };
    let kind = match tag.rsplit(':').next() {
        Some("int") => "integer",
        Some("bool") => "boolean",
        _ => "float",
    };
    error(format!("invalid {kind} {shown:?}{dots}"), mark)
}

fn timestamp(text: &str, mark: Mark) -> Result<Value, Error> {
    timestamp::isoformat(text)
        .map(Value::Timestamp)
        .map_err(|reason| error(format!("invalid timestamp {text:?}: {reason}"), mark))
}

fn binary(text: &str, mark: Mark) -> Result<Value, Error> {
    binary::decode(text)
        .map(Value::Binary)
        .map_err(|reason| error(format!("failed to decode base64 data: {reason}"), mark))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}
