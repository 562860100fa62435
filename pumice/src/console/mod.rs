//! The interactive console: a board on the user's terminal, or through a pipe.
//!
//! [`session`] passes bytes between the two, [`keys`] finds the escape key among what is typed,
//! [`terminal`] has the terminal, [`log`] the file, and [`join`] watches a job instead.

pub(crate) mod join;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod session;
pub(crate) mod terminal;
