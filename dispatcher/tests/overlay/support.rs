//! What the tests share: programs of this host, and jobs in miniature.

use dispatcher::overlay::{HostCommands, OverlayBuilder};
use plan::step::{DefinitionSource, LavaOverlay, ShellDefinition};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// A program of this host, run to its end by a test.
#[allow(
    clippy::disallowed_methods,
    reason = "tests start tools to compare with, outside any job"
)]
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    command
}

/// Whether a program is installed; says so when it is not, since a test is skipped then.
pub(crate) fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|directory| directory.join(program).is_file())
    });
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// Runs a shell script in a directory; it must succeed.
pub(crate) fn script(directory: &Path, text: &str) -> String {
    let output = command("sh")
        .current_dir(directory)
        .env("PATH", format!("{}:/usr/sbin:/sbin", path()))
        .args(["-euc", text])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn path() -> String {
    std::env::var("PATH").unwrap()
}

/// A runtime as the runner's: one thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// An overlay for a board whose root directory is `root`, which makes it run anywhere.
pub(crate) fn overlay(root: &Path, shell: &str) -> LavaOverlay {
    LavaOverlay {
        results_dir: root.join("lava-1003").display().to_string(),
        shell: shell.to_owned(),
        distribution: Some("oe".to_owned()),
        environment: vec![
            ("LAVA_JOB_ID".to_owned(), "1003".to_owned()),
            ("LAVA_JOB_TAGS".to_owned(), "''".to_owned()),
        ],
        secrets: vec![("TOKEN".to_owned(), "it's $ecret".to_owned())],
        env_dut: vec![("LANG".to_owned(), "C".to_owned())],
        helper_values: plan::step::HelperValues {
            target_mac: "00:11:22:33:44:55".to_owned(),
            storage: vec![
                ("UMS".to_owned(), "/dev/disk/by-id/ums".to_owned()),
                ("SATA".to_owned(), "/dev/disk/by-id/sata".to_owned()),
            ],
            ..Default::default()
        },
    }
}

/// The definition number `index` of a job, as YAML.
pub(crate) fn inline(overlay: &LavaOverlay, index: u32, name: &str, text: &str) -> ShellDefinition {
    let document = yaml::load(text, &yaml::Limits::default()).unwrap();
    ShellDefinition {
        source: DefinitionSource::Inline {
            document: document.value,
        },
        path: format!("inline/{name}.yaml"),
        name: name.to_owned(),
        index,
        stage: 0,
        uuid: format!("1003_1.1.2.{}", index * 4 + 1),
        results_dir: overlay.results_dir.clone(),
        parameters: Vec::new(),
        skip_install: Vec::new(),
        use_kmsg: false,
        expected: None,
        distribution: overlay.distribution.clone(),
        character_delay: Duration::ZERO,
    }
}

/// Does what the actions of a deploy do, up to the archive.
pub(crate) fn build(
    directory: &Path,
    overlay: &LavaOverlay,
    definitions: &[ShellDefinition],
) -> OverlayBuilder {
    runtime().block_on(async {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut builder = OverlayBuilder::create(directory, overlay).unwrap();
        for definition in definitions {
            let fetched = builder
                .fetch(definition, &HostCommands, deadline)
                .await
                .unwrap();
            builder.write_metadata(definition, &fetched).unwrap();
            builder
                .write_install(definition, &fetched, &HostCommands, deadline)
                .await
                .unwrap();
            builder.write_run_script(definition, &fetched).unwrap();
        }
        builder.write_runner_conf().unwrap();
        builder
    })
}
