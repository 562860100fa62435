//! The resources a job holds, each journalled with its undo before it is taken.
//!
//! Whoever is left when a job ends replays what is still open: the runner itself, or
//! [`recover`](super::recover()) after the runner died.

use super::{Context, JobLog, context::run_command};
use crate::journal::{JOURNAL_FILE, Journal, Reader};
use hal::process::{CommandLine, ProcessIdentity};
use job::Fault;
use std::{cell::RefCell, rc::Rc};
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

    /// The undos that are still open, newest first.
    pub fn open(&self) -> Vec<(UndoId, Undo)> {
        self.open.borrow().undos.iter().rev().cloned().collect()
    }
}

/// Replays what is still open, newest first; `last` (the job's directory) comes at the very end.
pub(super) async fn replay_all(context: &Context, last: UndoId) -> Result<(), Fault> {
    let open = context.undos.open();
    let (end, first): (Vec<_>, Vec<_>) = open.into_iter().partition(|(id, _)| *id == last);
    let mut result = Ok(());
    for (id, undo) in first.into_iter().chain(end) {
        match replay(&undo, &context.job.command_environment, &context.log).await {
            Ok(()) => context.undos.done(id),
            Err(fault) => {
                context.log.error(format!("clean-up failed: {fault}"));
                result = Err(fault);
            }
        }
    }
    result
}

/// Gives one resource back. Doing it again does no harm.
async fn replay(undo: &Undo, environment: &[(String, String)], log: &JobLog) -> Result<(), Fault> {
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
            log.info(format!("Undoing '{name}'"));
            for command in commands {
                let deadline = Instant::now() + *timeout;
                if let Some(line) = CommandLine::from_words(command) {
                    run_command(log, &line, environment, deadline).await?;
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
pub async fn recover(directory: &std::path::Path) -> Result<Recovered, Fault> {
    let (journal, recovery) = Journal::resume(directory).map_err(|error| error.to_fault())?;
    // Only now, with the journal's lock, does nobody else add to it.
    let open = open_undos(&directory.join(JOURNAL_FILE))?;
    let was_needed = !recovery.ended || !open.is_empty();
    let log = JobLog::new(journal);
    let environment = [(
        "LAVA_JOB_ID".to_owned(),
        recovery.header.job_id.as_str().to_owned(),
    )];
    let mut result = Ok(());
    let mut undone = 0;
    for (id, undo) in open.into_iter().rev() {
        match replay(&undo, &environment, &log).await {
            Ok(()) => {
                undone += 1;
                log.record(Record::UndoDone { id });
            }
            Err(fault) => {
                log.error(format!("clean-up failed: {fault}"));
                result = Err(fault);
            }
        }
    }
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

/// The undos of a journal that were not done, oldest first.
fn open_undos(journal: &std::path::Path) -> Result<Vec<(UndoId, Undo)>, Fault> {
    let mut reader = Reader::open(journal).map_err(|error| error.to_fault())?;
    let mut open = Vec::new();
    // A torn or damaged end hides nothing that was begun: an undo is written before its resource
    // is taken.
    while let Ok(Some(entry)) = reader.next_entry() {
        match entry.record {
            Record::Undo { id, undo } => open.push((id, undo)),
            Record::UndoDone { id } => open.retain(|(known, _)| *known != id),
            _ => {}
        }
    }
    Ok(open)
}
