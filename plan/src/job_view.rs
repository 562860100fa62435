//! The job and what it runs on, as all blocks see it, and what blocks leave for later ones.

use crate::{Facts, deployment_data::DeploymentData, step::ShellDefinition};
use job::{
    Definition, Device, Namespace, Problem,
    definition::{Block, BlockKind, Test},
    document::python_str,
};
use std::{collections::HashMap, sync::Arc};
use yaml::Node;

/// The job and what it runs on.
pub(crate) struct JobView<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) device: &'a Device,
    pub(crate) facts: &'a Facts,
    /// The test blocks that work in a namespace, in order.
    tests: HashMap<Namespace, Vec<(&'a Block, &'a Test)>>,
    nothing: Node,
}

/// What blocks leave for later ones.
#[derive(Default)]
pub(crate) struct State {
    /// What the last deploy of each namespace put there.
    deployed: HashMap<Namespace, Deployed>,
    /// What will make the job fail, though it has a tree.
    pub(crate) problems: Vec<Problem>,
    /// How many test blocks with an overlay were planned in each namespace.
    pub(crate) stages: HashMap<Namespace, u32>,
}

/// What the last deploy of a namespace put there.
#[derive(Clone, Default)]
pub(crate) struct Deployed {
    /// Facts about the system.
    pub(crate) data: Option<DeploymentData>,
    /// The test definitions in its overlay.
    pub(crate) definitions: Vec<Arc<ShellDefinition>>,
    /// Labels and `image_arg` of the images, in order.
    pub(crate) images: Vec<(String, String)>,
    /// Whether a guest image with the overlay was made.
    pub(crate) guest: bool,
    /// Labels of the files that a boot loader can fetch.
    pub(crate) boot_files: Vec<String>,
    /// Whether an image is served as a network block device.
    pub(crate) nbd: bool,
    /// The type of the kernel: `image`, `uimage`, `zimage`.
    pub(crate) kernel_type: Option<String>,
}

impl<'a> JobView<'a> {
    pub(crate) fn new(definition: &'a Definition, device: &'a Device, facts: &'a Facts) -> Self {
        let mut tests: HashMap<Namespace, Vec<(&Block, &Test)>> = HashMap::new();
        for block in &definition.actions {
            let BlockKind::Test(test) = &block.kind else {
                continue;
            };
            let namespace = block.namespace();
            let other = block
                .common
                .connection_namespace
                .clone()
                .filter(|other| *other != namespace);
            tests.entry(namespace).or_default().push((block, test));
            if let Some(other) = other {
                tests.entry(other).or_default().push((block, test));
            }
        }
        Self {
            definition,
            device,
            facts,
            tests,
            nothing: Node::default(),
        }
    }

    /// The test blocks that work in a namespace, in order.
    pub(crate) fn tests_of<'s>(&'s self, namespace: &Namespace) -> &'s [(&'a Block, &'a Test)] {
        self.tests.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// A document with nothing in it.
    pub(crate) fn nothing(&self) -> &Node {
        &self.nothing
    }

    /// A constant: from the job's context, else from the device.
    pub(crate) fn constant(&self, prefix: &str, key: &str) -> Option<&'a Node> {
        self.definition
            .context
            .get(key)
            .or_else(|| self.device.constant(prefix, key))
            .filter(|value| !value.is_null())
    }

    /// A constant that is text.
    pub(crate) fn text(&self, prefix: &str, key: &str) -> Option<String> {
        self.constant(prefix, key)
            .map(|value| python_str(&value.value))
    }

    /// A constant that is a list of texts.
    pub(crate) fn texts(&self, prefix: &str, key: &str) -> Vec<String> {
        self.constant(prefix, key)
            .and_then(Node::as_sequence)
            .map_or_else(Vec::new, |items| {
                items.iter().map(|item| python_str(&item.value)).collect()
            })
    }

    /// A constant that is a number; templates print some of them in quotes.
    pub(crate) fn count(&self, key: &str) -> Option<u32> {
        self.text("", key)?.trim().parse().ok()
    }

    /// A fact about the deployed system: from the job's context, else from the table of systems,
    /// else from the device.
    pub(crate) fn posix(
        &self,
        key: &str,
        data: Option<DeploymentData>,
        field: fn(&DeploymentData) -> Option<&'static str>,
    ) -> Option<String> {
        if let Some(value) = self.definition.context.get(key) {
            return Some(python_str(&value.value));
        }
        match data {
            Some(data) => field(&data).map(str::to_owned),
            None => self
                .device
                .constant("posix", key)
                .map(|value| python_str(&value.value)),
        }
    }

    /// Where the overlay lives on the device: `/lava-4212`.
    pub(crate) fn results_dir(&self, data: Option<DeploymentData>) -> String {
        self.posix("lava_test_results_dir", data, |data| Some(data.results_dir))
            .unwrap_or_else(|| "/lava-%s".to_owned())
            .replace("%s", self.facts.job_id.as_str())
    }

    /// The shell of the deployed system.
    pub(crate) fn shell(&self, data: Option<DeploymentData>) -> String {
        self.posix("lava_test_sh_cmd", data, |data| Some(data.sh_cmd))
            .unwrap_or_else(|| "/bin/sh".to_owned())
    }

    /// The file that shells of the deployed system read at start.
    pub(crate) fn shell_file(&self, data: Option<DeploymentData>) -> Option<String> {
        self.posix("lava_test_shell_file", data, |data| data.shell_file)
    }

    /// Whether the job runs on several devices at once.
    pub(crate) fn is_multinode(&self) -> bool {
        self.definition
            .protocols
            .get("lava-multinode")
            .is_some_and(|protocol| protocol.get("target_group").is_some())
    }
}

impl State {
    /// What the last deploy of a namespace put there.
    pub(crate) fn deployed(&self, namespace: &Namespace) -> Option<&Deployed> {
        self.deployed.get(namespace)
    }

    /// What the current deploy of a namespace has put there so far.
    pub(crate) fn deployed_mut(&mut self, namespace: &Namespace) -> &mut Deployed {
        self.deployed.entry(namespace.clone()).or_default()
    }
}
