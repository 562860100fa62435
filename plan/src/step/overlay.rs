//! What the tests of a job need on the device.

use std::{collections::BTreeMap, time::Duration};

/// What goes into the overlay beside the tests.
#[derive(Clone, Debug, PartialEq)]
pub struct LavaOverlay {
    /// Where the overlay lives on the device, `/lava-4212`.
    pub results_dir: String,
    /// The shell of the device, `/bin/sh`.
    pub shell: String,
    /// `os:` of the deploy, which selects the helpers of a distribution (`debian`, `fedora`, …).
    pub distribution: Option<String>,
    /// Lines of `environment` in order: the name and the value, already quoted for a shell.
    pub environment: Vec<(String, String)>,
    /// Job secrets for `secrets`, name and value.
    pub secrets: Vec<(String, String)>,
    /// Variables of the dispatcher's `env-dut`, which go into `secrets` too.
    pub env_dut: Vec<(String, String)>,
    /// Values that the helpers `lava-target-*` and `lava-probe-*` print.
    pub helper_values: HelperValues,
}

/// Values that helpers on the device print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelperValues {
    /// `lava-target-mac`.
    pub target_mac: String,
    /// `lava-target-ip`.
    pub target_ip: String,
    /// `lava-probe-ip`.
    pub probe_ip: String,
    /// `lava-probe-channel`.
    pub probe_channel: String,
    /// `lava-target-storage`: method and block device.
    pub storage: Vec<(String, String)>,
}

/// One entry of a test block's `definitions`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShellDefinition {
    /// Where it comes from.
    pub source: DefinitionSource,
    /// The file of the definition, relative to its source.
    pub path: String,
    /// The job's name for it.
    pub name: String,
    /// Its number among all shell definitions of the namespace.
    pub index: u32,
    /// The test block it belongs to, counted among those of the namespace that use the overlay.
    pub stage: u32,
    /// `<job>_<level of the action that fetches it>`.
    pub uuid: String,
    /// Where the overlay lives on the device, `/lava-4212`.
    pub results_dir: String,
    /// The job's parameters in order, which override those of the definition.
    pub parameters: Vec<(String, String)>,
    /// Sections of `install` that the job leaves out; `all` for everything.
    pub skip_install: Vec<String>,
    /// Whether signals go through the kernel's log (`lava-signal: kmsg`).
    pub use_kmsg: bool,
    /// Test cases the job expects.
    pub expected: Option<Vec<String>>,
    /// `os:` of the deploy, which selects `deps-<distribution>`.
    pub distribution: Option<String>,
    /// Pause before each signal, for slow consoles.
    pub character_delay: Duration,
}

/// Where a test definition comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum DefinitionSource {
    /// Written in the job.
    Inline {
        /// The definition.
        document: yaml::Value,
    },
    /// A git repository.
    Git {
        /// Its URL.
        repository: String,
        /// The branch, else the default one.
        branch: Option<String>,
        /// The commit to check out.
        revision: Option<String>,
        /// Whether `.git` stays in the overlay.
        history: bool,
        /// Whether submodules are fetched.
        recursive: bool,
        /// Whether only the newest commit is fetched.
        shallow: bool,
    },
    /// An archive at a URL.
    Url {
        /// Where it is.
        repository: String,
        /// How it is compressed, when the name does not tell.
        compression: Option<String>,
        /// Leading directories to drop.
        strip_components: u32,
        /// Further request headers.
        headers: BTreeMap<String, String>,
    },
}
