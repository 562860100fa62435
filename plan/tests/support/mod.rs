//! What the tests of this crate share.
#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test uses a part; a test that is skipped says so"
)]

use job::{Definition, Device, JobId, Problem};
use plan::{Facts, Plan};
use yaml::{Limits, Node};

/// Loads a YAML text that is known to be one.
pub(crate) fn load(text: &str) -> Node {
    yaml::load(text, &Limits::default()).expect("the text is YAML")
}

/// Plans a job that has the id 4212 on a dispatcher without configuration.
pub(crate) fn plan_nodes(job: &Node, device: &Node) -> Result<Plan, Vec<Problem>> {
    let definition = Definition::from_node(job)?;
    let device = Device::from_node(device)?;
    plan::plan(&definition, &device, &Facts::new(JobId::new("4212")))
}
