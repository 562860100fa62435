//! Downloads of a deploy, fetched at the same time although its actions wait for one after the
//! other: what the first action of a deploy needs is hardly ever what takes longest.

use super::{JobLog, consoles::Consoles};
use crate::download::{Downloader, Fetched, Progress};
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use job::{Fault, Level};
use plan::{Action, Plan, Step, step::Download};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    rc::Rc,
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use wire::journal::Record;

/// How many files are fetched at once. A server that answers slowly is not asked for more.
const AT_ONCE: usize = 4;

type Running = LocalBoxFuture<'static, (Level, Result<Fetched, Fault>)>;

/// The downloads of a job.
pub struct Fetches {
    planned: Vec<(Level, Rc<Download>, Duration)>,
    begun: BTreeSet<Level>,
    running: FuturesUnordered<Running>,
    done: BTreeMap<Level, Result<Fetched, Fault>>,
    downloader: Rc<Downloader>,
    log: JobLog,
    slots: Rc<Semaphore>,
}

impl Fetches {
    /// The downloads of a plan; none is begun.
    pub fn new(plan: &Plan, downloader: Rc<Downloader>, log: JobLog) -> Self {
        let mut planned = Vec::new();
        plan.actions
            .iter()
            .for_each(|action| collect(action, &mut planned));
        Self {
            planned,
            begun: BTreeSet::new(),
            running: FuturesUnordered::new(),
            done: BTreeMap::new(),
            downloader,
            log,
            slots: Rc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// What fetches.
    pub fn downloader(&self) -> &Rc<Downloader> {
        &self.downloader
    }

    /// The file of an action. The first action of a block starts all downloads of the block; an
    /// action that is tried again fetches anew.
    ///
    /// Cancel-safe: what is being fetched goes on with the next call.
    ///
    /// # Errors
    /// Those of [`Downloader::fetch`].
    pub async fn file(
        &mut self,
        level: &Level,
        download: &Download,
        directory: &Path,
        deadline: Instant,
        consoles: &mut Consoles,
    ) -> Result<Fetched, Fault> {
        let block = level.top();
        if self.begun.insert(block) {
            self.begin(level, directory, deadline);
        } else if !self.is_under_way(level) {
            self.start(
                level.clone(),
                Rc::new(download.clone()),
                directory,
                deadline,
            );
        }
        loop {
            if let Some(result) = self.done.remove(level) {
                self.planned.retain(|(known, ..)| known != level);
                return result;
            }
            tokio::select! {
                Some((level, result)) = self.running.next() => { self.done.insert(level, result); }
                never = consoles.drain() => match never {},
                else => return Err(Fault::bug("a download was lost")),
            }
        }
    }

    /// Gives up what is being fetched.
    pub fn cancel(&mut self) {
        self.running.clear();
    }

    fn is_under_way(&self, level: &Level) -> bool {
        self.planned.iter().any(|(known, ..)| known == level)
    }

    /// Starts all downloads of a block, of which `first` is waited for.
    fn begin(&mut self, first: &Level, directory: &Path, deadline: Instant) {
        let (now, block) = (Instant::now(), first.top());
        let wanted: Vec<_> = self
            .planned
            .iter()
            .filter(|(level, ..)| level.top() == block)
            .cloned()
            .collect();
        for (level, download, timeout) in wanted {
            // The very deadline of its action, so that the message names the file.
            let deadline = if level == *first {
                deadline
            } else {
                now + timeout
            };
            self.start(level, download, directory, deadline);
        }
    }

    fn start(&mut self, level: Level, download: Rc<Download>, directory: &Path, deadline: Instant) {
        let downloader = Rc::clone(&self.downloader);
        let slots = Rc::clone(&self.slots);
        let (log, directory) = (self.log.clone(), directory.to_owned());
        let fetch = async move {
            // The semaphore is never closed.
            let _slot = slots.acquire().await;
            let mut told = |progress| tell(&log, &level, &download.label, progress);
            let result = downloader
                .fetch(&download, &directory, deadline, &mut told)
                .await;
            (level, result)
        };
        self.running.push(fetch.boxed_local());
    }
}

fn collect(action: &Action, planned: &mut Vec<(Level, Rc<Download>, Duration)>) {
    if let Step::Download(download) = &action.step {
        planned.push((
            action.level.clone(),
            Rc::new((**download).clone()),
            action.timeout,
        ));
    }
    action
        .children
        .iter()
        .for_each(|child| collect(child, planned));
}

fn tell(log: &JobLog, level: &Level, label: &str, progress: Progress) {
    let (done, total) = match progress {
        Progress::Started { total } => (0, total),
        Progress::Advanced { done, total } => (done, total),
        Progress::Retrying { reason, wait } => {
            return log.warning(format!(
                "{label}: {reason}; trying again in {} s",
                wait.as_secs()
            ));
        }
        Progress::Note(note) => return log.info(format!("{label}: {note}")),
    };
    log.record(Record::Progress {
        level: level.clone(),
        label: label.to_owned(),
        done,
        total,
    });
    log.commit();
}
