//! Watches the job that holds a board: follows the console in its journal, and types nothing.

use super::{
    keys::{Command, Keys, Typed, name},
    log::Log,
    terminal::{Gone, Output, Raw, input},
};
use crate::{
    exit::{Exit, Stop},
    signals::Signals,
};
use dispatcher::journal::{JournalError, Masker, Reader, StreamMasker, is_running};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use wire::journal::{ConnectionId, Record};

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How much of what the board printed before is shown.
const CONTEXT: usize = 4 << 10;

/// How much of the journal is read before signals and keys are looked at.
const ENTRIES: usize = 512;

/// How to watch.
pub(crate) struct Options {
    /// The file that the board's output goes to.
    pub(crate) log: Option<Log>,
    /// The escape key.
    pub(crate) escape: Option<u8>,
    /// When to leave.
    pub(crate) leave_after: Option<Duration>,
}

/// What the journal gave.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Bytes(Vec<u8>),
    Text(String),
}

/// Follows a journal, with the secrets of its job masked.
struct Follower {
    reader: Reader,
    masker: Masker,
    streams: BTreeMap<ConnectionId, StreamMasker>,
}

/// Watches the job whose journal this is until it is over.
pub(crate) async fn run(journal: &Path, who: &str, options: Options) -> Result<Exit, Stop> {
    let mut signals = Signals::install();
    let mut follower = Follower::open(journal).map_err(|error| bad(&error))?;
    let raw = Raw::enter()?;
    let output = Output::start();
    let greeting = match options.escape.filter(|_| raw.is_some()) {
        Some(escape) => format!("watching {who}. {} . leaves", name(escape)),
        None => format!("watching {who}"),
    };
    let escape = options.escape.filter(|_| raw.is_some());
    let watching = watch(&mut follower, journal, &output, options, escape, &greeting);
    let result = tokio::select! {
        result = watching => result,
        () = signals.next() => Ok(Exit::Canceled),
    };
    output.finish().await;
    drop(raw);
    result
}

async fn watch(
    follower: &mut Follower,
    journal: &Path,
    output: &Output,
    mut options: Options,
    escape: Option<u8>,
    greeting: &str,
) -> Result<Exit, Stop> {
    let before = context(follower.rest()?);
    if output.say(greeting).await.is_err() || output.board(&before).await.is_err() {
        return Ok(Exit::Complete);
    }
    let mut keys = Keys::new(escape);
    let mut typed = input();
    let mut typing = true;
    let leave_at = options.leave_after.map(|time| Instant::now() + time);
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                // Asked first: what is written until then is still read.
                let running = is_running(journal).unwrap_or(false);
                let seen = follower.some()?;
                let is_end = seen.is_empty() && !running;
                if show(seen, output, &mut options.log).await?.is_err() {
                    return Ok(Exit::Complete);
                }
                if is_end {
                    // The user may be gone as well.
                    let _ = output.say("the job is over").await;
                    return Ok(Exit::Complete);
                }
            }
            bytes = typed.recv(), if typing => match bytes {
                None => typing = false,
                Some(bytes) if leaves(&keys.take(&bytes)) => return Ok(Exit::Complete),
                Some(_) => {}
            },
            () = sleep_until(leave_at.unwrap_or_else(Instant::now)), if leave_at.is_some() => {
                return Ok(Exit::Complete);
            }
        }
    }
}

fn leaves(typed: &[Typed]) -> bool {
    typed.contains(&Typed::Command(Command::Leave))
}

async fn show(
    seen: Vec<Seen>,
    output: &Output,
    log: &mut Option<Log>,
) -> Result<Result<(), Gone>, Stop> {
    for seen in seen {
        let shown = match seen {
            Seen::Bytes(bytes) => {
                if let Some(log) = log {
                    log.output(&bytes)?;
                }
                output.board(&bytes).await
            }
            Seen::Text(text) => {
                if let Some(log) = log {
                    log.event(&text)?;
                }
                output.say(&text).await
            }
        };
        if shown.is_err() {
            return Ok(Err(Gone));
        }
    }
    Ok(Ok(()))
}

/// The last of what the board printed, from the beginning of a line on if there is one.
fn context(seen: Vec<Seen>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for seen in seen {
        if let Seen::Bytes(more) = seen {
            bytes.extend(more);
        }
    }
    let from = bytes.len().saturating_sub(CONTEXT);
    let line = match from {
        0 => 0,
        _ => bytes[from..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(from, |end| from + end + 1),
    };
    bytes.split_off(line)
}

impl Follower {
    fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            reader: Reader::open(path)?,
            masker: Masker::new(),
            streams: BTreeMap::new(),
        })
    }

    /// Everything there is, of which only the last bytes are kept: a journal may be large.
    fn rest(&mut self) -> Result<Vec<Seen>, Stop> {
        let mut kept = Vec::new();
        loop {
            let seen = self.some()?;
            if seen.is_empty() {
                return Ok(kept);
            }
            kept.extend(
                seen.into_iter()
                    .filter(|seen| matches!(seen, Seen::Bytes(_))),
            );
            let last = context(kept);
            kept = vec![Seen::Bytes(last)];
        }
    }

    /// What came since the last call, up to some number of entries.
    fn some(&mut self) -> Result<Vec<Seen>, Stop> {
        let mut seen = Vec::new();
        for _ in 0..ENTRIES {
            let Some(entry) = self.reader.next_entry().map_err(|error| bad(&error))? else {
                break;
            };
            self.take(entry.record, &mut seen);
        }
        Ok(seen)
    }

    fn take(&mut self, record: Record, seen: &mut Vec<Seen>) {
        match record {
            Record::Secrets(secrets) => self.masker.add(&secrets),
            Record::Output {
                connection, bytes, ..
            } => {
                let mut masked = Vec::new();
                let stream = self.streams.entry(connection).or_default();
                stream.push(&self.masker, &bytes, &mut masked);
                // An entry without text yet: a secret may go on in the next one.
                seen.push(Seen::Bytes(masked));
            }
            Record::ConnectionOpened { name, .. } => {
                seen.push(Seen::Text(format!(
                    "the job opened {}",
                    crate::table::harmless(&name)
                )));
            }
            Record::ConnectionClosed { connection, reason } => {
                if let Some(mut stream) = self.streams.remove(&connection) {
                    let mut rest = Vec::new();
                    stream.finish(&self.masker, &mut rest);
                    seen.push(Seen::Bytes(rest));
                }
                let reason = crate::table::harmless(&reason);
                seen.push(Seen::Text(format!("the job closed its console: {reason}")));
            }
            _ => {}
        }
    }
}

fn bad(error: &JournalError) -> Stop {
    Stop::new(Exit::InfrastructureFault, error.to_string())
}
