//! The thread that owns the terminal.

use super::{
    super::{
        console::{ConsoleText, Line},
        outlet::Outlet,
        style::{Row, Style},
        text,
    },
    PER_REPAINT, Shared, TICK,
    feed::Closing,
    model::{Event, EventKind},
    pending::{Pending, Piece},
    screen::{self, Frame, Screen},
    view::{self, Size, View},
};
use dispatcher::journal::Masker;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, PoisonError},
    time::Instant,
};
use wire::journal::ConnectionId;

/// The thread.
pub(super) struct Painter {
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
pub(super) struct Work {
    pieces: Vec<Piece>,
    left_out: u64,
    names: BTreeMap<ConnectionId, String>,
    rows: Vec<String>,
    size: Size,
    closing: Option<Closing>,
}

impl Painter {
    /// Has painted nothing yet.
    pub(super) fn new(shared: Arc<Shared>, outlet: Outlet) -> Self {
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

    /// Paints until the job is over or the terminal is gone.
    pub(super) fn run(&mut self) {
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

    fn paint(&mut self, work: Work) -> io::Result<()> {
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
                text::count(work.left_out, "line", "lines")
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
        let mut emit = |line: Line<'_>| {
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
mod tests {
    use super::{
        super::{
            super::outlet::outlet,
            LiveObserver,
            feed::Feed,
            model::Model,
            tests::{THEME, header, plan},
        },
        *,
    };
    use dispatcher::journal::Observer;
    use job::Namespace;
    use wire::journal::{Entry, Record};

    #[test]
    fn lines_of_several_consoles_are_told_apart() {
        let plan = plan();
        let (outlet, _watch) = outlet();
        let feed = Feed::new(Model::new(&plan, &header(), THEME, Instant::now()), &[]);
        let shared = Arc::new(Shared::new(feed, THEME));
        let mut painter = Painter::new(Arc::clone(&shared), outlet);
        let mut observer = LiveObserver(shared);
        let mut take = |record| {
            observer.entry(&Entry {
                at_micros: 0,
                record,
            });
        };
        let output = |number, text: &str| Record::Output {
            connection: ConnectionId(number),
            epoch: wire::journal::Epoch(0),
            bytes: text.as_bytes().to_vec(),
        };
        take(Record::Secrets(vec!["hunter2".to_owned()]));
        for (number, namespace) in [(0, "target"), (1, "host")] {
            take(Record::ConnectionOpened {
                connection: ConnectionId(number),
                namespace: Namespace::new(namespace),
                name: "a command".to_owned(),
            });
        }
        for (number, text) in [
            (0, "login: hun"),
            (1, "booting\r\n"),
            (0, "ter2\r\n"),
            (1, "open"),
        ] {
            take(output(number, text));
        }
        let work = painter.wait(Instant::now() - TICK);
        let mut history = Vec::new();
        for piece in work.pieces {
            painter.piece(piece, &work.names, &mut history);
        }
        let history = String::from_utf8(history).expect("lines are UTF-8");
        assert_eq!(history, "host| booting\r\ntarget| login: [MASKED]\r\n");
        let (open, columns) =
            painter.consoles[&ConnectionId(1)]
                .open()
                .tail(80, false, &painter.masker);
        assert_eq!((open.as_slice(), columns), (b"open".as_slice(), 4));
    }
}
