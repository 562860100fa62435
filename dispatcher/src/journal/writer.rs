//! Writes a journal: one process, for the life of the job.

use super::{JournalError, Reader, append::AppendFile};
use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt};
use rustix::fs::{Advice, FlockOperation, fadvise, flock};
use std::{
    io,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};
use wire::journal::{Entry, Header, Record, frame};

/// The name of the journal in a job's directory.
pub const JOURNAL_FILE: &str = "journal";

/// What waits is written at once when it is more than this, so that memory stays bounded however
/// long the runner takes to commit.
const WRITE_AT: usize = 256 << 10;

/// After a failed write no more than this is kept for the next attempt.
const KEEP_AT_MOST: usize = 4 << 20;

/// Each time so much was written, the system is asked to begin putting it on the disk: the sync at
/// the end of a job then has little left to wait for, however much the board printed.
const WRITE_BACK_AT: u64 = 4 << 20;

/// Time since the journal was opened, from a clock that never goes back.
#[derive(Clone, Copy, Debug)]
struct Clock {
    origin: Instant,
    /// What the clock says at `origin`, in microseconds.
    offset: u64,
}

impl Clock {
    fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.offset.saturating_add(elapsed)
    }
}

/// Appends records to a journal and holds its lock.
///
/// Records are buffered; [`commit`](Self::commit) writes them with one `write(2)`. The lock
/// (`flock`, so it ends with the process however that ends) is the one sign that a job runs.
#[derive(Debug)]
pub struct Writer {
    file: AppendFile,
    clock: Clock,
    last_micros: u64,
    write_back: WriteBack,
}

/// Which part of the file is on its way to the disk.
#[derive(Debug, Default)]
struct WriteBack {
    /// Up to here it was asked for.
    begun: u64,
    written: u64,
}

impl WriteBack {
    /// Takes note of bytes at the end of the file. What it asks for is a favour: nothing depends
    /// on whether it is done.
    fn note(&mut self, file: &File, bytes: u64) {
        self.written += bytes;
        let due = self.written - self.begun;
        if due >= WRITE_BACK_AT {
            // Dirty pages that are not needed are written, in the background.
            let _ = fadvise(
                file.file(),
                self.begun,
                NonZeroU64::new(due),
                Advice::DontNeed,
            );
            self.begun = self.written;
        }
    }
}

/// What [`Writer::resume`] found in a journal whose writer is gone.
#[derive(Debug)]
pub struct Recovery {
    /// The first record.
    pub header: Header,
    /// How many entries are whole, the header included.
    pub entries: u64,
    /// How many bytes at the end were not whole and were cut off.
    pub torn_bytes: u64,
    /// Where the bytes that were cut off are kept, when they were not just torn but damaged.
    pub damaged: Option<PathBuf>,
    /// Whether the job had ended.
    pub ended: bool,
}

