//! `--format live`: on a terminal, the console as it comes and below it the tree of actions.
//!
//! The runner's thread only notes what happened ([`Feed`]); a thread of the display's owns the
//! terminal and repaints it, at most [`PER_REPAINT`] apart while something happens and each
//! [`TICK`] while nothing does. A terminal that is slow, stopped or gone never holds up the job.

mod model;
mod pending;
mod screen;
mod view;

use super::{
    console::ConsoleText,
    mask::{Direction, Secrets},
    outlet::{Outlet, Watch, outlet},
    report::{FailedCases, Report},
    style::{Row, Style, Theme},
};
use crate::exit::Exit;
use dispatcher::journal::{Masker, Observer, Summary};
use model::{Event, EventKind, Model};
use pending::{Pending, Piece};
use plan::Plan;
use screen::{Frame, NoEcho, Screen};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use view::{Size, View};
use wire::journal::{ConnectionId, Entry, Header, LogLevel, Record};

/// Repaints are at least so far apart.
const PER_REPAINT: Duration = Duration::from_millis(50);
/// Without news the clocks are repainted so often.
const TICK: Duration = Duration::from_millis(100);

/// What the runner's thread notes.
struct Feed {
    model: Model,
    pending: Pending,
    secrets: Secrets,
    /// Namespaces of the consoles that are open.
    open: BTreeMap<ConnectionId, String>,
    /// Whether something was noted since the last repaint.
    is_news: bool,
    /// Whether the thread waits for news.
    is_waiting: bool,
    closing: Option<Closing>,
    /// The terminal is gone, or its thread never began.
    is_gone: bool,
}

/// What the thread prints last.
#[derive(Default)]
struct Closing {
    rows: Vec<Row>,
}

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
        let failed: FailedCases = feed.model.failed.clone();
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

impl Feed {
    fn new(model: Model, secrets: &[String]) -> Self {
        let mut feed = Self {
            model,
            pending: Pending::default(),
            secrets: Secrets::default(),
            open: BTreeMap::new(),
            is_news: true,
            is_waiting: false,
            closing: None,
            is_gone: false,
        };
        feed.secrets.add(secrets);
        feed
    }

    /// Notes a record; says whether anything changed.
    fn take(&mut self, record: &Record, theme: Theme) -> bool {
        match record {
            Record::Output {
                connection, bytes, ..
            } => {
                let mut shown = Vec::with_capacity(bytes.len());
                let secrets = &mut self.secrets;
                secrets.stream(*connection, Direction::Output, bytes, &mut shown);
                self.pending.output(*connection, &shown);
            }
            Record::FlushLine { connection } => self.end_line(*connection, false),
            Record::ConnectionOpened {
                connection,
                namespace,
                ..
            } => {
                let namespace = super::text::clean(namespace.as_str()).into_owned();
                self.open.insert(*connection, namespace);
            }
            Record::ConnectionClosed { connection, .. } => {
                self.end_line(*connection, true);
                self.open.remove(connection);
            }
            Record::Secrets(secrets) => {
                self.secrets.add(secrets);
                self.pending.masker(self.secrets.masker().clone());
            }
            Record::Log { level, message } => return self.message(*level, message, theme),
            _ => {
                let masked = masked(record, &self.secrets);
                let record = masked.as_ref().unwrap_or(record);
                if let Some(event) = self.model.record(record, Instant::now()) {
                    self.pending.event(view::event(&event, theme));
                }
            }
        }
        true
    }

    fn message(&mut self, level: LogLevel, message: &str, theme: Theme) -> bool {
        let message = self.secrets.text(message);
        let kind = match level {
            LogLevel::Warning => EventKind::Warning,
            LogLevel::Error => EventKind::Error,
            LogLevel::Debug | LogLevel::Info => {
                self.model.say(&message);
                return true;
            }
            // The report says at the end why the job failed.
            _ => return false,
        };
        for line in message.lines() {
            let event = Event::new(kind, line, "");
            self.pending.event(view::event(&event, theme));
        }
        true
    }

    fn end_line(&mut self, connection: ConnectionId, is_closed: bool) {
        let mut rest = Vec::new();
        self.secrets.end(connection, Direction::Output, &mut rest);
        self.pending.output(connection, &rest);
        self.pending.end_line(connection, is_closed);
    }
}

/// Records whose texts the view shows, without secrets; `None` when there is nothing to hide.
fn masked(record: &Record, secrets: &Secrets) -> Option<Record> {
    if secrets.masker().is_empty() {
        return None;
    }
    let mut masked = record.clone();
    match &mut masked {
        Record::Result(result) => *result = secrets.result(result),
        Record::ActionRetry { reason, .. } => *reason = secrets.text(reason).into_owned(),
        Record::Progress { label, .. } => *label = secrets.text(label).into_owned(),
        _ => return None,
    }
    Some(masked)
}

/// The thread.
struct Painter {
    shared: Arc<Shared>,
    outlet: Outlet,
    screen: Screen,
    consoles: BTreeMap<ConnectionId, ConsoleText>,
    /// Whose open line is shown.
    current: Option<ConnectionId>,
    masker: Masker,
    turn: u64,
}

/// What one repaint needs of the feed.
struct Work {
    pieces: Vec<Piece>,
    left_out: u64,
    names: BTreeMap<ConnectionId, String>,
    rows: Vec<String>,
    size: Size,
    closing: Option<Closing>,
}

