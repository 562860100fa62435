//! Paints on the terminal: the console scrolls, the view stays below it.
//!
//! The cursor rests where the board's is, in the first row of what is repainted. All that is
//! repainted lies below it, so it can be erased whatever a change of the window's size did to the
//! rows; nobody has to know where on the screen that is.

use super::view::Size;
use rustix::{
    process::getpgrp,
    stdio::{stdin, stdout},
    termios::{
        LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
    },
};

/// Erases everything from the cursor on.
const ERASE_BELOW: &str = "\x1b[J";
const ERASE_LINE: &str = "\x1b[K";
/// The terminal shows what comes between these at once (mode 2026; others ignore it).
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// A row that is too long after all must not wrap.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// What the rows below the history show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The line of the console that is not complete, and the columns it takes.
    pub(super) open: (Vec<u8>, usize),
    /// The view.
    pub(super) rows: Vec<String>,
}

/// Knows what is on the screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    shown: Option<(Frame, Size)>,
}

impl Screen {
    /// What has to be written to add `history` (whole lines that end in `\r\n`) and show `frame`.
    /// Nothing when nothing changed.
    pub(super) fn paint(&mut self, history: &[u8], frame: Frame, size: Size) -> Vec<u8> {
        let same_shape = |(shown, shown_size): &(Frame, Size)| {
            *shown_size == size && shown.rows.len() == frame.rows.len()
        };
        let mut out = Vec::with_capacity(history.len() + 1024);
        match self.shown.take().filter(same_shape) {
            Some((shown, _)) if history.is_empty() => changes(&shown, &frame, &mut out),
            _ => everything(history, &frame, &mut out),
        }
        self.shown = Some((frame, size));
        out
    }

    /// What has to be written so that only the history and `last` are left, and the cursor is below.
    pub(super) fn close(&mut self, history: &[u8], open: &[u8], last: &[u8]) -> Vec<u8> {
        self.shown = None;
        let mut out = Vec::new();
        for part in [b"\r", ERASE_BELOW.as_bytes(), history, open] {
            out.extend_from_slice(part);
        }
        if !open.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(last);
        out
    }
}

fn everything(history: &[u8], frame: &Frame, out: &mut Vec<u8>) {
    push(out, &[BEGIN, "\r", ERASE_BELOW]);
    out.extend_from_slice(history);
    push(out, &[NO_WRAP]);
    out.extend_from_slice(&frame.open.0);
    for row in &frame.rows {
        push(out, &["\r\n", row]);
    }
    rest_cursor(frame, out);
}

fn changes(shown: &Frame, frame: &Frame, out: &mut Vec<u8>) {
    if shown == frame {
        return;
    }
    push(out, &[BEGIN, NO_WRAP, "\r"]);
    if shown.open != frame.open {
        out.extend_from_slice(&frame.open.0);
        push(out, &[ERASE_LINE]);
    }
    for (old, new) in shown.rows.iter().zip(&frame.rows) {
        push(out, &["\r\n"]);
        if old != new {
            push(out, &[new, ERASE_LINE]);
        }
    }
    rest_cursor(frame, out);
}

/// From the last row back to the end of the console's line.
fn rest_cursor(frame: &Frame, out: &mut Vec<u8>) {
    push(out, &["\r"]);
    if !frame.rows.is_empty() {
        push(out, &[&format!("\x1b[{}A", frame.rows.len())]);
    }
    if frame.open.1 > 0 {
        push(out, &[&format!("\x1b[{}C", frame.open.1)]);
    }
    push(out, &[WRAP, END]);
}

fn push(out: &mut Vec<u8>, texts: &[&str]) {
    texts
        .iter()
        .for_each(|text| out.extend_from_slice(text.as_bytes()));
}

/// The size of the terminal; asked before each repaint, so a change needs no signal.
pub(super) fn size() -> Size {
    match tcgetwinsize(stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => Size {
            rows: size.ws_row.into(),
            columns: size.ws_col.into(),
        },
        _ => Size {
            rows: 24,
            columns: 80,
        },
    }
}

/// Keeps what is typed from appearing in the view; Ctrl-C and Ctrl-Z work as ever. Undone on drop.
pub(super) struct NoEcho {
    before: Termios,
}

impl NoEcho {
    /// Switches the echo off, if standard input is our terminal.
    pub(super) fn new() -> Option<Self> {
        if !owns_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let mut changed = before.clone();
        changed.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &changed).ok()?;
        Some(Self { before })
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // In the background the terminal is the shell's, and touching it would stop this process.
        if owns_terminal() {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
        }
    }
}

fn owns_terminal() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZero;

    const SIZE: Size = Size {
        rows: 8,
        columns: 20,
    };

    fn cells(number: u16) -> NonZero<u16> {
        NonZero::new(number).expect("a terminal has rows and columns")
    }

    fn terminal(scrollback: usize) -> vt100::Parser {
        vt100::Parser::new(cells(8), cells(20), scrollback)
    }

    fn frame(open: &str, rows: &[&str]) -> Frame {
        Frame {
            open: (open.as_bytes().to_vec(), open.len()),
            rows: rows.iter().map(|row| (*row).to_owned()).collect(),
        }
    }

    #[test]
    fn the_console_scrolls_and_the_view_stays() {
        let mut terminal = terminal(100);
        let mut screen = Screen::default();
        for number in 0..20 {
            let history = format!("line {number}\r\n");
            let rows = [format!("row a {number}"), "row b".to_owned()];
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            let painted = screen.paint(history.as_bytes(), frame("login: ", &rows), SIZE);
            terminal.process(&painted);
        }
        let expected = "line 15\nline 16\nline 17\nline 18\nline 19\nlogin: \nrow a 19\nrow b";
        assert_eq!(terminal.screen().contents(), expected);
        assert_eq!(terminal.screen().cursor_position(), (5, 7));
    }

    #[test]
    fn only_what_changed_is_painted() {
        let mut terminal = terminal(0);
        let mut screen = Screen::default();
        terminal.process(&screen.paint(b"", frame("", &["first", "second"]), SIZE));
        let painted = screen.paint(b"", frame("", &["first", "2nd"]), SIZE);
        assert!(!String::from_utf8_lossy(&painted).contains("first"));
        terminal.process(&painted);
        assert_eq!(terminal.screen().contents(), "\nfirst\n2nd");
        assert_eq!(screen.paint(b"", frame("", &["first", "2nd"]), SIZE), b"");
    }

    #[test]
    fn after_a_change_of_size_nothing_old_is_left_below() {
        let mut terminal = terminal(0);
        let mut screen = Screen::default();
        let wide = frame("", &["a row as wide as it", "another row"]);
        terminal.process(&screen.paint(b"text\r\n", wide, SIZE));
        terminal.screen_mut().set_size(cells(5), cells(10));
        let size = Size {
            rows: 5,
            columns: 10,
        };
        terminal.process(&screen.paint(b"", frame("", &["narrow"]), size));
        assert_eq!(terminal.screen().contents(), "text\n\nnarrow");
        terminal.process(&screen.close(b"more\r\n", b"", b"the end\r\n"));
        assert_eq!(terminal.screen().contents(), "text\nmore\nthe end");
    }
}
