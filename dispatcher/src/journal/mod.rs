//! Writes and reads the journal, and the views on it.
//!
//! The runner gives every record of a job to a [`Writer`] and every entry to the views. The
//! journal's file is the only truth: each view is a pure function of the entries, fed one at a time.
//! Nothing here decides anything about a job, and nothing here prints.

mod append;
mod error;
mod job_journal;
mod lava_log;
mod mask;
mod reader;
mod record;
mod recording;
mod results;
mod stamp;
mod text;
mod views;
mod writer;
mod yaml_text;

pub use error::JournalError;
pub use job_journal::Journal;
pub use lava_log::{LIMIT, LavaLog, Line, LineRange};
pub use mask::{MASKED, Masker, StreamMasker};
pub use reader::Reader;
pub use recording::Recording;
pub use results::{Action, Failure, PowerOperation, Results, State, Suite, Summary, Totals};
pub use views::{LOG_FILE, Observer, Rebuilt, Views, console_name, rebuild};
pub use writer::{JOURNAL_FILE, Recovery, Writer, is_running, unix_micros};
