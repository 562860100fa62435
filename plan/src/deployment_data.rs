//! Facts about deployed systems, selected by `os:` of a deploy (LAVA 2026.07).

/// Facts about one kind of system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeploymentData {
    /// The distribution whose helpers and dependencies are used.
    pub(crate) distro: &'static str,
    /// Its shell.
    pub(crate) sh_cmd: &'static str,
    /// Where the overlay lives; `%s` stands for the job's id.
    pub(crate) results_dir: &'static str,
    /// The file its shells read at start.
    pub(crate) shell_file: Option<&'static str>,
}

const PLAIN: DeploymentData = DeploymentData {
    distro: "",
    sh_cmd: "/bin/bash",
    results_dir: "/lava-%s",
    shell_file: Some("~/.bashrc"),
};

/// The facts about a system; `None` for one that LAVA does not know.
pub(crate) fn find(os: &str) -> Option<DeploymentData> {
    Some(match os {
        "android" => DeploymentData {
            distro: "android",
            sh_cmd: "/system/bin/sh",
            results_dir: "/data/local/tmp/lava-%s",
            shell_file: None,
        },
        "apertis" => DeploymentData {
            distro: "apertis",
            sh_cmd: "/bin/sh",
            results_dir: "/var/lib/lava-%s",
            ..PLAIN
        },
        "archlinux" => plain("archlinux"),
        "centos" | "centos_installer" => plain("centos"),
        "debian" | "debian_installer" => plain("debian"),
        "fedora" => plain("fedora"),
        "lede" => DeploymentData {
            distro: "lede",
            sh_cmd: "/bin/sh",
            results_dir: "/tmp/lava-results-%s",
            shell_file: None,
        },
        "oe" => small("oe"),
        "qnx" => small("qnx"),
        "slackware" => plain("slackware"),
        "ubuntu" => small("ubuntu"),
        _ => return None,
    })
}

fn plain(distro: &'static str) -> DeploymentData {
    DeploymentData { distro, ..PLAIN }
}

fn small(distro: &'static str) -> DeploymentData {
    DeploymentData {
        distro,
        sh_cmd: "/bin/sh",
        ..PLAIN
    }
}
