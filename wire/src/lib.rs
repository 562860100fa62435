//! Formats that two programs share.
//!
//! Today this is the job [`journal`]: the runner writes it, and every view (LAVA's log, results,
//! JUnit, the live display) is a pure function of it. This crate opens no file and no socket.
#![forbid(unsafe_code)]

pub mod journal;