impl Writer {
    /// Creates a journal (mode 0600), locks it, and writes its header.
    ///
    /// # Errors
    /// The file exists already, cannot be created or written.
    pub fn create(path: &Path, header: Header) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .append(true)
            .read(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => JournalError::Exists {
                    path: path.to_owned(),
                },
                _ => JournalError::io(path, error),
            })?;
        lock(&file, path)?;
        let mut writer = Self {
            file: AppendFile::new(path, file),
            clock: Clock {
                origin: Instant::now(),
                offset: 0,
            },
            last_micros: 0,
            write_back: WriteBack::default(),
        };
        writer.file.buffer().extend_from_slice(&frame::prelude());
        writer.append_at(0, Record::Header(header))?;
        writer.commit()?;
        Ok(writer)
    }

    /// Takes over the journal of a writer that is gone: locks it, cuts a torn tail off, and goes on
    /// behind the last whole entry. Damaged bytes are kept beside the journal.
    ///
    /// # Errors
    /// Another process still holds the journal; it cannot be read; it is no journal or has an
    /// unknown version; or it has no header.
    pub fn resume(path: &Path) -> Result<(Self, Recovery), JournalError> {
        let file = OpenOptions::new()
            .append(true)
            .read(true)
            .open(path)
            .map_err(|error| JournalError::io(path, error))?;
        lock(&file, path)?;
        let (last_micros, mut recovery, whole) = scan(path)?;
        let length = file
            .metadata()
            .map_err(|error| JournalError::io(path, error))?
            .len();
        recovery.torn_bytes = length.saturating_sub(whole);
        if recovery.torn_bytes > 0 {
            // More than one write can have torn off: a length is wrong, and records may follow.
            if recovery.torn_bytes > KEEP_AT_MOST as u64 {
                recovery.damaged = Some(path.with_extension("damaged"));
            }
            if let Some(keep) = &recovery.damaged {
                keep_tail(path, whole, keep)?;
            }
            file.set_len(whole)
                .map_err(|error| JournalError::io(path, error))?;
        }
        let since_start = unix_micros().saturating_sub(recovery.header.started_unix_micros);
        let writer = Self {
            file: AppendFile::new(path, file),
            clock: Clock {
                origin: Instant::now(),
                offset: last_micros.max(since_start),
            },
            last_micros,
            write_back: WriteBack {
                begun: whole,
                written: whole,
            },
        };
        Ok((writer, recovery))
    }

    /// Stamps a record and appends it to what the next commit writes. Gives the entry back for the
    /// views.
    ///
    /// # Errors
    /// The record cannot be encoded, or the disk has been full for so long that no more is kept.
    /// Then the journal is as before.
    pub fn append(&mut self, record: Record) -> Result<Entry, JournalError> {
        self.append_at(self.clock.now(), record)
    }

    /// As [`Self::append`], at a time the caller gives. Time does not go back: it is at least that
    /// of the entry before.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn append_at(&mut self, at_micros: u64, record: Record) -> Result<Entry, JournalError> {
        if self.file.pending() > KEEP_AT_MOST {
            self.commit()?;
        }
        let at_micros = at_micros.max(self.last_micros);
        if let Err(source) = frame::encode(at_micros, &record, self.file.buffer()) {
            return Err(JournalError::Record {
                path: self.path().to_owned(),
                source,
            });
        }
        self.last_micros = at_micros;
        if self.file.pending() > WRITE_AT {
            // The record is kept either way; the commit tries again and reports the error.
            let _ = self.commit();
        }
        Ok(Entry { at_micros, record })
    }

    /// Writes what was appended: call it once in each turn of the event loop. From here on a reader
    /// finds it, whatever becomes of this process.
    ///
    /// # Errors
    /// The disk is full ([`JournalError::is_full`]) or failed. What was written before stays whole;
    /// what was not still waits, and the next commit goes on exactly there.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        let waiting = self.file.pending();
        let flushed = self.file.flush();
        let written = waiting - self.file.pending();
        self.write_back.note(self.file.file(), written as u64);
        flushed
    }

    /// Has the system put the journal on the disk: it survives a power cut from here on.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.commit()?;
        self.file
            .file()
            .sync_data()
            .map_err(|error| JournalError::io(self.path(), error))
    }

    /// Microseconds since the journal was opened: the clock that stamps the entries.
    pub fn now_micros(&self) -> u64 {
        self.clock.now().max(self.last_micros)
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Whether a process holds the journal: its job is running.
///
/// # Errors
/// The file cannot be opened, or locks do not work on its file system.
pub fn is_running(path: &Path) -> Result<bool, JournalError> {
    let file = File::open(path).map_err(|error| JournalError::io(path, error))?;
    match flock(file.file(), FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(JournalError::io(path, error.into())),
    }
}

/// The wall clock, for [`Header::started_unix_micros`].
pub fn unix_micros() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Locked {
            path: path.to_owned(),
        }),
        Err(error) => Err(JournalError::io(path, error.into())),
    }
}

/// Reads a journal to the end of what is whole: the last time, what was found, and that end.
fn scan(path: &Path) -> Result<(u64, Recovery, u64), JournalError> {
    let mut reader = Reader::open(path)?;
    let mut recovery = Recovery {
        header: reader.read_header()?,
        entries: 1,
        torn_bytes: 0,
        damaged: None,
        ended: false,
    };
    let mut last_micros = 0;
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => {
                recovery.entries += 1;
                recovery.ended |= matches!(entry.record, Record::End { .. });
                last_micros = entry.at_micros;
            }
            Ok(None) => break,
            Err(JournalError::Damaged { .. }) => {
                recovery.damaged = Some(path.with_extension("damaged"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok((last_micros, recovery, reader.offset()))
}

/// Copies what follows the whole entries into a file of its own.
fn keep_tail(path: &Path, whole: u64, keep: &Path) -> Result<(), JournalError> {
    use io::{Seek, SeekFrom};
    let mut from = File::open(path).map_err(|error| JournalError::io(path, error))?;
    from.seek(SeekFrom::Start(whole))
        .map_err(|error| JournalError::io(path, error))?;
    let mut to = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(keep)
        .map_err(|error| JournalError::io(keep, error))?;
    io::copy(&mut from, &mut to).map_err(|error| JournalError::io(keep, error))?;
    Ok(())
}
