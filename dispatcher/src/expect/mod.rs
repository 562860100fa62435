//! The console engine: bytes in, matches, kernel messages and signals out.
//!
//! Everything here is pure. The runner feeds what a board prints, in chunks of any size, and reads
//! decisions; the same bytes give the same decisions however they were cut. Memory is bounded
//! whatever the board prints. Nothing here opens a device, reads a clock or waits.

mod console;
pub mod kernel;
pub mod lines;
pub mod matcher;
pub mod pattern;
pub mod signal;
pub mod test_run;

pub use kernel::{KernelEvent, KernelMonitor};
pub use matcher::{Found, Matcher, Watch};
pub use pattern::{Pattern, PatternError, PatternSet};
pub use signal::{Signal, SignalDecoder, SignalEvent};
pub use test_run::{TestEvent, TestRun};
