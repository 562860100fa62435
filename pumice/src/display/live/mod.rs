//! `--format live`: on a terminal, the console as it comes and below it the tree of actions.
//!
//! The runner's thread only notes what happened ([`Feed`]); a thread of the display's owns the
//! terminal and repaints it: at least [`PER_REPAINT`] apart while something happens, and each
//! [`TICK`] while nothing does. A terminal that is slow, stopped or gone never holds up the job.

mod feed;
mod model;
mod painter;
mod pending;
mod screen;
mod view;

use super::{
    outlet::{Watch, outlet},
    report::Report,
    style::Theme,
};
use crate::exit::Exit;
use dispatcher::journal::{Observer, Summary};
use feed::{Closing, Feed};
use model::{Event, EventKind, Model};
use painter::Painter;
use plan::Plan;
use screen::NoEcho;
use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use wire::journal::{Entry, Header};

/// Repaints are at least so far apart.
const PER_REPAINT: Duration = Duration::from_millis(50);
/// Without news the clocks are repainted so often.
const TICK: Duration = Duration::from_millis(100);

/// What the two threads share.
struct Shared {
    feed: Mutex<Feed>,
    news: Condvar,
    theme: Theme,
}

/// The live display.
pub(super) struct Live {
    shared: Arc<Shared>,
    watch: Watch,
    _echo: Option<NoEcho>,
}

/// Notes what happens.
pub(super) struct LiveObserver(Arc<Shared>);

impl Live {
    /// Begins to paint.
    pub(super) fn start(theme: Theme, plan: &Plan, header: &Header, secrets: &[String]) -> Self {
        let feed = Feed::new(Model::new(plan, header, theme, Instant::now()), secrets);
        let shared = Arc::new(Shared::new(feed, theme));
        let echo = NoEcho::new();
        let (outlet, watch) = outlet();
        let mut painter = Painter::new(Arc::clone(&shared), outlet);
        let started = thread::Builder::new()
            .name("display".to_owned())
            .spawn(move || painter.run());
        if started.is_err() {
            shared.lock().is_gone = true;
        }
        Self {
            shared,
            watch,
            _echo: echo,
        }
    }

    /// What is to be given to the journal.
    pub(super) fn observer(&self) -> LiveObserver {
        LiveObserver(Arc::clone(&self.shared))
    }

    /// Somebody asked for the job to end: `text` says what happens now.
    pub(super) fn canceling(&self, text: &str) {
        let mut feed = self.shared.lock();
        feed.model.is_canceling = true;
        let event = Event::new(EventKind::Warning, text, "");
        feed.pending.event(view::event(&event, self.shared.theme));
        self.shared.tell(feed);
    }

    /// The job is over: prints the report in place of the view.
    pub(super) fn finish(&self, summary: &Summary, output: &Path, exit: Exit) {
        let mut feed = self.shared.lock();
        let failed = feed.model.failed.clone();
        let report = Report {
            summary,
            failed: &failed,
            output,
            exit,
        };
        let width = screen::size().columns.saturating_sub(1);
        feed.closing = Some(Closing {
            rows: report.rows(self.shared.theme, width),
        });
        self.shared.tell(feed);
        self.watch.wait();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut feed = self.shared.lock();
        feed.closing.get_or_insert_default();
        self.shared.tell(feed);
        self.watch.wait();
    }
}

impl Shared {
    fn new(feed: Feed, theme: Theme) -> Self {
        Self {
            feed: Mutex::new(feed),
            news: Condvar::new(),
            theme,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread if it waits for this.
    fn tell(&self, mut feed: MutexGuard<'_, Feed>) {
        feed.is_news = true;
        if feed.is_waiting || feed.closing.is_some() || feed.pending.is_much() {
            self.news.notify_one();
        }
    }
}

impl Observer for LiveObserver {
    fn entry(&mut self, entry: &Entry) {
        let mut feed = self.0.lock();
        if feed.is_gone {
            return;
        }
        if feed.take(&entry.record, self.0.theme) {
            self.0.tell(feed);
        }
    }
}

#[cfg(test)]
mod tests;
