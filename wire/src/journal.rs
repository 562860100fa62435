//! The records of a job's journal.
//!
//! The journal is append-only and the only truth about a job: console bytes with their time,
//! direction and epoch, the start and end of actions, results, power operations, and every
//! decision that a view depends on. A view reads records in order and needs nothing else, so it
//! yields the same lines with the same numbers during the job, after it, and after a crash.
//!
//! [`frame`] says how the records lie in the file.

use job::{CaseResult, Fault, JobId, Level, Namespace};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

pub mod frame;

/// Version of the record set. A reader refuses journals of a version it does not know.
pub const FORMAT: u32 = 1;

/// A record and when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Monotonic time since the journal was opened, in microseconds.
    pub at_micros: u64,
    /// What happened.
    pub record: Record,
}

/// One connection of a job (a console, or a second one), numbered in the order of opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u16);

/// Counts the power cycles of a board, so that bytes of one boot are not taken for another's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

/// Number of an undo within the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UndoId(pub u32);

/// LAVA's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A fault of the dispatcher itself.
    Exception,
    /// What made the job fail.
    Error,
    /// What a user should look at.
    Warning,
    /// The course of the job.
    Info,
    /// Details of it.
    Debug,
    /// What a user typed into the board, or the job.
    Input,
    /// What the board printed.
    Target,
    /// What another connection of the job printed.
    Feedback,
    /// An event that a test raised.
    Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    clippy::large_enum_variant,
    reason = "console output, the most frequent, is small"
)]
pub enum Record {
    /// The first record of a journal.
    Header(Header),
    /// Texts that no view may show; they are replaced by `[MASKED]` from here on.
    Secrets(Vec<String>),
    /// The plan, as `description.yaml` has it.
    Description(serde_json::Value),
    /// A connection was opened.
    ConnectionOpened {
        /// Its number, used by all that follow.
        connection: ConnectionId,
        /// The namespace that owns it.
        namespace: Namespace,
        /// What it is, for people: `qemu-system-x86_64` or the name of a console.
        name: String,
    },
    /// A connection was closed.
    ConnectionClosed {
        /// Which one.
        connection: ConnectionId,
        /// Why, for people.
        reason: String,
    },
    /// Bytes the board printed.
    Output {
        /// Where.
        connection: ConnectionId,
        /// In which boot.
        epoch: Epoch,
        /// The bytes as they came.
        bytes: Vec<u8>,
    },
    /// Bytes typed into the board.
    Input {
        /// Where.
        connection: ConnectionId,
        /// The bytes as they went, line end included.
        bytes: Vec<u8>,
    },
    /// What the board printed after the last line break counts as a line from here on.
    FlushLine {
        /// Where.
        connection: ConnectionId,
    },
    /// Lines of this connection are shown as feedback of its namespace (`true`) or as the target's.
    Feedback {
        /// Where.
        connection: ConnectionId,
        /// Whether from now on they are feedback.
        on: bool,
    },
    /// A message of the runner.
    Log {
        /// Its level.
        level: LogLevel,
        /// Its text; may have several lines.
        message: String,
    },
    /// An action begins.
    ActionStart {
        /// Its place in the tree.
        level: Level,
        /// Its name.
        name: String,
        /// Its namespace; none for `finalize` and such.
        namespace: Namespace,
        /// The time it is allowed.
        timeout: Duration,
    },
    /// An action ended.
    ActionEnd {
        /// Its place in the tree.
        level: Level,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: Namespace,
        /// The time it took.
        duration: Duration,
        /// Whether it ended without a fault.
        ok: bool,
    },
    /// An attempt of an action failed that is allowed several; it is tried again unless this was
    /// the last one. Begins no new action: the next attempt has no `ActionStart` of its own.
    ActionRetry {
        /// Its place in the tree.
        level: Level,
        /// Its name.
        name: String,
        /// The attempt that failed, counted from 1.
        attempt: u32,
        /// How many there are at most.
        attempts: u32,
        /// Why it failed.
        reason: String,
    },
    /// A signal of a test was decoded from the console.
    Signal(Signal),
    /// A result.
    Result(CaseResult),
    /// How far a download or a copy is.
    Progress {
        /// The action that does it.
        level: Level,
        /// What is transferred.
        label: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, when known.
        total: Option<u64>,
    },
    /// The power of the board was switched.
    Power {
        /// The device's command: `power_on`, `power_off`, `hard_reset`.
        operation: String,
        /// Whether that worked.
        ok: bool,
    },
    /// A resource is about to be taken; this gives it back.
    Undo {
        /// Its number.
        id: UndoId,
        /// How to give it back; can be done twice without harm.
        undo: Undo,
    },
    /// The resource was given back.
    UndoDone {
        /// Its number.
        id: UndoId,
    },
    /// The fault that ends the job, with the action it happened in.
    Fault {
        /// The action, when it happened in one.
        level: Option<Level>,
        /// Its name.
        action: Option<String>,
        /// The fault.
        fault: Fault,
    },
    /// The last record: the job is over and everything is given back.
    End {
        /// Whether the job ran to its end.
        ok: bool,
    },
}

/// The first record of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Version of the writer.
    pub version: String,
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub job_name: String,
    /// The device it runs on, empty when it has no name.
    pub device: String,
    /// Its device type.
    pub device_type: String,
    /// Wall clock at `at_micros` 0: microseconds since 1970 in UTC.
    pub started_unix_micros: u64,
}

/// A decoded signal, as LAVA's helpers print them: `<LAVA_SIGNAL_NAME arguments>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// `TESTCASE`, `STARTTC`, …
    pub name: String,
    /// What follows it, as decoded.
    pub arguments: String,
    /// Whether other output had to be taken out of it.
    #[serde(default)]
    pub repaired: bool,
}

/// How to give a resource back. Each can be done twice without harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Remove a file or a directory with all in it.
    RemovePath {
        /// Absolute.
        path: PathBuf,
    },
    /// End a process group.
    KillGroup {
        /// Its leader.
        pid: u32,
        /// Start time of the leader (field 22 of `/proc/PID/stat`), which tells it from a later
        /// process that got the same number.
        start_time: u64,
    },
    /// Run commands of the admin's, each an argument vector, in order.
    Run {
        /// For people: `power-off`, or the name of a user command.
        name: String,
        /// The commands.
        commands: Vec<Vec<String>>,
        /// How long each of them may take.
        timeout: Duration,
    },
}
