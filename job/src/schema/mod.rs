//! Checks of jobs and devices that need nothing but the document.
//!
//! `pumice check`, `pumice run` and a server ask here first: every problem is reported at once,
//! with its place and what was probably meant. What a check needs beyond the document (the
//! device, the network, files) is found later, by planning and preflight.
//!
//! What is allowed is data: tables of keys with their shapes (`shape`). The rules are those of
//! LAVA 2026.07's strict check with two differences. A key that belongs to another method of the
//! same kind (`commands` below `method: minimal`) is let through, as LAVA's submission does. And
//! keys that LAVA honours though its own schemas lack them are known here.

mod boot;
mod common;
mod deploy;
mod device;
mod job;
mod nearest;
mod rules;
mod shape;
mod test;

use crate::Problem;
use shape::Checker;
use std::fmt;
use yaml::Node;

pub use nearest::nearest;

/// Everything that is wrong with a job's definition, in the order of the text.
///
/// Both forms of a MultiNode job are known: the one that is submitted, with all roles, and the one
/// that a worker gets, for one of them.
pub fn check_job(definition: &Node) -> Vec<Problem> {
    let mut checker = Checker::default();
    checker.check(definition, "", &job::JOB);
    rules::check(&mut checker, definition);
    checker.finish()
}

/// Everything that is wrong with a rendered device, in the order of the text.
///
/// As in LAVA, keys that are not known are allowed: labs keep facts of their own in devices.
pub fn check_device(device: &Node) -> Vec<Problem> {
    let mut checker = Checker::default();
    checker.check(device, "", &device::DEVICE);
    device::check_ssh_has_no_power(&mut checker, device);
    checker.finish()
}

/// A problem as compilers print them, which editors can follow.
///
/// `job.yaml:12:5: actions[1].boot: unknown key "promts"; did you mean "prompts"?`
#[derive(Clone, Copy, Debug)]
pub struct InFile<'a> {
    /// The file as its user named it.
    pub file: &'a str,
    /// What is wrong in it.
    pub problem: &'a Problem,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problem } = self;
        let start = problem.span.start;
        write!(f, "{file}:{}:{}: ", start.line + 1, start.column + 1)?;
        if !problem.path.is_empty() {
            write!(f, "{}: ", problem.path)?;
        }
        f.write_str(&problem.message)?;
        match &problem.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
