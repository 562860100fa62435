//! `--format json`: one object per line for each entry of the journal.

use dispatcher::journal::Observer;
use std::io::Write;
use wire::journal::Entry;

pub(super) struct Json;

impl Observer for Json {
    fn entry(&mut self, entry: &Entry) {
        let mut out = std::io::stdout().lock();
        // Whoever read our output is gone; the job goes on.
        let _ = serde_json::to_writer(&mut out, entry).map(|()| out.write_all(b"\n"));
    }
}
