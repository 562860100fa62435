//! How things look: marks that do not depend on colour, colours where they are allowed, and rows
//! that fit the width of a terminal.

use super::text::{columns, width};
use job::TestResult;

/// What a text means; its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Ordinary text.
    Plain,
    /// Of less interest.
    Dim,
    /// Of more interest.
    Bold,
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Should be looked at.
    Warn,
    /// Goes on now.
    Accent,
}

/// One character that says how something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It went well, or passed.
    Pass,
    /// It failed.
    Fail,
    /// It was not run.
    Skip,
    /// Nobody can tell.
    Unknown,
    /// Its turn has not come.
    Waiting,
    /// It should be looked at.
    Warning,
    /// Something happened that is neither good nor bad.
    Note,
}

/// What the terminal can show, and what its user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether colours are allowed.
    pub(super) colour: bool,
    /// Whether characters beyond ASCII are.
    pub(super) unicode: bool,
}

/// A piece of text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    style: Style,
    text: String,
}

/// A row of the display: a left part that is shortened to make room, and a right part at the edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    left: Vec<Span>,
    right: Vec<Span>,
}

/// Ends all colours.
pub(super) const RESET: &str = "\x1b[0m";

impl Style {
    fn sequence(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
            Self::Warn => "\x1b[33m",
            Self::Accent => "\x1b[36m",
        }
    }
}

impl Mark {
    /// The mark of a result.
    pub(super) fn of(result: TestResult) -> Self {
        match result {
            TestResult::Pass => Self::Pass,
            TestResult::Fail => Self::Fail,
            TestResult::Skip => Self::Skip,
            TestResult::Unknown => Self::Unknown,
        }
    }

    /// The style it is shown in.
    pub(super) fn style(self) -> Style {
        match self {
            Self::Pass => Style::Good,
            Self::Fail => Style::Bad,
            Self::Skip | Self::Waiting => Style::Dim,
            Self::Unknown | Self::Warning => Style::Warn,
            Self::Note => Style::Accent,
        }
    }
}

impl Theme {
    /// A mark; one column wide.
    pub(super) fn mark(self, mark: Mark) -> &'static str {
        let (fine, ascii) = match mark {
            Mark::Pass => ("✓", "+"),
            Mark::Fail => ("✗", "x"),
            Mark::Skip => ("–", "-"),
            Mark::Unknown => ("?", "?"),
            Mark::Waiting => ("·", "."),
            Mark::Warning => ("!", "!"),
            Mark::Note => ("▸", ">"),
        };
        if self.unicode { fine } else { ascii }
    }

    /// The sign of life of what runs; `turn` counts up.
    pub(super) fn spinner(self, turn: u64) -> &'static str {
        const FINE: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        const ASCII: [&str; 4] = ["|", "/", "-", "\\"];
        let frames: &[&str] = if self.unicode { &FINE } else { &ASCII };
        frames[usize::try_from(turn % frames.len() as u64).unwrap_or(0)]
    }

    /// What stands at the left of lines that are ours, not the board's.
    pub(super) fn edge(self) -> &'static str {
        if self.unicode { "▌" } else { "#" }
    }

    /// A horizontal line.
    pub(super) fn rule(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }

    /// Between texts of one row.
    pub(super) fn separator(self) -> &'static str {
        if self.unicode { " · " } else { " | " }
    }

    /// Stands for text that had no room.
    pub(super) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "~" }
    }

    /// The full and the empty part of a bar.
    pub(super) fn bar(self) -> (&'static str, &'static str) {
        if self.unicode {
            ("━", "─")
        } else {
            ("=", ".")
        }
    }
}

impl Span {
    /// A text in a style. The text must be clean: nothing in it may be obeyed by a terminal.
    pub(super) fn new(style: Style, text: impl Into<String>) -> Self {
        Self {
            style,
            text: text.into(),
        }
    }

