//! What `pumice run` shows: the real program on a scripted board, on a terminal and on pipes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lines;
mod live;
mod support;
