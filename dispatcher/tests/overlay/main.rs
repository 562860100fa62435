//! The overlay as boards meet it: its scripts under real shells, its images under real tools.

mod file_systems;
mod git;
mod images;
mod shells;
mod support;
