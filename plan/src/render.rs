//! The tree for people.

use crate::{Action, Plan, Step};
use std::time::Duration;

/// One line of the picture.
struct Line {
    label: String,
    time: String,
    notes: Vec<String>,
}

/// The tree as text: each action's level, name and allowed time, how often it may run, what it
/// downloads, and whether this version can run it. Ends with a line break.
pub fn render_tree(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for action in &plan.actions {
        lines.push(line(action, ""));
        branch(&action.children, "", &mut lines);
    }
    let width = lines
        .iter()
        .map(|line| line.label.chars().count())
        .max()
        .unwrap_or(0);
    let time_width = lines.iter().map(|line| line.time.len()).max().unwrap_or(0);
    let mut out = String::new();
    for line in lines {
        let text = format!(
            "{:width$}  {:>time_width$}  {}",
            line.label,
            line.time,
            line.notes.join(", ")
        );
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out.push_str(&format!("allowed in all: {}\n", clock(plan.timeout)));
    for problem in &plan.problems {
        out.push_str(&format!("problem: {problem}\n"));
    }
    out
}

fn branch(actions: &[Action], indent: &str, lines: &mut Vec<Line>) {
    for (index, action) in actions.iter().enumerate() {
        let last = index + 1 == actions.len();
        let (turn, below) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        lines.push(line(action, &format!("{indent}{turn}")));
        branch(&action.children, &format!("{indent}{below}"), lines);
    }
}

fn line(action: &Action, indent: &str) -> Line {
    let mut notes = Vec::new();
    match action.retry {
        Some(retry) if retry.repeat => notes.push(format!("{} times", retry.attempts)),
        Some(retry) if retry.attempts > 1 => {
            notes.push(format!("up to {} times", retry.attempts));
        }
        _ => {}
    }
    match &action.step {
        Step::Skip => notes.push("nothing to do".to_owned()),
        Step::Unsupported { what } => notes.push(format!("not available yet: {what}")),
        _ => {}
    }
    notes.extend(action.url.clone());
    Line {
        label: format!("{indent}{} {}", action.level, action.name),
        time: clock(action.timeout),
        notes,
    }
}

/// `5:00`, `1:05:00`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}
