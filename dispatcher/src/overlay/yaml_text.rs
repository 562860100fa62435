//! Test definitions as text: loading with limits and the normalised dump.

use super::files;
use job::Fault;
use std::path::Path;
use yaml::{DumpOptions, Limits, Node};

/// The largest test definition that is read, in bytes; the largest known ones have some 100 kB.
const LIMIT: usize = 4 << 20;

/// Loads a definition from its file in a repository.
pub(super) fn load_below(directory: &Path, path: &str) -> Result<Node, Fault> {
    let text = files::read_below(directory, path, "the test definition", LIMIT as u64)?;
    let limits = Limits {
        bytes: LIMIT,
        ..Limits::default()
    };
    yaml::load_bytes(&text, &limits).map_err(|error| {
        Fault::job(format!("the test definition {path:?} is no YAML: {error}"))
            .with_hint("load it on your machine with 'pumice check'")
    })
}

/// The normalised text of a document, as PyYAML's safe dumper writes it.
pub(super) fn dump(document: &Node) -> String {
    yaml::dump(&document.value, &DumpOptions::default())
}
