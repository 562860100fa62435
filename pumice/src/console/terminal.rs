//! The user's terminal: raw while a console is on it, and as it was after that.
//!
//! Reading and writing it happens on threads: a terminal that is stopped, or a pipe that nobody
//! reads, must not keep a signal from ending the console.

use rustix::{
    stdio::stdin,
    termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr},
};
use std::{
    io::{IsTerminal, Read, Write, stderr, stdout},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// How many pieces may wait for a thread before the other side has to.
const PIECES: usize = 64;

/// How much is read of the keyboard, or a pipe, at once.
const PIECE: usize = 4096;

/// How long what was printed last may take to get out.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// A terminal in raw mode: every key comes as it is pressed, Ctrl-C included. What it was is
/// restored when this is dropped, by a panic, too.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Makes standard input raw; `None` when it is no terminal.
    pub(crate) fn enter() -> std::io::Result<Option<Self>> {
        if !isatty(stdin()) {
            return Ok(None);
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}

/// What is typed, or comes through a pipe, until it ends.
pub(crate) fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(PIECES);
    // It ends with the process: a read of a terminal cannot be interrupted.
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = input.read(&mut piece) {
            if sender.blocking_send(piece[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What the user sees: the board's bytes on standard output, ours on standard error, in order.
#[derive(Debug)]
pub(crate) struct Output {
    sender: mpsc::Sender<Piece>,
    done: oneshot::Receiver<()>,
    style: Style,
}

#[derive(Debug)]
enum Piece {
    Board(Vec<u8>),
    Ours(Vec<u8>),
}

/// How our own words are set apart from the board's.
#[derive(Clone, Copy, Debug)]
struct Style {
    /// Both are on one terminal, which may be raw and in the middle of a line.
    shared: bool,
    colour: bool,
}

/// Standard output cannot be written any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl Output {
    /// Starts the thread that writes.
    pub(crate) fn start() -> Self {
        let (sender, mut pieces) = mpsc::channel(PIECES);
        let (finished, done) = oneshot::channel();
        std::thread::spawn(move || {
            while let Some(piece) = pieces.blocking_recv() {
                let written = match piece {
                    Piece::Board(bytes) => write(&mut stdout().lock(), &bytes),
                    Piece::Ours(bytes) => write(&mut stderr().lock(), &bytes),
                };
                if written.is_err() {
                    return;
                }
            }
            // Nobody waits when the session gave up.
            let _ = finished.send(());
        });
        let style = Style {
            shared: stdout().is_terminal() && stderr().is_terminal(),
            colour: crate::message::has_colour(stderr().is_terminal()),
        };
        Self {
            sender,
            done,
            style,
        }
    }

    /// Shows what the board printed. Waits while the terminal does not take more. Cancel-safe: a
    /// dropped write has shown nothing.
    pub(crate) async fn board(&self, bytes: &[u8]) -> Result<(), Gone> {
        let piece = Piece::Board(bytes.to_vec());
        self.sender.send(piece).await.map_err(|_| Gone)
    }

    /// Says something to the user.
    pub(crate) async fn say(&self, text: &str) -> Result<(), Gone> {
        let piece = Piece::Ours(self.style.format(text).into_bytes());
        self.sender.send(piece).await.map_err(|_| Gone)
    }

    /// Waits until everything is written, but not long for who does not read it.
    pub(crate) async fn finish(self) {
        drop(self.sender);
        let _ = timeout(FLUSH_WITHIN, self.done).await;
    }
}

impl Style {
    fn format(self, text: &str) -> String {
        let (begin, end) = if self.colour {
            ("\x1b[0;36m", "\x1b[0m")
        } else {
            ("", "")
        };
        if self.shared {
            let text = text.replace('\n', "\r\n");
            format!("\r\n{begin}*** {text}{end}\r\n")
        } else {
            format!("{begin}*** {text}{end}\n")
        }
    }
}

fn write(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}