    fn paint(&self, theme: Theme, out: &mut String) {
        let sequence = self.style.sequence();
        if theme.colour && !sequence.is_empty() && !self.text.is_empty() {
            out.push_str(sequence);
            out.push_str(&self.text);
            out.push_str(RESET);
        } else {
            out.push_str(&self.text);
        }
    }
}

impl Row {
    /// An empty row.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a text to the left part.
    #[must_use]
    pub(super) fn text(mut self, style: Style, text: impl Into<String>) -> Self {
        self.left.push(Span::new(style, text));
        self
    }

    /// Adds a mark and a blank to the left part.
    #[must_use]
    pub(super) fn mark(self, theme: Theme, mark: Mark) -> Self {
        self.text(mark.style(), theme.mark(mark))
            .text(Style::Plain, " ")
    }

    /// Adds a text to the right part.
    #[must_use]
    pub(super) fn right(mut self, style: Style, text: impl Into<String>) -> Self {
        self.right.push(Span::new(style, text));
        self
    }

    /// The whole row, however long it is: for lines that scroll away.
    pub(super) fn whole(&self, theme: Theme) -> String {
        let mut out = String::new();
        for span in &self.left {
            span.paint(theme, &mut out);
        }
        if !self.right.is_empty() {
            out.push_str("  ");
        }
        for span in &self.right {
            span.paint(theme, &mut out);
        }
        out
    }

    /// The row in at most so many columns. The right part goes first when there is no room for half
    /// of the left one.
    pub(super) fn fit(&self, room: usize, theme: Theme) -> String {
        let left: usize = self.left.iter().map(|span| columns(&span.text)).sum();
        let right: usize = self.right.iter().map(|span| columns(&span.text)).sum();
        let keeps_right = right > 0 && right + 1 + left.min(room / 2) <= room;
        let room_left = if keeps_right { room - right - 1 } else { room };
        let mut out = String::new();
        let used = if left <= room_left {
            self.left
                .iter()
                .for_each(|span| span.paint(theme, &mut out));
            left
        } else {
            shorten(&self.left, room_left, theme, &mut out)
        };
        if keeps_right {
            out.extend(std::iter::repeat_n(' ', room - right - used));
            self.right
                .iter()
                .for_each(|span| span.paint(theme, &mut out));
        }
        out
    }
}

/// As much of the spans as fits, and an ellipsis. Gives the columns used.
fn shorten(spans: &[Span], room: usize, theme: Theme, out: &mut String) -> usize {
    if room == 0 {
        return 0;
    }
    let mut used = 0;
    for span in spans {
        let mut kept = Span::new(span.style, "");
        for character in span.text.chars() {
            if used + width(character) > room - 1 {
                kept.text.push_str(theme.ellipsis());
                kept.paint(theme, out);
                return used + 1;
            }
            used += width(character);
            kept.text.push(character);
        }
        kept.paint(theme, out);
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Theme = Theme {
        colour: false,
        unicode: true,
    };

    #[test]
    fn a_row_is_never_wider_than_its_room() {
        let row = Row::new()
            .mark(FINE, Mark::Pass)
            .text(Style::Bold, "2.1 connect-device 中文字")
            .right(Style::Dim, "12s of 10m");
        for room in 0..60 {
            let text = row.fit(room, FINE);
            assert!(columns(&text) <= room, "{room}: {text}");
        }
        assert_eq!(
            row.fit(45, FINE),
            "✓ 2.1 connect-device 中文字        12s of 10m"
        );
        assert_eq!(row.fit(30, FINE), "✓ 2.1 connect-devi… 12s of 10m");
        assert_eq!(row.fit(12, FINE), "✓ 2.1 conne…");
    }

    #[test]
    fn without_colour_there_is_no_escape_sequence() {
        let row = Row::new().text(Style::Bad, "x").right(Style::Good, "y");
        assert!(!row.fit(20, FINE).contains('\x1b'));
        let coloured = Theme {
            colour: true,
            ..FINE
        };
        assert_eq!(row.fit(4, coloured), "\x1b[1;31mx\x1b[0m  \x1b[32my\x1b[0m");
    }
}
