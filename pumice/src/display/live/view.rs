//! The rows below the console: the tree of actions, transfers, and the last results.

use super::{
    super::{
        style::{Mark, Row, Style, Theme},
        text::{columns, limit, running, size, took},
    },
    model::{Block, BlockState, Event, EventKind, Model, Running, Transfer},
};
use job::TestResult;
use std::time::{Duration, Instant};

/// Room for the label of a transfer.
const LABEL: usize = 12;
/// Room for the numbers behind the bar of a transfer.
const NUMBERS: usize = 34;

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Lines.
    pub(super) rows: usize,
    /// Characters of a line.
    pub(super) columns: usize,
}

/// What the view depends on beside the model.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) theme: Theme,
    pub(super) size: Size,
    pub(super) now: Instant,
    /// Counts the redraws.
    pub(super) turn: u64,
}

/// Parts of the view, which give way to others when there is no room.
struct Parts {
    rule: Vec<Row>,
    ended: Vec<Row>,
    path: Vec<Row>,
    detail: Vec<Row>,
    transfers: Vec<Row>,
    waiting: Vec<Row>,
    tests: Vec<Row>,
}

impl View {
    /// The rows, each within the width, at most half of the terminal's.
    pub(super) fn rows(&self, model: &Model) -> Vec<String> {
        let mut parts = self.parts(model);
        parts.reduce(self.most_rows(), model, self.theme);
        // The last column stays free: a terminal that wraps late would wrap there.
        let room = self.size.columns.saturating_sub(1);
        let rows = parts.all();
        rows.iter()
            .map(|row| row.fit(room, self.theme))
            .take(self.most_rows())
            .collect()
    }

    fn most_rows(&self) -> usize {
        (self.size.rows / 2).clamp(1, 16)
    }

    fn parts(&self, model: &Model) -> Parts {
        let ended = model.blocks.iter().filter_map(|block| self.ended(block));
        let waiting = model
            .blocks
            .iter()
            .filter(|block| block.state == BlockState::Waiting);
        let path = model.path.iter().enumerate();
        Parts {
            rule: vec![self.rule(model)],
            ended: ended.collect(),
            path: path
                .map(|(depth, running)| self.running(depth, running))
                .collect(),
            detail: self.detail(model).into_iter().collect(),
            transfers: model
                .transfers
                .iter()
                .map(|transfer| self.transfer(transfer))
                .collect(),
            waiting: waiting.map(|block| self.waiting(block)).collect(),
            tests: self.tests(model).into_iter().collect(),
        }
    }

    fn rule(&self, model: &Model) -> Row {
        let rule = self.theme.rule();
        let elapsed = self.now.saturating_duration_since(model.started);
        let times = format!("{} of {}", running(elapsed), limit(model.allowed));
        let (state, style) = if model.is_canceling {
            ("canceling ", Style::Warn)
        } else {
            ("", Style::Plain)
        };
        let title = format!("{rule}{rule} {} ", model.title);
        let room = self.size.columns.saturating_sub(1);
        let used = columns(&title) + state.len() + times.len() + 4;
        Row::new()
            .text(Style::Dim, title)
            .text(style, state)
            .text(Style::Dim, rule.repeat(room.saturating_sub(used)))
            .right(Style::Dim, format!("{times} {rule}{rule}"))
    }

    fn ended(&self, block: &Block) -> Option<Row> {
        let BlockState::Ended { ok, duration } = block.state else {
            return None;
        };
        let mark = if ok { Mark::Pass } else { Mark::Fail };
        let row = Row::new().text(Style::Plain, " ").mark(self.theme, mark);
        let row = row.text(Style::Plain, format!("{} {}", block.level, block.name));
        Some(row.right(Style::Dim, took(duration)))
    }

    fn waiting(&self, block: &Block) -> Row {
        let row = Row::new()
            .text(Style::Plain, " ")
            .mark(self.theme, Mark::Waiting);
        row.text(Style::Dim, format!("{} {}", block.level, block.name))
    }

    fn running(&self, depth: usize, action: &Running) -> Row {
        let indent = " ".repeat(1 + 2 * depth.min(8));
        let mut row = Row::new()
            .text(Style::Plain, indent)
            .text(Style::Accent, self.theme.spinner(self.turn))
            .text(Style::Bold, format!(" {} {}", action.level, action.name));
        if let (done, all @ 1..) = action.done {
            row = row.text(Style::Dim, format!("  {done}/{all}"));
        }
        if let Some((attempt, attempts)) = action.attempt {
            row = row.text(Style::Warn, format!("  attempt {attempt} of {attempts}"));
        }
        let elapsed = self.now.saturating_duration_since(action.started);
        // Nothing to worry about before most of the time is over.
        let style = if elapsed > action.allowed.mul_f32(0.8) && elapsed > Duration::from_secs(1) {
            Style::Warn
        } else {
            Style::Plain
        };
        row.right(
            style,
            format!("{} of {}", running(elapsed), limit(action.allowed)),
        )
    }

    fn detail(&self, model: &Model) -> Option<Row> {
        if model.detail.is_empty() {
            return None;
        }
        let indent = " ".repeat(1 + 2 * model.path.len().min(9));
        Some(Row::new().text(Style::Dim, format!("{indent}{}", model.detail)))
    }

