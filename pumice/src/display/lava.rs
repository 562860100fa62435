//! `--format lava`: LAVA's log records, as they go into `logs.yaml`.

use dispatcher::journal::{LavaLog, Observer};
use std::io::Write;
use wire::journal::Entry;

#[derive(Default)]
pub(super) struct Lava {
    log: LavaLog,
    buffer: Vec<u8>,
}

impl Observer for Lava {
    fn entry(&mut self, entry: &Entry) {
        self.log.push(entry, &mut self.buffer);
        // Whoever read our output is gone; the job goes on.
        let _ = std::io::stdout().lock().write_all(&self.buffer);
        self.buffer.clear();
    }
}
