//! What the runner's thread notes for the thread that paints: cheap, bounded, secrets hidden.

use super::{
    super::{
        mask::{Direction, Secrets},
        style::{Row, Theme},
        text,
    },
    model::{Event, EventKind, Model},
    pending::Pending,
    view,
};
use std::{collections::BTreeMap, time::Instant};
use wire::journal::{ConnectionId, LogLevel, Record};

/// What the runner's thread notes.
pub(super) struct Feed {
    pub(super) model: Model,
    pub(super) pending: Pending,
    pub(super) secrets: Secrets,
    /// Namespaces of the consoles that are open.
    pub(super) open: BTreeMap<ConnectionId, String>,
    /// Whether something was noted since the last repaint.
    pub(super) is_news: bool,
    /// Whether the thread waits for news.
    pub(super) is_waiting: bool,
    pub(super) closing: Option<Closing>,
    /// The terminal is gone, or its thread never began.
    pub(super) is_gone: bool,
}

/// What the thread prints last.
#[derive(Default)]
pub(super) struct Closing {
    pub(super) rows: Vec<Row>,
}

impl Feed {
    /// Nothing has happened.
    pub(super) fn new(model: Model, secrets: &[String]) -> Self {
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
    pub(super) fn take(&mut self, record: &Record, theme: Theme) -> bool {
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
                let namespace = text::clean(namespace.as_str()).into_owned();
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
