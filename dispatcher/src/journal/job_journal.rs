//! A job's journal together with its views, as the runner uses them.

use super::{JOURNAL_FILE, JournalError, Observer, Recovery, Summary, Views, Writer};
use std::path::Path;
use wire::journal::{Header, Record};

/// When so much waits, it is written without waiting for the runner's commit.
const WRITE_AT: usize = 256 << 10;

/// The journal of a job, and its views in the same directory.
pub struct Journal {
    writer: Writer,
    views: Views,
}

impl Journal {
    /// Creates the journal and its views in a directory that exists.
    ///
    /// # Errors
    /// There is a journal already, or a file cannot be created.
    pub fn create(directory: &Path, header: Header) -> Result<Self, JournalError> {
        // First the journal: where there is one, the views of its job must stay.
        let writer = Writer::create(&directory.join(JOURNAL_FILE), header.clone())?;
        let mut views = Views::create(directory)?;
        let entry = wire::journal::Entry {
            at_micros: 0,
            record: Record::Header(header),
        };
        views.entry(&entry)?;
        Ok(Self { writer, views })
    }

    /// Takes over the journal of a runner that is gone and makes the views anew.
    ///
    /// # Errors
    /// As for [`Writer::resume`] and [`super::rebuild`].
    pub fn resume(directory: &Path) -> Result<(Self, Recovery), JournalError> {
        let path = directory.join(JOURNAL_FILE);
        let (writer, recovery) = Writer::resume(&path)?;
        let mut views = Views::create(directory)?;
        views.replay(&path)?;
        Ok((Self { writer, views }, recovery))
    }

    /// From now on this sees every entry.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.views.observe(observer);
    }

    /// Records what happened, now.
    ///
    /// # Errors
    /// The record cannot be encoded, a view cannot be created, or much waited and could not be
    /// written.
    pub fn record(&mut self, record: Record) -> Result<(), JournalError> {
        let entry = self.writer.append(record)?;
        self.views.entry(&entry)?;
        if self.views.pending() > WRITE_AT {
            self.commit()?;
        }
        Ok(())
    }

    /// Writes what was recorded, first the journal, then the views: once in each turn of the loop.
    ///
    /// # Errors
    /// The disk is full or failed; the next commit goes on where this one stopped.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        self.writer.commit()?;
        self.views.flush()
    }

    /// Writes everything, exports the results, and gives the lock back.
    ///
    /// # Errors
    /// As for [`Self::commit`]; as much as possible was written.
    pub fn finish(mut self) -> Result<Summary, JournalError> {
        let committed = self.writer.sync();
        committed.and(self.views.finish())?;
        Ok(self.views.summary().clone())
    }

    /// What there is to say about the job so far.
    pub fn summary(&self) -> &Summary {
        self.views.summary()
    }

    /// Microseconds since the journal was opened: the clock of the entries.
    pub fn now_micros(&self) -> u64 {
        self.writer.now_micros()
    }
}
