//! Writes and reads the journal, and the views on it.
//!
//! The runner gives every record of a job to a [`Writer`] and every entry to the views. The
//! journal's file is the only truth: each view is a pure function of the entries, fed one at a time.
//! Nothing here decides anything about a job, and nothing here prints.

mod append;
mod error;
mod lava_log;
mod mask;
mod reader;
mod record;
mod stamp;
mod text;
mod writer;

pub use error::JournalError;
pub use lava_log::{LIMIT, LavaLog, Line, LineRange};
pub use mask::{MASKED, Masker, StreamMasker};
pub use reader::Reader;
pub use writer::{JOURNAL_FILE, Recovery, Writer, is_running, unix_micros};
