//! How a job stands, as the live display shows it. Its size is bounded by the plan.

use super::super::{
    report::{FailedCases, case_detail, case_name},
    style::Theme,
    text::clean,
};
use dispatcher::{actions::awaited, journal::Totals, run::consoles::FORCED_PROMPT};
use job::{CaseResult, Level, TestResult};
use plan::{Action, Plan};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use wire::journal::{Header, Record};

/// So many results are remembered to be shown.
const RECENT: usize = 8;
/// So many transfers are shown at once; a plan downloads a few files at a time.
const TRANSFERS: usize = 8;

/// The job.
pub(super) struct Model {
    pub(super) title: String,
    pub(super) started: Instant,
    pub(super) allowed: Duration,
    pub(super) blocks: Vec<Block>,
    /// The actions that run, the innermost last.
    pub(super) path: Vec<Running>,
    pub(super) transfers: Vec<Transfer>,
    pub(super) totals: Totals,
    pub(super) recent: VecDeque<Recent>,
    pub(super) failed: FailedCases,
    /// What the runner waits for, or what it said last.
    pub(super) detail: String,
    pub(super) is_canceling: bool,
    /// How many actions are inside of each.
    children: BTreeMap<Level, usize>,
}

/// An action of the job itself.
pub(super) struct Block {
    pub(super) level: Level,
    pub(super) name: String,
    pub(super) state: BlockState,
}

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockState {
    /// Its turn has not come.
    Waiting,
    /// It runs; there is more in [`Model::path`].
    Running,
    /// It ended.
    Ended {
        /// Without a fault.
        ok: bool,
        /// After this long.
        duration: Duration,
    },
}

/// An action that runs.
pub(super) struct Running {
    pub(super) level: Level,
    pub(super) name: String,
    pub(super) started: Instant,
    pub(super) allowed: Duration,
    /// How many of the actions inside have ended, and how many there are.
    pub(super) done: (usize, usize),
    /// The attempt that runs and how many there are, once one failed.
    pub(super) attempt: Option<(u32, u32)>,
}

/// A download or a copy.
pub(super) struct Transfer {
    pub(super) level: Level,
    pub(super) label: String,
    pub(super) started: Instant,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    /// When the last byte came.
    pub(super) ended: Option<Instant>,
}

/// A result of a test.
pub(super) struct Recent {
    pub(super) case: String,
    pub(super) result: TestResult,
}

/// A line for the history: what happened, and whether it is good.
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) text: String,
    /// Said beside it, of less interest.
    pub(super) detail: String,
}

/// What sort of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    /// The result of a test.
    Result(TestResult),
    /// A block ended well or not.
    Block(bool),
    /// Something to look at.
    Warning,
    /// Something went wrong.
    Error,
    /// Anything else.
    Note,
}

impl Model {
    /// A job before its start.
    pub(super) fn new(plan: &Plan, header: &Header, theme: Theme, now: Instant) -> Self {
        let device = if header.device.is_empty() {
            &header.device_type
        } else {
            &header.device
        };
        let id = format!("job {}", header.job_id);
        let title = [&id, &header.job_name, device]
            .map(|part| clean(part))
            .join(theme.separator());
        let blocks = plan.actions.iter().map(|action| Block {
            level: action.level.clone(),
            name: action.name.clone(),
            state: BlockState::Waiting,
        });
        let mut children = BTreeMap::new();
        plan.actions
            .iter()
            .for_each(|action| count_children(action, &mut children));
        Self {
            title,
            started: now,
            allowed: plan.timeout,
            blocks: blocks.collect(),
            path: Vec::new(),
            transfers: Vec::new(),
            totals: Totals::default(),
            recent: VecDeque::new(),
            failed: FailedCases::default(),
            detail: String::new(),
            is_canceling: false,
            children,
        }
    }

    /// Takes a record whose texts are masked; gives what belongs into the history.
    pub(super) fn record(&mut self, record: &Record, now: Instant) -> Option<Event> {
        match record {
            Record::ActionStart {
                level,
                name,
                timeout,
                ..
            } => {
                self.start(level, name, *timeout, now);
                None
            }
            Record::ActionEnd {
                level,
                name,
                duration,
                ok,
                ..
            } => self.end(level, name, *duration, *ok),
            Record::ActionRetry {
                level,
                name,
                attempt,
                attempts,
                reason,
            } => {
                if let Some(running) = self.path.iter_mut().rfind(|known| known.level == *level) {
                    running.attempt = Some((attempt.saturating_add(1).min(*attempts), *attempts));
                    running.done.0 = 0;
                }
                let text = format!("{level} {name}: attempt {attempt} of {attempts} failed");
                // A single attempt that failed is told by the end of its action.
                (*attempts > 1).then(|| Event::new(EventKind::Warning, &text, reason))
            }
            Record::Progress {
                level,
                label,
                done,
                total,
            } => {
                self.progress(level, label, *done, *total, now);
                None
            }
            Record::Result(result) if result.definition != "lava" => Some(self.result(result)),
            Record::Power { operation, ok } => {
                let (kind, outcome) = match ok {
                    true => (EventKind::Note, "done"),
                    false => (EventKind::Error, "failed"),
                };
                let text = format!("{}: {outcome}", operation.replace('_', " "));
                Some(Event::new(kind, &text, ""))
            }
            _ => None,
        }
    }

