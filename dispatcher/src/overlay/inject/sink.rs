//! Where entries go.

use super::entry::{Contents, Entry};
use job::Fault;

/// An image that takes entries, parents before what they hold.
pub(in super::super) trait Sink {
    /// Adds an entry; files read their contents.
    fn add(&mut self, entry: &Entry, contents: &mut Contents<'_>) -> Result<(), Fault>;
}
