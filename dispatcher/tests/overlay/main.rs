//! The overlay as boards meet it: its scripts under real shells, its images under real tools.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod file_systems;
mod git;
mod images;
mod linux;
mod shells;
mod support;
