//! The one way to start a process.
//!
//! Every process started here
//! - has a [`CommandLine`], an argument vector: no shell is involved unless the vector names one;
//! - leads its own session and process group, so that a Ctrl-C typed at the runner does not reach
//!   it, and everything it starts in that group can be ended with it;
//! - ends with its owner: dropping [`Running`] (or a future that owns one) kills the group, and
//!   the kernel kills the process when the *thread* that started it dies (`PR_SET_PDEATHSIG`).
//!   Therefore start processes from a thread that lives as long as the program: the main thread
//!   of a current-thread runtime, never from `spawn_blocking`;
//! - has a deadline, bounded lines and bounded output.
//!
//! What the kernel does not give: grandchildren of a runner killed with SIGKILL, processes that
//! leave the group with `setsid`, and programs that run set-user-ID, which lose the death signal.
//! The first are ended by replaying the undo of the journal: [`ProcessIdentity::kill_group`].

mod command;
mod command_line;
mod drive;
mod identity;
mod lines;
mod lookup;
mod running;

pub use command::{Command, Exit, Leftovers, Output};
pub use command_line::{CommandLine, CommandLineError};
pub use identity::ProcessIdentity;
pub use lookup::find_program;
pub use running::Running;

pub(crate) use command::describe_status;
