//! Follows a running test: signals, patterns, results.

use crate::{actions::StepRun, run::Context};
use job::Fault;
use plan::step::TestShell;

pub(super) async fn follow(
    _step: &StepRun<'_>,
    _shell: &TestShell,
    _context: &mut Context,
) -> Result<(), Fault> {
    Ok(())
}