    /// What the runner says about what it does.
    pub(super) fn say(&mut self, message: &str) {
        let line = message.lines().next().unwrap_or_default();
        if let Some(prompts) = awaited(line) {
            let prompts = prompts.strip_prefix('[').unwrap_or(prompts);
            let prompts = prompts.strip_suffix(']').unwrap_or(prompts);
            self.detail = format!("waiting for {}", clean(prompts));
        } else if !line.starts_with(FORCED_PROMPT) {
            // How the wait helps itself is of less interest than what is waited for.
            self.detail = clean(line).into_owned();
        }
    }

    fn start(&mut self, level: &Level, name: &str, allowed: Duration, now: Instant) {
        if let Some(block) = self.blocks.iter_mut().find(|block| block.level == *level) {
            block.state = BlockState::Running;
        }
        self.detail.clear();
        self.path.push(Running {
            level: level.clone(),
            name: name.to_owned(),
            started: now,
            allowed,
            done: (0, self.children.get(level).copied().unwrap_or(0)),
            attempt: None,
        });
    }

    fn end(&mut self, level: &Level, name: &str, duration: Duration, ok: bool) -> Option<Event> {
        if let Some(index) = self
            .path
            .iter()
            .rposition(|running| running.level == *level)
        {
            self.path.truncate(index);
        }
        if let Some(parent) = self.path.last_mut() {
            parent.done.0 = (parent.done.0 + 1).min(parent.done.1);
        }
        self.transfers
            .retain(|transfer| !is_within(&transfer.level, level));
        self.detail.clear();
        let block = self.blocks.iter_mut().find(|block| block.level == *level)?;
        block.state = BlockState::Ended { ok, duration };
        let took = super::super::text::took(duration);
        Some(Event::new(
            EventKind::Block(ok),
            &format!("{level} {name}"),
            &took,
        ))
    }

    fn progress(
        &mut self,
        level: &Level,
        label: &str,
        done: u64,
        total: Option<u64>,
        now: Instant,
    ) {
        let is_done = total.is_some_and(|total| done >= total);
        let known = self.transfers.iter_mut();
        let mut known = known.filter(|known| known.level == *level && known.label == label);
        if let Some(transfer) = known.next() {
            if done < transfer.done {
                transfer.started = now;
            }
            transfer.done = done;
            transfer.total = total;
            transfer.ended = if is_done {
                transfer.ended.or(Some(now))
            } else {
                None
            };
        } else if self.transfers.len() < TRANSFERS {
            self.transfers.push(Transfer {
                level: level.clone(),
                label: clean(label).into_owned(),
                started: now,
                done,
                total,
                ended: is_done.then_some(now),
            });
        }
    }

    fn result(&mut self, result: &CaseResult) -> Event {
        let total = match result.result {
            TestResult::Pass => &mut self.totals.pass,
            TestResult::Fail => &mut self.totals.fail,
            TestResult::Skip => &mut self.totals.skip,
            TestResult::Unknown => &mut self.totals.unknown,
        };
        *total += 1;
        self.failed.push(result);
        self.recent.push_back(Recent {
            case: clean(&result.case).into_owned(),
            result: result.result,
        });
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let kind = EventKind::Result(result.result);
        Event::new(kind, &case_name(result), &case_detail(result))
    }
}

impl Event {
    /// An event; its texts are made safe here.
    pub(super) fn new(kind: EventKind, text: &str, detail: &str) -> Self {
        Self {
            kind,
            text: clean(text).into_owned(),
            detail: clean(detail).into_owned(),
        }
    }
}

/// Whether an action is another one, or inside of it.
fn is_within(level: &Level, outer: &Level) -> bool {
    let rest = level.as_str().strip_prefix(outer.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn count_children(action: &Action, children: &mut BTreeMap<Level, usize>) {
    children.insert(action.level.clone(), action.children.len());
    action
        .children
        .iter()
        .for_each(|child| count_children(child, children));
}
