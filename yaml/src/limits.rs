//! What a document may cost.

/// Bounds on what one load may consume. PyYAML has none; whoever reads text of strangers must.
///
/// The default suits a server that loads job definitions: whatever a document contains, loading it
/// takes about 200 MiB and a second at most, and an alias bomb is refused within microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of input; never more than 4 GiB - 1, so that a [`Mark`](crate::Mark) can hold any offset.
    pub bytes: usize,
    /// How deep collections may nest, counted after aliases are expanded. Values above
    /// [`Limits::MAX_DEPTH`] count as that, since callers walk the tree by recursion.
    pub depth: usize,
    /// Nodes (scalars, sequences and mappings) that are written in the text.
    pub nodes: usize,
    /// Nodes that aliases and merge keys may add by being expanded.
    pub alias_nodes: usize,
    /// Bytes of scalars that aliases and merge keys may add by being expanded.
    pub alias_bytes: usize,
}

impl Limits {
    /// The deepest nesting that is ever accepted.
    pub const MAX_DEPTH: usize = 256;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 128,
            nodes: 1_000_000,
            alias_nodes: 100_000,
            alias_bytes: 8 << 20,
        }
    }
}
