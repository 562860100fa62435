//! The journal as the actions see it: shared, and never failing in the middle of something.

use crate::journal::{Journal, JournalError, Summary};
use job::Fault;
use std::{cell::RefCell, rc::Rc};
use tokio_util::sync::CancellationToken;
use wire::journal::{ConnectionId, Epoch, LogLevel, Record};

/// The journal of a running job. Clones share it.
///
/// Writing never fails in the middle of an action: the first fault is kept, and the runner asks
/// for it ([`write_fault`](Self::write_fault)) where it can end the job.
#[derive(Clone)]
pub struct JobLog(Rc<RefCell<Inner>>);

struct Inner {
    /// `None` once it is finished.
    journal: Option<Journal>,
    fault: Option<Fault>,
    /// Canceled with the first fault.
    stop: CancellationToken,
    pending: bool,
}

impl JobLog {
    /// A log that writes to a journal.
    pub fn new(journal: Journal) -> Self {
        let inner = Inner {
            journal: Some(journal),
            fault: None,
            stop: CancellationToken::new(),
            pending: false,
        };
        Self(Rc::new(RefCell::new(inner)))
    }

    /// Notes that something happened.
    pub fn record(&self, record: Record) {
        let mut inner = self.0.borrow_mut();
        inner.pending = true;
        inner.with(|journal| journal.record(record));
    }

    /// Notes what a board printed.
    pub fn output(&self, connection: ConnectionId, epoch: Epoch, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.record(Record::Output {
                connection,
                epoch,
                bytes: bytes.to_vec(),
            });
        }
    }

    /// Notes a message.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.record(Record::Log {
            level,
            message: message.into(),
        });
    }

    /// Notes the course of the job.
    pub fn info(&self, message: impl Into<String>) {
        self.log(LogLevel::Info, message);
    }

    /// Notes a detail.
    pub fn debug(&self, message: impl Into<String>) {
        self.log(LogLevel::Debug, message);
    }

    /// Notes what a user should look at.
    pub fn warning(&self, message: impl Into<String>) {
        self.log(LogLevel::Warning, message);
    }

    /// Notes what went wrong.
    pub fn error(&self, message: impl Into<String>) {
        self.log(LogLevel::Error, message);
    }

    /// Writes what was noted, the journal first. Cheap when nothing was.
    pub fn commit(&self) {
        let mut inner = self.0.borrow_mut();
        if std::mem::take(&mut inner.pending) {
            inner.with(Journal::commit);
        }
    }

    /// From now on the first fault of writing cancels this.
    pub fn stop_on_fault(&self, stop: CancellationToken) {
        self.0.borrow_mut().stop = stop;
    }

    /// The first fault of writing, such as a full disk.
    pub fn write_fault(&self) -> Option<Fault> {
        self.0.borrow().fault.clone()
    }

    /// Why a job is stopped from outside: its journal, or somebody who canceled it.
    pub fn reason_to_stop(&self) -> Fault {
        self.write_fault()
            .unwrap_or_else(|| Fault::canceled("the job was canceled"))
    }

    /// Writes everything, exports the results and gives the journal's lock back. What is noted
    /// afterwards is lost.
    ///
    /// # Errors
    /// When the exports cannot be written, or it was finished before.
    pub fn finish(&self) -> Result<Summary, Fault> {
        let journal = self.0.borrow_mut().journal.take();
        let journal = journal.ok_or_else(|| Fault::bug("the journal was finished twice"))?;
        journal.finish().map_err(|error| error.to_fault())
    }
}

impl Inner {
    fn with(&mut self, act: impl FnOnce(&mut Journal) -> Result<(), JournalError>) {
        if let Some(Err(error)) = self.journal.as_mut().map(act) {
            self.fault.get_or_insert_with(|| error.to_fault());
            self.stop.cancel();
        }
    }
}
