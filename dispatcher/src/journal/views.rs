//! The files that a job leaves for people and for other programs, written while it runs.

use super::{
    JournalError, LavaLog, Reader, Results, StreamMasker, Summary, append::AppendFile, yaml_text,
};
use fs_err::{File, OpenOptions};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use wire::journal::{ConnectionId, Entry, Record};

/// The name of the log that LAVA reads.
pub const LOG_FILE: &str = "logs.yaml";

/// When a journal is read again, the views are written each time so much waits.
const WRITE_AT: usize = 256 << 10;

/// Sees every entry as it is recorded: the live display, an upload. Entries hold secrets as they
/// were printed: who shows them hides what `Record::Secrets` names with a `Masker`, or a
/// `StreamMasker` for a console.
pub trait Observer: Send {
    /// Called once for each entry, in order, from the runner's loop: it must not block, and it must
    /// not fail the job.
    fn entry(&mut self, entry: &Entry);
}

/// All views of a job, in one directory.
///
/// `logs.yaml`, `description.yaml` and the consoles grow with the job; the results are exported by
/// [`finish`](Self::finish). Give it every entry, and [`flush`](Self::flush) it after the journal
/// was committed, so that no view is ahead of the journal.
pub struct Views {
    directory: PathBuf,
    log: LavaLog,
    log_file: AppendFile,
    description: Option<serde_json::Value>,
    consoles: BTreeMap<ConnectionId, ConsoleFile>,
    /// Connections that have a file, also when they are closed.
    recorded: BTreeSet<ConnectionId>,
    results: Results,
    observers: Vec<Box<dyn Observer>>,
}

/// What a connection printed, byte for byte but for secrets.
struct ConsoleFile {
    file: AppendFile,
    masker: StreamMasker,
    is_closed: bool,
}

/// What [`rebuild`] found.
#[derive(Debug)]
pub struct Rebuilt {
    /// How many entries the journal has.
    pub entries: u64,
    /// How many bytes at its end make no whole entry.
    pub torn_bytes: u64,
    /// Why it was not read to its end.
    pub damage: Option<JournalError>,
    /// What there is to say about the job.
    pub summary: Summary,
}

