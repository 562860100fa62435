//! From events to a graph of nodes: anchors, aliases and tags.
//!
//! As in PyYAML the graph exists before values are made of it, since merge keys and the `=` key
//! look at nodes rather than values. Here is also where everything that a document may cost is
//! counted, before any of it is spent: an alias is refused when what it would expand to exceeds
//! the [`Limits`].

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{Error, ErrorKind};
use crate::parser::{Event, Parser, Properties, Scalar};
use crate::resolver::{Tag, resolve};
use crate::{Limits, Mark, Span};

/// Names a node of a [`Graph`].
pub(crate) type Id = usize;

/// The nodes of one document.
#[derive(Default)]
pub(crate) struct Graph<'a> {
    pub(crate) nodes: Vec<Raw<'a>>,
    /// Whether there is an alias, so that a node may be needed more than once.
    pub(crate) aliased: bool,
}

/// A node as it is written.
pub(crate) struct Raw<'a> {
    pub(crate) tag: Tag<'a>,
    pub(crate) content: Content<'a>,
    pub(crate) span: Span,
}

/// What a node consists of.
pub(crate) enum Content<'a> {
    Scalar(Cow<'a, str>),
    Sequence(Vec<Id>),
    Mapping(Vec<(Id, Id)>),
}

/// What a finished node costs each time it is expanded.
#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

/// What an anchor stands for.
struct Anchor {
    id: Id,
    /// Unknown while the node is not finished.
    cost: Option<Cost>,
}

/// A collection that is being read.
struct Open<'a> {
    id: Id,
    anchor: Option<&'a str>,
    cost: Cost,
    /// The key whose value comes next.
    key: Option<Id>,
}

/// Builds graphs from the events of one stream.
pub(crate) struct Composer<'a, 'l> {
    parser: Parser<'a>,
    limits: &'l Limits,
    /// What the stream cost so far.
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
}

fn compose_error(message: impl Into<String>, mark: Mark) -> Error {
    Error::new(ErrorKind::Composer, message, mark)
}

fn limit_error(message: String, mark: Mark) -> Error {
    Error::new(ErrorKind::Limit, message, mark)
}

impl<'a, 'l> Composer<'a, 'l> {
    pub(crate) fn new(text: &'a str, start: Mark, limits: &'l Limits) -> Self {
        Self {
            parser: Parser::new(text, start),
            limits,
            nodes: 0,
            alias_nodes: 0,
            alias_bytes: 0,
        }
    }

    /// The next document and where it begins, or nothing at the end of the stream.
    pub(crate) fn next_document(&mut self) -> Result<Option<(Mark, Graph<'a>, Id)>, Error> {
        let Event::DocumentStart(mark) = self.parser.next()? else {
            return Ok(None);
        };
        let mut graph = Graph::default();
        let root = self.compose(&mut graph)?;
        self.parser.next()?;
        Ok(Some((mark, graph, root)))
    }

    fn compose(&mut self, graph: &mut Graph<'a>) -> Result<Id, Error> {
        let mut anchors: HashMap<&'a str, Anchor> = HashMap::new();
        let mut open: Vec<Open<'a>> = Vec::new();
        loop {
            let (id, cost) = match self.parser.next()? {
                Event::Scalar(properties, scalar) => {
                    let anchor = properties.anchor;
                    let (id, cost) = self.scalar(graph, &mut anchors, properties, scalar)?;
                    if let Some(anchor) = anchor.and_then(|name| anchors.get_mut(name)) {
                        anchor.cost = Some(cost);
                    }
                    (id, cost)
                }
                Event::Alias(name, span) => self.alias(graph, &anchors, name, span, open.len())?,
                Event::SequenceStart(properties) => {
                    let content = Content::Sequence(Vec::new());
                    open.push(self.begin(graph, &mut anchors, properties, content, open.len())?);
                    continue;
                }
                Event::MappingStart(properties) => {
                    let content = Content::Mapping(Vec::new());
                    open.push(self.begin(graph, &mut anchors, properties, content, open.len())?);
                    continue;
                }
                Event::SequenceEnd(mark) | Event::MappingEnd(mark) => {
                    let Some(closed) = open.pop() else { continue };
                    graph.nodes[closed.id].span.end = mark;
                    if let Some(anchor) = closed.anchor.and_then(|name| anchors.get_mut(name)) {
                        anchor.cost = Some(closed.cost);
                    }
                    (closed.id, closed.cost)
                }
                Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => continue,
            };
            let Some(parent) = open.last_mut() else {
                return Ok(id);
            };
            parent.cost.nodes += cost.nodes;
            parent.cost.bytes += cost.bytes;
            parent.cost.depth = parent.cost.depth.max(cost.depth + 1);
            match &mut graph.nodes[parent.id].content {
                Content::Sequence(items) => items.push(id),
                Content::Mapping(pairs) => match parent.key.take() {
                    Some(key) => pairs.push((key, id)),
                    None => parent.key = Some(id),
                },
                Content::Scalar(_) => {}
            }
        }
    }