impl Painter {
    fn new(shared: Arc<Shared>, outlet: Outlet) -> Self {
        let masker = shared.lock().secrets.masker().clone();
        Self {
            shared,
            outlet,
            screen: Screen::default(),
            consoles: BTreeMap::new(),
            current: None,
            masker,
            turn: 0,
        }
    }

    fn run(&mut self) {
        let mut painted = Instant::now() - PER_REPAINT;
        loop {
            let work = self.wait(painted);
            painted = Instant::now();
            let is_last = work.closing.is_some();
            if self.paint(work).is_err() {
                let mut feed = self.shared.lock();
                feed.is_gone = true;
                feed.pending = Pending::default();
                return;
            }
            if is_last {
                return;
            }
        }
    }

    /// Waits until it is time to repaint.
    fn wait(&mut self, painted: Instant) -> Work {
        let news = &self.shared.news;
        let mut feed = self.shared.lock();
        // First the pause, which only much news or the end makes shorter.
        while !feed.pending.is_much() && feed.closing.is_none() {
            let Some(pause) = PER_REPAINT
                .checked_sub(painted.elapsed())
                .filter(|pause| !pause.is_zero())
            else {
                break;
            };
            feed = news
                .wait_timeout(feed, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        while !feed.is_news && feed.closing.is_none() {
            let Some(pause) = TICK
                .checked_sub(painted.elapsed())
                .filter(|pause| !pause.is_zero())
            else {
                break;
            };
            feed.is_waiting = true;
            feed = news
                .wait_timeout(feed, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        feed.is_waiting = false;
        feed.is_news = false;
        let now = Instant::now();
        self.turn = u64::try_from(
            now.saturating_duration_since(feed.model.started)
                .as_millis(),
        )
        .unwrap_or(0)
            / 100;
        let view = View {
            theme: self.shared.theme,
            size: screen::size(),
            now,
            turn: self.turn,
        };
        let (pieces, left_out) = feed.pending.take();
        let names = if feed.open.len() > 1 {
            feed.open.clone()
        } else {
            BTreeMap::new()
        };
        Work {
            pieces,
            left_out,
            names,
            rows: view.rows(&feed.model),
            size: view.size,
            closing: feed.closing.take(),
        }
    }

    fn paint(&mut self, work: Work) -> std::io::Result<()> {
        let theme = self.shared.theme;
        let mut history = Vec::new();
        if work.left_out > 0 {
            // What comes now does not continue the lines that are open.
            let open: Vec<ConnectionId> = self.consoles.keys().copied().collect();
            for connection in open {
                let end = Piece::EndLine {
                    connection,
                    is_closed: false,
                };
                self.piece(end, &work.names, &mut history);
            }
            let text = format!(
                "{} not shown: the terminal is too slow; all is in console.log",
                super::text::count(work.left_out, "line", "lines")
            );
            let event = Event::new(EventKind::Note, &text, "");
            push_line(view::event(&event, theme).as_bytes(), &mut history);
        }
        for piece in work.pieces {
            self.piece(piece, &work.names, &mut history);
        }
        let current = self
            .current
            .and_then(|connection| self.consoles.get(&connection));
        let room = work.size.columns.saturating_sub(1);
        let open = current.map(|console| console.open().tail(room, theme.colour, &self.masker));
        let open = open.unwrap_or_default();
        let bytes = match work.closing {
            None => {
                let frame = Frame {
                    open,
                    rows: work.rows,
                };
                self.screen.paint(&history, frame, work.size)
            }
            Some(closing) => {
                let mut last = Vec::new();
                for row in closing.rows {
                    push_line(row.whole(theme).as_bytes(), &mut last);
                }
                self.screen.close(&history, &open.0, &last)
            }
        };
        self.outlet.write(&bytes)
    }

    fn piece(
        &mut self,
        piece: Piece,
        names: &BTreeMap<ConnectionId, String>,
        history: &mut Vec<u8>,
    ) {
        let (connection, bytes, end) = match piece {
            Piece::Event(line) => return push_line(line.as_bytes(), history),
            Piece::Masker(masker) => {
                self.masker = masker;
                return;
            }
            Piece::Output(connection, bytes) => (connection, bytes, None),
            Piece::EndLine {
                connection,
                is_closed,
            } => (connection, Vec::new(), Some(is_closed)),
        };
        let theme = self.shared.theme;
        let colour = theme.colour;
        let masker = &self.masker;
        let name = names.get(&connection);
        let console = self.consoles.entry(connection).or_default();
        self.current = Some(connection);
        let mut emit = |line: super::console::Line<'_>| {
            if let Some(name) = name {
                history.extend_from_slice(format!("{name}| ").as_bytes());
            }
            if colour && line.is_signal() {
                // The lines that helpers on the board write for us step back behind the others.
                let row = Row::new().text(Style::Dim, line.text());
                history.extend_from_slice(row.whole(theme).as_bytes());
            } else {
                line.write(colour, masker, history);
            }
            history.extend_from_slice(b"\r\n");
        };
        console.push(&bytes, &mut emit);
        if let Some(is_closed) = end {
            console.flush(&mut emit);
            if is_closed {
                self.consoles.remove(&connection);
            }
        }
    }
}

fn push_line(line: &[u8], history: &mut Vec<u8>) {
    history.extend_from_slice(line);
    history.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