impl Views {
    /// Creates the views in a directory that exists; older ones are replaced.
    ///
    /// # Errors
    /// The log cannot be created.
    pub fn create(directory: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            directory: directory.to_owned(),
            log: LavaLog::new(),
            log_file: create(&directory.join(LOG_FILE))?,
            description: None,
            consoles: BTreeMap::new(),
            recorded: BTreeSet::new(),
            results: Results::new(directory),
            observers: Vec::new(),
        })
    }

    /// From now on this sees every entry too.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }

    /// Takes an entry. Nothing is written yet, but the console of a connection is created.
    ///
    /// # Errors
    /// A file cannot be created. All other views have taken the entry.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let line = self.log.lines();
        self.log.push(entry, self.log_file.buffer());
        self.results.push(entry, &self.log, line);
        for observer in &mut self.observers {
            observer.entry(entry);
        }
        match &entry.record {
            Record::Output {
                connection, bytes, ..
            } => self.output(*connection, bytes),
            Record::ConnectionClosed { connection, .. } => {
                self.close(*connection);
                Ok(())
            }
            Record::Description(value) => {
                self.description = Some(self.log.masker().mask_value(value));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How many bytes wait to be written.
    pub fn pending(&self) -> usize {
        let consoles = self.consoles.values().map(|console| console.file.pending());
        self.log_file.pending() + consoles.sum::<usize>()
    }

    /// Writes what the entries so far say. What fails is tried again by the next call; nothing is
    /// lost and nothing written twice.
    ///
    /// # Errors
    /// The first one; the other files were written nevertheless.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        let mut outcome = self.log_file.flush();
        for console in self.consoles.values_mut() {
            outcome = outcome.and(console.file.flush());
        }
        self.consoles
            .retain(|_, console| !console.is_closed || console.file.pending() > 0);
        if let Some(description) = &self.description {
            let written = write_description(&self.directory, description);
            if written.is_ok() {
                self.description = None;
            }
            outcome = outcome.and(written);
        }
        outcome
    }

    /// Writes what is left, and the exports of the results: when the job is over, or when its
    /// runner died. May be called again.
    ///
    /// # Errors
    /// The first one; the other files were written nevertheless.
    pub fn finish(&mut self) -> Result<(), JournalError> {
        let open: Vec<ConnectionId> = self.consoles.keys().copied().collect();
        for connection in open {
            self.close(connection);
        }
        let flushed = self.flush();
        flushed.and(self.results.export(&self.directory))
    }

    /// What there is to say about the job so far: its suites, actions and verdict.
    pub fn summary(&self) -> &Summary {
        self.results.summary()
    }

    /// How many lines the log has.
    pub fn log_lines(&self) -> u64 {
        self.log.lines()
    }

    /// Takes all entries of a journal, to the end of what is whole and undamaged.
    pub(super) fn replay(&mut self, journal: &Path) -> Result<Rebuilt, JournalError> {
        let mut reader = Reader::open(journal)?;
        let mut entries = 0;
        let damage = loop {
            match reader.next_entry() {
                Ok(Some(entry)) => self.entry(&entry)?,
                Ok(None) => break None,
                Err(error @ JournalError::Damaged { .. }) if entries > 0 => break Some(error),
                Err(error) => return Err(error),
            }
            entries += 1;
            if self.pending() > WRITE_AT {
                self.flush()?;
            }
        };
        self.flush()?;
        let length = fs_err::metadata(journal)
            .map_err(|error| JournalError::io(journal, error))?
            .len();
        Ok(Rebuilt {
            entries,
            torn_bytes: length.saturating_sub(reader.offset()),
            damage,
            summary: self.summary().clone(),
        })
    }

    fn output(&mut self, connection: ConnectionId, bytes: &[u8]) -> Result<(), JournalError> {
        use std::collections::btree_map::Entry;
        let console = match self.consoles.entry(connection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(ConsoleFile {
                file: {
                    let path = self.directory.join(console_name(connection));
                    // What comes after the end of a connection must not replace what came before.
                    let is_new = self.recorded.insert(connection);
                    if is_new {
                        create(&path)?
                    } else {
                        reopen(&path)?
                    }
                },
                masker: StreamMasker::default(),
                is_closed: false,
            }),
        };
        let ConsoleFile { file, masker, .. } = console;
        masker.push(self.log.masker(), bytes, file.buffer());
        Ok(())
    }

    fn close(&mut self, connection: ConnectionId) {
        if let Some(console) = self.consoles.get_mut(&connection) {
            let ConsoleFile { file, masker, .. } = console;
            masker.finish(self.log.masker(), file.buffer());
            console.is_closed = true;
        }
    }
}

/// The name of the file with what a connection printed: `console.log` for the first.
pub fn console_name(connection: ConnectionId) -> String {
    match connection.0 {
        0 => "console.log".into(),
        number => format!("console-{number}.log"),
    }
}

/// Makes all views of a journal anew, in a directory that exists. A journal without an end gives
/// what was true when it was last written: the same lines with the same numbers as then.
///
/// # Errors
/// The journal cannot be read, is none or has an unknown version, or a view cannot be written. A
/// journal with damage further on gives what comes before it.
pub fn rebuild(journal: &Path, directory: &Path) -> Result<Rebuilt, JournalError> {
    // Views that are there already are only replaced by those of a journal.
    Reader::open(journal)?.next_entry()?;
    let mut views = Views::create(directory)?;
    let rebuilt = views.replay(journal)?;
    views.finish()?;
    Ok(rebuilt)
}

fn create(path: &Path) -> Result<AppendFile, JournalError> {
    let file = File::create(path).map_err(|error| JournalError::io(path, error))?;
    Ok(AppendFile::new(path, file))
}

fn reopen(path: &Path) -> Result<AppendFile, JournalError> {
    let file = OpenOptions::new().append(true).open(path);
    let file = file.map_err(|error| JournalError::io(path, error))?;
    Ok(AppendFile::new(path, file))
}

fn write_description(
    directory: &Path,
    description: &serde_json::Value,
) -> Result<(), JournalError> {
    let mut file = create(&directory.join("description.yaml"))?;
    let text = yaml_text::dump(description);
    file.buffer().extend_from_slice(text.as_bytes());
    file.flush()
}
