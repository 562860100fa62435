//! One console of a job, as [`hal::player`] plays it. Used to run a job, or a person, against a
//! board of the past.

use super::{JournalError, Reader};
use hal::{
    ErrorKind, HalError,
    console::Epoch,
    recording::{Direction, Record as Passed},
};
use std::{path::Path, time::Duration};
use wire::journal::{ConnectionId, Record};

/// What passed one console of a job, in order: from its opening to its closing, or to the end of
/// the journal. Give it to [`Player::new`](hal::player::Player::new).
///
/// Holds one entry of the journal at a time. What a job calls secret is in it.
#[derive(Debug)]
pub struct Recording {
    reader: Reader,
    journal: String,
    connection: ConnectionId,
    /// When the console was opened, by the journal's clock; `None` before that was read.
    opened: Option<u64>,
    epoch: Epoch,
    ended: bool,
}

impl Recording {
    /// What passed a console of the job whose journal this is. Consoles are numbered from 0, in the
    /// order in which they were opened.
    ///
    /// # Errors
    /// The file cannot be opened. All else (it is no journal, it is damaged, there is no such
    /// console) is an error of the iterator, and its last item.
    pub fn open(journal: &Path, connection: ConnectionId) -> Result<Self, JournalError> {
        Ok(Self {
            reader: Reader::open(journal)?,
            journal: journal.display().to_string(),
            connection,
            opened: None,
            epoch: Epoch::default(),
            ended: false,
        })
    }

    fn read(&mut self) -> Result<Option<Passed>, HalError> {
        loop {
            let entry = self.reader.next_entry().map_err(|error| {
                let message = error.to_string();
                HalError::new(ErrorKind::InvalidInput, &self.journal, message).with_source(error)
            })?;
            let Some(entry) = entry else {
                return match self.opened {
                    Some(_) => Ok(None),
                    None => Err(self.no_such_console()),
                };
            };
            let (direction, bytes) = match entry.record {
                Record::ConnectionOpened { connection, .. } if connection == self.connection => {
                    self.opened = Some(entry.at_micros);
                    continue;
                }
                Record::ConnectionClosed { connection, .. } if connection == self.connection => {
                    return Ok(None);
                }
                Record::Output {
                    connection,
                    epoch,
                    bytes,
                } if connection == self.connection => {
                    self.epoch = Epoch(epoch.0);
                    (Direction::Output, bytes)
                }
                Record::Input { connection, bytes } if connection == self.connection => {
                    (Direction::Input, bytes)
                }
                _ => continue,
            };
            let since = entry.at_micros.saturating_sub(self.opened.unwrap_or(0));
            return Ok(Some(Passed {
                at: Duration::from_micros(since),
                epoch: self.epoch,
                direction,
                bytes,
            }));
        }
    }

    fn no_such_console(&self) -> HalError {
        let (journal, number) = (&self.journal, self.connection.0);
        let message = format!("{journal}: the job opened no console {number}");
        HalError::new(ErrorKind::NotFound, journal, message)
            .with_hint("consoles are numbered from 0, in the order in which they were opened")
    }
}

impl Iterator for Recording {
    type Item = Result<Passed, HalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}