    fn scalar(
        &mut self,
        graph: &mut Graph<'a>,
        anchors: &mut HashMap<&'a str, Anchor>,
        properties: Properties<'a>,
        scalar: Scalar<'a>,
    ) -> Result<(Id, Cost), Error> {
        let cost = Cost {
            nodes: 1,
            bytes: scalar.text.len(),
            depth: 0,
        };
        let tag = match properties.tag {
            None if scalar.resolve => resolve(&scalar.text),
            None => Tag::String,
            Some(name) => Tag::from_name(name),
        };
        let content = Content::Scalar(scalar.text);
        let id = self.add(
            graph,
            anchors,
            properties.anchor,
            tag,
            content,
            properties.span,
        )?;
        Ok((id, cost))
    }

    fn begin(
        &mut self,
        graph: &mut Graph<'a>,
        anchors: &mut HashMap<&'a str, Anchor>,
        properties: Properties<'a>,
        content: Content<'a>,
        depth: usize,
    ) -> Result<Open<'a>, Error> {
        self.check_depth(depth + 1, properties.span.start)?;
        let tag = match (properties.tag, &content) {
            (Some(name), _) => Tag::from_name(name),
            (None, Content::Mapping(_)) => Tag::Mapping,
            (None, _) => Tag::Sequence,
        };
        let anchor = properties.anchor;
        let id = self.add(graph, anchors, anchor, tag, content, properties.span)?;
        let cost = Cost {
            nodes: 1,
            bytes: 0,
            depth: 1,
        };
        Ok(Open {
            id,
            anchor,
            cost,
            key: None,
        })
    }

    fn add(
        &mut self,
        graph: &mut Graph<'a>,
        anchors: &mut HashMap<&'a str, Anchor>,
        anchor: Option<&'a str>,
        tag: Tag<'a>,
        content: Content<'a>,
        span: Span,
    ) -> Result<Id, Error> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let message = format!("the document has more than {} nodes", self.limits.nodes);
            return Err(limit_error(message, span.start));
        }
        let id = graph.nodes.len();
        graph.nodes.push(Raw { tag, content, span });
        if let Some(name) = anchor
            && let Some(first) = anchors.insert(name, Anchor { id, cost: None })
        {
            let message = format!("found duplicate anchor {name:?}");
            let first = graph.nodes[first.id].span.start;
            return Err(compose_error(message, span.start).within("the first one", first));
        }
        Ok(id)
    }

    fn alias(
        &mut self,
        graph: &mut Graph<'a>,
        anchors: &HashMap<&'a str, Anchor>,
        name: &str,
        span: Span,
        depth: usize,
    ) -> Result<(Id, Cost), Error> {
        let mark = span.start;
        let Some(anchor) = anchors.get(name) else {
            return Err(compose_error(
                format!("found undefined alias {name:?}"),
                mark,
            ));
        };
        let Some(cost) = anchor.cost else {
            let message = format!("the alias {name:?} stands inside of what it refers to");
            let begin = graph.nodes[anchor.id].span.start;
            return Err(compose_error(message, mark).within("recursive node", begin));
        };
        self.check_depth(depth + cost.depth, mark)?;
        self.alias_nodes = self.alias_nodes.saturating_add(cost.nodes);
        self.alias_bytes = self.alias_bytes.saturating_add(cost.bytes);
        if self.alias_nodes > self.limits.alias_nodes {
            let limit = self.limits.alias_nodes;
            return Err(limit_error(
                format!("aliases add more than {limit} nodes"),
                mark,
            ));
        }
        if self.alias_bytes > self.limits.alias_bytes {
            let limit = self.limits.alias_bytes;
            return Err(limit_error(
                format!("aliases add more than {limit} bytes"),
                mark,
            ));
        }
        graph.aliased = true;
        Ok((anchor.id, cost))
    }

    fn check_depth(&self, depth: usize, mark: Mark) -> Result<(), Error> {
        let limit = self.limits.depth.min(Limits::MAX_DEPTH);
        if depth > limit {
            let message = format!("collections are nested deeper than {limit} levels");
            return Err(limit_error(message, mark));
        }
        Ok(())
    }
}
