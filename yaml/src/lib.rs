//! YAML as PyYAML's safe loader reads it and its safe dumper writes it.
//!
//! LAVA's jobs, devices and exports are whatever PyYAML says they are, so this crate follows
//! PyYAML (CSafeLoader and CSafeDumper of PyYAML 6 with libyaml 0.2.5) rather than a YAML
//! specification: YAML 1.1 scalars, the last duplicate key wins, merge keys are resolved.
//! Every node carries its [`Span`], and loading is bounded by [`Limits`].
//!
//! The way of a document: `reader` checks the text, `scanner` makes tokens of it, `parser` events,
//! `compose` a graph of nodes, `construct` values. Each stage asks the one before for the next
//! piece, so nothing but the graph of one document is ever held.
//!
//! Where it refuses what PyYAML accepts: whatever exceeds the limits, and recursive documents
//! (`&a [*a]`), for which a tree has no form.
//!
//! This crate does no I/O and knows nothing of LAVA.
#![forbid(unsafe_code)]

mod compose;
mod construct;
mod dump;
mod error;
mod limits;
mod map;
mod parser;
mod reader;
mod resolver;
mod scanner;
mod value;

pub use dump::{DumpOptions, dump};
pub use error::{Error, ErrorKind};
pub use limits::Limits;
pub use map::Map;
pub use reader::decode;
pub use value::{Int, Mark, Node, Span, Value};

use compose::Composer;
use construct::Constructor;

/// Loads a stream of one document; an empty one is null.
///
/// # Errors
/// When PyYAML's safe loader would refuse it, when it exceeds a limit, or when it is recursive.
pub fn load(text: &str, limits: &Limits) -> Result<Node, Error> {
    load_from(text, reader::content_start(text), limits)
}

/// Loads a stream of one document from bytes, which are [decoded](decode) first.
///
/// # Errors
/// Like [`load`], and when the bytes are no text.
pub fn load_bytes(bytes: &[u8], limits: &Limits) -> Result<Node, Error> {
    reader::check_length(bytes.len(), limits)?;
    load_from(&decode(bytes)?, Mark::default(), limits)
}

/// Loads all documents of a stream. The limits hold for all of them together.
///
/// # Errors
/// Like [`load`], as soon as one document is refused.
pub fn load_all(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    reader::check(text, limits)?;
    let mut composer = Composer::new(text, reader::content_start(text), limits);
    let mut documents = Vec::new();
    while let Some((_, graph, root)) = composer.next_document()? {
        documents.push(Constructor::new(graph).node(root)?);
    }
    Ok(documents)
}

fn load_from(text: &str, start: Mark, limits: &Limits) -> Result<Node, Error> {
    reader::check(text, limits)?;
    let mut composer = Composer::new(text, start, limits);
    let Some((start, graph, root)) = composer.next_document()? else {
        return Ok(Node::default());
    };
    if let Some((mark, ..)) = composer.next_document()? {
        let message = "expected a single document in the stream, but found another one";
        return Err(Error::new(ErrorKind::Composer, message, mark).within("the first one", start));
    }
    Constructor::new(graph).node(root)
}

#[cfg(test)]
mod tests {
    use super::{Limits, Node, load, load_all};

    fn written<'t>(text: &'t str, node: &Node) -> &'t str {
        &text[node.span.start.offset as usize..node.span.end.offset as usize]
    }

    #[test]
    fn spans_cover_what_was_written() {
        let text = "a: !!str 12\nb: &x [1, 'two']\nc:\n  d: e f\n";
        let root = load(text, &Limits::default()).expect("a map");
        let map = root.as_map().expect("a map");
        let (key, value) = map.get_entry("a").expect("a");
        assert_eq!(
            (written(text, key), written(text, value)),
            ("a", "!!str 12")
        );
        let list = map.get("b").expect("b");
        assert_eq!(written(text, list), "&x [1, 'two']");
        let items: Vec<_> = list.as_sequence().expect("b").iter().collect();
        assert_eq!(
            (written(text, items[0]), written(text, items[1])),
            ("1", "'two'")
        );
        let inner = root.at(&["c", "d"]).expect("d");
        assert_eq!(written(text, inner), "e f");
        assert_eq!((inner.span.start.line, inner.span.start.column), (3, 5));
    }

    #[test]
    fn streams_hold_any_number_of_documents() {
        let documents = |text| load_all(text, &Limits::default()).expect("documents").len();
        assert_eq!(documents(""), 0);
        assert_eq!(documents("a"), 1);
        assert_eq!(documents("--- a\n--- b\n...\n--- c"), 3);
        assert!(load("--- a\n--- b", &Limits::default()).is_err());
    }
}
