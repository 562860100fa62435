//! The scripts in `<results directory>/bin`, which tests call.
//!
//! Their names and what they print are LAVA 2026.07's, because tests and dispatchers rely on
//! them; they are portable shell (dash, busybox, bash, mksh) and need no other program where a
//! test case is reported.

use super::quote;
use plan::step::HelperValues;

macro_rules! scripts {
    ($directory:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("helpers/", $directory, "/", $name)))),+]
    };
}

/// Name and source of a script.
type Script = (&'static str, &'static str);

/// What every overlay has, in the order of names.
const COMMON: &[Script] = scripts!["common":
    "lava-add-keys",
    "lava-add-sources",
    "lava-background-process-start",
    "lava-background-process-stop",
    "lava-common-functions",
    "lava-echo-ipv4",
    "lava-install-packages",
    "lava-installed-packages",
    "lava-os-build",
    "lava-probe-channel",
    "lava-probe-ip",
    "lava-target-ip",
    "lava-target-mac",
    "lava-target-storage",
    "lava-test-case",
    "lava-test-event",
    "lava-test-feedback",
    "lava-test-raise",
    "lava-test-reference",
    "lava-test-runner",
    "lava-test-set",
    "lava-test-shell",
];

/// What MultiNode jobs have beside.
const MULTINODE: &[Script] = scripts!["multinode":
    "lava-echo-config",
    "lava-group",
    "lava-multi-node.lib",
    "lava-role",
    "lava-self",
    "lava-send",
    "lava-start-vms",
    "lava-sync",
    "lava-wait",
    "lava-wait-all",
    "lava-wait-for-vms",
];

const DEBIAN: &[Script] = scripts!["debian":
    "lava-add-keys",
    "lava-add-sources",
    "lava-install-packages",
    "lava-installed-packages",
];
const FEDORA: &[Script] = scripts!["fedora": "lava-install-packages", "lava-installed-packages"];
const CENTOS: &[Script] = scripts!["centos": "lava-install-packages", "lava-installed-packages"];
const ARCHLINUX: &[Script] =
    scripts!["archlinux": "lava-install-packages", "lava-installed-packages"];
const SLACKWARE: &[Script] =
    scripts!["slackware": "lava-install-packages", "lava-installed-packages"];
const OE: &[Script] = scripts!["oe": "lava-install-packages", "lava-installed-packages"];

/// What a device of a MultiNode job knows of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multinode {
    /// Job id and role of each member.
    pub group: Vec<(String, String)>,
    /// The role of this device.
    pub role: String,
    /// The name of this device in the group, which is the id of its job.
    pub name: String,
}

/// A script as it goes into the overlay.
pub(super) struct Helper {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// Renders scripts for one device.
pub(super) struct Renderer {
    shell: String,
    variables: Vec<(&'static str, String)>,
}

impl Renderer {
    pub(super) fn new(shell: &str, results_dir: &str, values: &HelperValues) -> Self {
        let storage: Vec<String> = values
            .storage
            .iter()
            .map(|(method, device)| format!("{method}\t{device}"))
            .collect();
        let variables = vec![
            ("LAVA_TEST_BIN", format!("{results_dir}/bin")),
            ("LAVA_SHELL", shell.to_owned()),
            ("TARGET_DEVICE_MAC", values.target_mac.clone()),
            ("TARGET_DEVICE_IP", values.target_ip.clone()),
            ("PROBE_DEVICE_IP", values.probe_ip.clone()),
            ("PROBE_DEVICE_CHANNEL", values.probe_channel.clone()),
            ("LAVA_STORAGE", storage.join("\n")),
        ];
        Self {
            shell: shell.to_owned(),
            variables,
        }
    }

    /// The scripts every overlay has.
    pub(super) fn common(&self) -> impl Iterator<Item = Helper> {
        self.render(COMMON)
    }

    /// The scripts that replace some of the common ones on a distribution.
    pub(super) fn of_distribution(&self, distribution: &str) -> impl Iterator<Item = Helper> {
        self.render(overrides(distribution))
    }

    /// The scripts of MultiNode jobs.
    pub(super) fn multinode(mut self, multinode: &Multinode) -> Vec<Helper> {
        let group: Vec<String> = multinode
            .group
            .iter()
            .map(|(job, role)| format!("{job}\t{role}"))
            .collect();
        self.variables.extend([
            ("LAVA_GROUP", group.join("\n")),
            ("TARGET_ROLE", multinode.role.clone()),
            ("LAVA_HOSTNAME", multinode.name.clone()),
            (
                "LAVA_MULTI_NODE_CACHE",
                "/tmp/lava_multi_node_cache.txt".to_owned(),
            ),
            ("LAVA_MULTI_NODE_DEBUG", "yes".to_owned()),
        ]);
        self.render(MULTINODE).collect()
    }

    /// The first line names the shell of the device, then come the values the script uses.
    fn render(&self, scripts: &'static [Script]) -> impl Iterator<Item = Helper> {
        scripts.iter().map(|(name, source)| {
            let body = source.split_once('\n').map_or("", |(_, body)| body);
            let mut text = format!("#!{}\n\n", self.shell);
            for (variable, value) in &self.variables {
                if body.contains(&format!("${variable}"))
                    || body.contains(&format!("${{{variable}"))
                {
                    text.push_str(&format!("{variable}={}\n", quote::always(value)));
                }
            }
            text.push_str(body);
            Helper { name, text }
        })
    }
}

/// Which scripts a distribution (`os:` of the deploy, LAVA's names) replaces.
fn overrides(distribution: &str) -> &'static [Script] {
    match distribution {
        "debian" | "debian_installer" | "ubuntu" | "apertis" => DEBIAN,
        "fedora" => FEDORA,
        "centos" | "centos_installer" => CENTOS,
        "archlinux" => ARCHLINUX,
        "slackware" => SLACKWARE,
        "oe" | "lede" => OE,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renderer() -> Renderer {
        Renderer::new("/bin/dash", "/lava-1", &HelperValues::default())
    }

    #[test]
    fn scripts_start_with_the_shell_of_the_device_and_get_the_values_they_use() {
        let values = HelperValues {
            target_ip: "10.0.0.'7".to_owned(),
            ..HelperValues::default()
        };
        let renderer = Renderer::new("/system/bin/sh", "/data/lava-1", &values);
        let ip = renderer
            .common()
            .find(|helper| helper.name == "lava-target-ip")
            .unwrap();
        let mut lines = ip.text.lines();
        assert_eq!(lines.next(), Some("#!/system/bin/sh"));
        assert_eq!(lines.next(), Some(""));
        assert_eq!(lines.next(), Some(r"TARGET_DEVICE_IP='10.0.0.'\''7'"));
        assert!(!ip.text.contains("PROBE_DEVICE_IP"));
    }

    #[test]
    fn distributions_replace_scripts_that_exist() {
        for distribution in ["debian", "fedora", "centos", "archlinux", "slackware", "oe"] {
            for helper in renderer().of_distribution(distribution) {
                assert!(
                    COMMON.iter().any(|(name, _)| *name == helper.name),
                    "{distribution}: {}",
                    helper.name
                );
            }
        }
        assert_eq!(renderer().of_distribution("haiku").count(), 0);
    }

    #[test]
    fn names_are_in_order_and_unique() {
        for scripts in [COMMON, MULTINODE] {
            assert!(scripts.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
