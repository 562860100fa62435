//! `--format lava`: LAVA's log records, as they go into `logs.yaml`.

use super::printer::Printer;
use dispatcher::journal::{LavaLog, Observer};
use wire::journal::Entry;

pub(super) struct Lava {
    printer: Printer,
    log: LavaLog,
    lines: Vec<u8>,
}

impl Lava {
    pub(super) fn new(printer: Printer) -> Self {
        Self {
            printer,
            log: LavaLog::new(),
            lines: Vec::new(),
        }
    }
}

impl Observer for Lava {
    fn entry(&mut self, entry: &Entry) {
        self.log.push(entry, &mut self.lines);
        self.printer.print(&self.lines);
        self.lines.clear();
    }
}
