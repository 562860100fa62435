//! The resources a job holds, each journalled with its undo before it is taken.
//!
//! Whoever is left when a job ends replays what is still open: the runner itself, or
//! [`recover`](super::recover()) after the runner died.

use super::{Context, JobLog, context::run_command};
use crate::journal::{JOURNAL_FILE, Journal, Reader};
use hal::process::{CommandLine, ProcessIdentity};
use job::Fault;
use std::{cell::RefCell, path::Path, rc::Rc};
use tokio::time::Instant;
use wire::journal::{Record, Undo, UndoId};

/// The undos that are still open, oldest first. Clones share them.
#[derive(Clone)]
pub struct Undos {
    log: JobLog,
    open: Rc<RefCell<Open>>,
}

#[derive(Default)]
struct Open {
    last: u32,
    undos: Vec<(UndoId, Undo)>,
}

impl Undos {
    /// No undo yet.
    pub fn new(log: JobLog) -> Self {
        Self {
            log,
            open: Rc::default(),
        }
    }

    /// The undos of a journal that were not done. `log` goes on writing it.
    fn resume(log: JobLog, journal: &Path) -> Result<Self, Fault> {
        let undos = Self::new(log);
        let mut reader = Reader::open(journal).map_err(|error| error.to_fault())?;
        let mut open = undos.open.borrow_mut();
        // A torn or damaged end hides nothing that was begun: an undo is written before its
        // resource is taken.
        while let Ok(Some(entry)) = reader.next_entry() {
            match entry.record {
                Record::Undo { id, undo } => {
                    open.last = open.last.max(id.0);
                    open.undos.push((id, undo));
                }
                Record::UndoDone { id } => open.undos.retain(|(known, _)| *known != id),
                _ => {}
            }
        }
        drop(open);
        Ok(undos)
    }

    /// Writes down how to give a resource back. Call this before taking it.
    pub fn register(&self, undo: Undo) -> UndoId {
        let mut open = self.open.borrow_mut();
        open.last += 1;
        let id = UndoId(open.last);
        self.log.record(Record::Undo {
            id,
            undo: undo.clone(),
        });
        self.log.commit();
        open.undos.push((id, undo));
        id
    }

    /// Notes that the resource was given back.
    pub fn done(&self, id: UndoId) {
        self.open.borrow_mut().undos.retain(|(open, _)| *open != id);
        self.log.record(Record::UndoDone { id });
    }

    /// Where they are written down.
    pub fn log(&self) -> &JobLog {
        &self.log
    }

    /// The undos that are still open, newest first.
    pub fn open(&self) -> Vec<(UndoId, Undo)> {
        self.open.borrow().undos.iter().rev().cloned().collect()
    }
}

/// Replays what is still open, newest first; `last` (the job's directory) comes at the very end.
pub(super) async fn replay_all(context: &Context, last: UndoId) -> Result<(), Fault> {
    let open = context.undos.open();
    let (end, mut all): (Vec<_>, Vec<_>) = open.into_iter().partition(|(id, _)| *id == last);
    all.extend(end);
    let environment = &context.job.command_environment;
    replay_each(all, environment, &context.undos).await.1
}

/// Replays undos in order: how many worked, and the last fault. One that fails stops no other.
async fn replay_each(
    all: Vec<(UndoId, Undo)>,
    environment: &[(String, String)],
    undos: &Undos,
) -> (usize, Result<(), Fault>) {
    let (mut worked, mut result) = (0, Ok(()));
    for (id, undo) in all {
        match replay(&undo, environment, undos).await {
            Ok(()) => {
                worked += 1;
                undos.done(id);
            }
            Err(fault) => {
                undos.log.error(format!("clean-up failed: {fault}"));
                result = Err(fault);
            }
        }
    }
    (worked, result)
}

/// Gives one resource back. Doing it again does no harm.
async fn replay(undo: &Undo, environment: &[(String, String)], undos: &Undos) -> Result<(), Fault> {
    match undo {
        Undo::RemovePath { path } => match fs_err::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(super::fault::of_io(&error))
            }
            _ => Ok(()),
        },
        Undo::KillGroup { pid, start_time } => {
            let process = ProcessIdentity::new(*pid, *start_time);
            process
                .kill_group()
                .map_err(|error| super::fault::of_io(&error))
        }
        Undo::Run {
            name,
            commands,
            timeout,
        } => {
            undos.log.info(format!("Undoing '{name}'"));
            for command in commands {
                let deadline = Instant::now() + *timeout;
                if let Some(line) = CommandLine::from_words(command) {
                    run_command(undos, &line, environment, deadline).await?;
                }
            }
            Ok(())
        }
    }
}

/// What [`recover`] did.
#[derive(Debug)]
pub struct Recovered {
    /// Whether there was anything left to do.
    pub was_needed: bool,
    /// How many resources were given back.
    pub undone: usize,
}

/// Cleans up after a job whose runner died: replays the undos that are still open, ends the
/// journal, and makes the views anew. What a job that ended could not give back is tried again.
///
/// # Errors
/// When the journal cannot be read, its job still runs, or something cannot be given back.
pub async fn recover(directory: &Path) -> Result<Recovered, Fault> {
    let (journal, recovery) = Journal::resume(directory).map_err(|error| error.to_fault())?;
    let log = JobLog::new(journal);
    // Only now, with the journal's lock, does nobody else add to it.
    let undos = Undos::resume(log.clone(), &directory.join(JOURNAL_FILE))?;
    let open = undos.open();
    let was_needed = !recovery.ended || !open.is_empty();
    let job_id = recovery.header.job_id.as_str().to_owned();
    let environment = [("LAVA_JOB_ID".to_owned(), job_id)];
    let (undone, result) = replay_each(open, &environment, &undos).await;
    if !recovery.ended {
        log.record(Record::Fault {
            level: None,
            action: None,
            fault: Fault::bug("the runner died before the end of the job"),
        });
        log.record(Record::End { ok: false });
    }
    log.commit();
    log.finish()?;
    result.map(|()| Recovered { was_needed, undone })
}
