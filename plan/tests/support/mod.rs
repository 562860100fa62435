//! What the tests of this crate share.
#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test uses a part; a test that is skipped says so"
)]

use job::{Definition, Device, JobId, Problem};
use plan::{Facts, Plan};
use std::path::PathBuf;
use yaml::{Limits, Node};

/// The folder with LAVA's test data; `None`, said loudly, where it is not there.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("PUMICE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: {} is not there; set PUMICE_SHARED to the folder with the corpus",
        folder.display()
    );
    None
}

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