    /// `kernel  ━━━━━────────   45 %  12.3 of 27.3 MB  6.1 MB/s`.
    fn transfer(&self, transfer: &Transfer) -> Row {
        let until = transfer.ended.unwrap_or(self.now);
        let seconds = until
            .saturating_duration_since(transfer.started)
            .as_secs_f64();
        let speed = if seconds > 0.5 {
            format!("  {}/s", size((transfer.done as f64 / seconds) as u64))
        } else {
            String::new()
        };
        let label = Row::new().text(Style::Plain, format!("   {:<LABEL$} ", transfer.label));
        let Some(total) = transfer.total else {
            let numbers = format!("{}{speed}", size(transfer.done));
            return label.text(Style::Plain, numbers);
        };
        let done = transfer.done.min(total);
        let fraction = if total == 0 {
            1.0
        } else {
            done as f64 / total as f64
        };
        let width = self
            .size
            .columns
            .saturating_sub(LABEL + NUMBERS + 6)
            .min(40);
        let full = (fraction * width as f64) as usize;
        let (filled, empty) = self.theme.bar();
        let numbers = format!(
            " {:>3} %  {}{speed}",
            (fraction * 100.0) as u64,
            size(total)
        );
        label
            .text(Style::Accent, filled.repeat(full))
            .text(Style::Dim, empty.repeat(width - full))
            .text(Style::Plain, numbers)
    }

    /// The totals, and the last results as far as there is room, the newest at the left.
    fn tests(&self, model: &Model) -> Option<Row> {
        if model.totals.all() == 0 {
            return None;
        }
        let mut row = Row::new().text(Style::Dim, " tests ");
        let totals = [
            (TestResult::Pass, model.totals.pass),
            (TestResult::Fail, model.totals.fail),
            (TestResult::Skip, model.totals.skip),
            (TestResult::Unknown, model.totals.unknown),
        ];
        for (result, number) in totals.into_iter().filter(|(_, number)| *number > 0) {
            let style = Mark::of(result).style();
            row = row.text(style, format!(" {number} {result}"));
        }
        row = row.text(Style::Dim, "  ");
        for recent in model.recent.iter().rev() {
            row = row
                .text(Style::Plain, " ")
                .mark(self.theme, Mark::of(recent.result));
            row = row.text(Style::Plain, &recent.case);
        }
        Some(row)
    }
}

impl Parts {
    fn count(&self) -> usize {
        self.in_order().iter().map(|part| part.len()).sum()
    }

    fn in_order(&self) -> [&Vec<Row>; 7] {
        [
            &self.rule,
            &self.ended,
            &self.path,
            &self.detail,
            &self.transfers,
            &self.waiting,
            &self.tests,
        ]
    }

    fn all(&self) -> Vec<&Row> {
        self.in_order().into_iter().flatten().collect()
    }

    /// Makes room, what matters least first, until there are at most so many rows.
    fn reduce(&mut self, most: usize, model: &Model, theme: Theme) {
        let steps: [fn(&mut Self, &Model, Theme); 9] = [
            |parts, _, theme| collapse(&mut parts.waiting, theme, Mark::Waiting, "to come"),
            |parts, model, theme| {
                // One that failed is not one of many.
                let failed =
                    |block: &Block| matches!(block.state, BlockState::Ended { ok: false, .. });
                if !model.blocks.iter().any(failed) {
                    collapse(&mut parts.ended, theme, Mark::Pass, "done");
                }
            },
            |parts, _, _| parts.detail.clear(),
            |parts, _, _| parts.transfers.truncate(1),
            |parts, _, _| parts.waiting.clear(),
            |parts, _, _| parts.ended.clear(),
            |parts, _, _| {
                let inner = parts.path.len().saturating_sub(2);
                parts.path.drain(..inner);
            },
            |parts, _, _| parts.rule.clear(),
            |parts, _, _| parts.tests.clear(),
        ];
        for step in steps {
            if self.count() <= most {
                return;
            }
            step(self, model, theme);
        }
        let inner = self.path.len().saturating_sub(1);
        self.path.drain(..inner);
    }
}

/// Several rows become one that counts them.
fn collapse(rows: &mut Vec<Row>, theme: Theme, mark: Mark, what: &str) {
    if rows.len() > 1 {
        let row = Row::new().text(Style::Plain, " ").mark(theme, mark);
        *rows = vec![row.text(Style::Dim, format!("{} {what}", rows.len()))];
    }
}

/// An event as it stands in the history, between the lines of the console.
pub(super) fn event(event: &Event, theme: Theme) -> String {
    let (mark, style) = match event.kind {
        EventKind::Result(result) => (Mark::of(result), Style::Plain),
        EventKind::Block(true) => (Mark::Pass, Style::Bold),
        EventKind::Block(false) => (Mark::Fail, Style::Bad),
        EventKind::Warning => (Mark::Warning, Style::Warn),
        EventKind::Error => (Mark::Fail, Style::Bad),
        EventKind::Note => (Mark::Note, Style::Plain),
    };
    let row = Row::new()
        .text(mark.style(), theme.edge())
        .text(Style::Plain, " ")
        .mark(theme, mark)
        .text(style, &event.text);
    if event.detail.is_empty() {
        row.whole(theme)
    } else {
        row.text(Style::Dim, format!("  {}", event.detail))
            .whole(theme)
    }
}
