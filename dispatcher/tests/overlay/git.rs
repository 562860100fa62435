//! Test definitions out of real git repositories.

use crate::support::{build, command, has, inline, overlay, runtime, script};
use dispatcher::overlay::{
    CommandOutput, FetchedDefinition, HostCommands, OverlayBuilder, RunCommand,
};
use fs_err as fs;
use job::{Fault, FaultClass};
use plan::step::{DefinitionSource, LavaOverlay, ShellDefinition};
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::Instant};

struct Lab {
    directory: TempDir,
    overlay: LavaOverlay,
}

/// What differs from the defaults.
#[derive(Default)]
struct Wanted {
    branch: Option<String>,
    revision: Option<String>,
    drop_history: bool,
    recursive: bool,
    deep: bool,
}

impl Lab {
    /// A repository with two commits on `main`, and a second branch.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        script(
            directory.path(),
            "git init -q -b main repo; cd repo; \
             git config user.name t; git config user.email t@example.org; \
             mkdir defs; printf 'metadata: {name: parsed, os: [oe]}\\nparams: {A: 1}\\nrun: {steps: [echo old]}\\n' > defs/a.yaml; \
             ln -s /etc/hostname outside.yaml; ln -s defs/a.yaml inside.yaml; \
             git add .; git commit -qm one; git tag v1; \
             sed -i s/old/new/ defs/a.yaml; \
             printf 'parse: {pattern: \"(?P<test_case_id>a): (?P<result>b)\", fixupdict: {PASS: pass}}\\n' >> defs/a.yaml; \
             printf 'expected: [one, two]\\n' >> defs/a.yaml; \
             git commit -qam two; git checkout -q -b other; git commit -q --allow-empty -m three; \
             git checkout -q main",
        );
        let overlay = overlay(Path::new("/"), "/bin/sh");
        Self { directory, overlay }
    }

    fn repository(&self) -> PathBuf {
        self.directory.path().join("repo")
    }

    fn commit(&self, revision: &str) -> String {
        let text = script(&self.repository(), &format!("git rev-parse {revision}"));
        text.trim().to_owned()
    }

    fn definition(&self) -> ShellDefinition {
        self.with(Wanted::default())
    }

    fn with(&self, wanted: Wanted) -> ShellDefinition {
        ShellDefinition {
            source: DefinitionSource::Git {
                repository: format!("file://{}", self.repository().display()),
                branch: wanted.branch,
                revision: wanted.revision,
                history: !wanted.drop_history,
                recursive: wanted.recursive,
                shallow: !wanted.deep,
            },
            path: "defs/a.yaml".to_owned(),
            ..inline(&self.overlay, 0, "parsed", "{}")
        }
    }

    fn builder(&self) -> OverlayBuilder {
        OverlayBuilder::create(&self.directory.path().join("tree"), &self.overlay).unwrap()
    }

    fn fetch(&self, definition: &ShellDefinition) -> Result<FetchedDefinition, Fault> {
        self.fetch_by(definition, &HostCommands, Duration::from_secs(60))
            .0
    }

    fn fetch_by(
        &self,
        definition: &ShellDefinition,
        runner: &impl RunCommand,
        allowed: Duration,
    ) -> (Result<FetchedDefinition, Fault>, Vec<String>) {
        self.fetch_on(&mut runtime(), definition, runner, allowed)
    }

    fn fetch_on(
        &self,
        runtime: &mut Runtime,
        definition: &ShellDefinition,
        runner: &impl RunCommand,
        allowed: Duration,
    ) -> (Result<FetchedDefinition, Fault>, Vec<String>) {
        let mut builder = self.builder();
        let result = runtime.block_on(async {
            builder
                .fetch(definition, runner, Instant::now() + allowed)
                .await
        });
        let notes = builder.take_notes();
        (result, notes.into_iter().map(|note| note.message).collect())
    }
}

#[test]
fn the_default_branch_is_fetched_and_read() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let (fetched, notes) = lab.fetch_by(&lab.definition(), &HostCommands, Duration::from_secs(60));
    let fetched = fetched.unwrap();
    assert_eq!(fetched.commit_id, Some(lab.commit("main")));
    let pattern = fetched.pattern.unwrap();
    assert_eq!(pattern.pattern, "(?P<test_case_id>a): (?P<result>b)");
    assert_eq!(pattern.fixup, [("PASS".to_owned(), "pass".to_owned())]);
    assert_eq!(fetched.expected.unwrap(), ["one", "two"]);
    assert!(fetched.directory.join(".git").is_dir());
    let count = script(&fetched.directory, "git rev-list --count HEAD");
    assert_eq!(count, "1\n", "a shallow copy has one commit");
    let line = "uuid=1003_1.1.2.1 testdef={'testdef_pattern': {'pattern': \
                '(?P<test_case_id>a): (?P<result>b)', 'fixupdict': {'PASS': 'pass'}}}";
    assert!(notes.iter().any(|note| note == line), "{notes:#?}");
}

#[test]
fn branches_tags_and_commits_are_checked_out() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let first = lab.commit("v1");
    let old = |fetched: &FetchedDefinition| {
        let text = fs::read_to_string(fetched.directory.join("defs/a.yaml")).unwrap();
        text.contains("old")
    };

    let fetched = lab
        .fetch(&lab.with(Wanted {
            branch: Some("other".to_owned()),
            ..Wanted::default()
        }))
        .unwrap();
    assert_eq!(fetched.commit_id, Some(lab.commit("other")));

    for revision in ["v1", first.as_str(), &first[..10]] {
        for shallow in [true, false] {
            let definition = lab.with(Wanted {
                revision: Some(revision.to_owned()),
                deep: !shallow,
                ..Wanted::default()
            });
            let fetched = lab.fetch(&definition).unwrap();
            assert_eq!(fetched.commit_id.as_ref(), Some(&first), "{revision}");
            assert!(old(&fetched), "{revision} {shallow}");
        }
    }

    let fetched = lab
        .fetch(&lab.with(Wanted {
            drop_history: true,
            ..Wanted::default()
        }))
        .unwrap();
    assert!(!fetched.directory.join(".git").exists());
}

#[test]
fn submodules_come_along_when_asked_for() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    script(
        &lab.repository(),
        "git -c protocol.file.allow=always submodule --quiet add \"file://$PWD\" sub; git commit -qm sub",
    );
    let recursive = lab.with(Wanted {
        recursive: true,
        ..Wanted::default()
    });
    // One that a repository names on this host is none of its business.
    let fault = lab.fetch(&recursive).unwrap_err();
    assert!(fault.message.contains("not allowed"), "{fault}");
    let plain = lab.fetch(&lab.definition()).unwrap();
    assert_eq!(
        fs::read_dir(plain.directory.join("sub")).unwrap().count(),
        0
    );
}

#[test]
fn what_is_missing_is_the_jobs_fault() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let mut cases = vec![
        lab.with(Wanted {
            branch: Some("nope".to_owned()),
            ..Wanted::default()
        }),
        lab.with(Wanted {
            revision: Some("0123456789".repeat(4)),
            ..Wanted::default()
        }),
    ];
    let mut missing = lab.definition();
    missing.path = "defs/none.yaml".to_owned();
    cases.push(missing);
    for path in ["outside.yaml", "../../secret", "/etc/passwd", ".git", ""] {
        let mut definition = lab.definition();
        definition.path = path.to_owned();
        cases.push(definition);
    }
    for repository in [
        "file:///nowhere/at/all",
        "--upload-pack=touch /tmp/owned",
        "ext::sh -c touch% /tmp/owned",
        "",
    ] {
        let mut definition = lab.definition();
        if let DefinitionSource::Git {
            repository: url, ..
        } = &mut definition.source
        {
            *url = repository.to_owned();
        }
        cases.push(definition);
    }
    for case in &cases {
        let fault = lab.fetch(case).unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{case:?}: {fault}");
    }
    let mut inside = lab.definition();
    inside.path = "inside.yaml".to_owned();
    assert!(lab.fetch(&inside).is_ok());
}

#[test]
fn names_of_tests_cannot_leave_the_overlay() {
    let lab = Lab {
        directory: tempfile::tempdir().unwrap(),
        overlay: overlay(Path::new("/"), "/bin/sh"),
    };
    for name in ["/../../../x", "a/b", "a\0b"] {
        let definition = ShellDefinition {
            name: name.to_owned(),
            ..inline(&lab.overlay, 0, "x", "run: {steps: []}")
        };
        let fault = lab.fetch(&definition).unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{name:?}");
    }
}

#[test]
fn files_of_a_test_cannot_be_led_elsewhere_by_its_repository() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let victim = lab.directory.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    script(
        &lab.repository(),
        &format!(
            "for name in run.sh install.sh uuid testdef.yaml testdef_metadata; do ln -s {} $name; done; \
             git add .; git commit -qm links",
            victim.display()
        ),
    );
    let builder = build(
        &lab.directory.path().join("tree"),
        &lab.overlay,
        &[lab.definition()],
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    let test = builder.test_directory(&lab.definition()).unwrap();
    assert_eq!(
        fs::read_to_string(test.join("uuid")).unwrap(),
        "1003_1.1.2.1"
    );
}

#[test]
fn repositories_beside_a_test_are_cloned_into_it() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let text = format!(
        "install:\n  git-repos:\n  - url: URL\n    branch: other\n    destination: deep/er\nparams: {{URL: 'file://{}'}}\nrun: {{steps: []}}\n",
        lab.repository().display()
    );
    let definition = inline(&lab.overlay, 0, "beside", &text);
    let builder = build(
        &lab.directory.path().join("tree"),
        &lab.overlay,
        std::slice::from_ref(&definition),
    );
    let test = builder.test_directory(&definition).unwrap();
    assert!(test.join("deep/er/defs/a.yaml").is_file());
}

#[test]
fn metadata_tells_the_tests_where_they_are_from() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let builder = build(
        &lab.directory.path().join("tree"),
        &lab.overlay,
        &[lab.definition()],
    );
    let test = builder.test_directory(&lab.definition()).unwrap();
    let metadata = fs::read_to_string(test.join("testdef_metadata")).unwrap();
    assert_eq!(
        metadata,
        format!(
            "os:\n- oe\ndevices: null\nenvironment: null\nbranch_vcs: git\nproject_name: parsed\ncommit_id: {}\n",
            lab.commit("main")
        )
    );
    let text = fs::read_to_string(test.join("testdef.yaml")).unwrap();
    assert!(text.starts_with("metadata:\n  name: parsed\n"), "{text}");
}

/// Fails like a network, then works.
struct Flaky {
    failures: Mutex<u32>,
    message: &'static str,
}

impl RunCommand for Flaky {
    async fn run(
        &self,
        arguments: &[String],
        environment: &[(&str, &str)],
        _deadline: Instant,
    ) -> Result<CommandOutput, Fault> {
        {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Ok(CommandOutput {
                    stderr: self.message.to_owned(),
                    ..CommandOutput::default()
                });
            }
        }
        // Not through the runtime, whose clock would jump to the deadline meanwhile.
        let output = command(&arguments[0])
            .args(&arguments[1..])
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Ok(CommandOutput {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        })
    }
}

#[test]
fn failures_of_the_network_are_tried_again_while_there_is_time() {
    if !has("git") {
        return;
    }
    let lab = Lab::new();
    let attempt = |failures, message, seconds| {
        let flaky = Flaky {
            failures: Mutex::new(failures),
            message,
        };
        // Time passes at once: nothing but pauses waits for it.
        let mut runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let allowed = Duration::from_secs(seconds);
        let (result, _) = lab.fetch_on(&mut runtime, &lab.definition(), &flaky, allowed);
        let left = *flaky.failures.lock().unwrap();
        (
            result.map_err(|fault| fault.class).map(|_| ()),
            failures - left,
        )
    };
    let resolve = "fatal: unable to access 'https://x/': Could not resolve host: x";
    assert_eq!(attempt(5, resolve, 60), (Ok(()), 5));
    assert_eq!(
        attempt(9, resolve, 60),
        (Err(FaultClass::Infrastructure), 6)
    );
    // Five seconds between tries, and twelve in all.
    assert_eq!(
        attempt(9, resolve, 12),
        (Err(FaultClass::Infrastructure), 3)
    );
    let refused = "fatal: Authentication failed for 'https://x/'";
    assert_eq!(attempt(9, refused, 60), (Err(FaultClass::Job), 1));
}

#[test]
fn archives_are_unpacked_without_their_leading_directories() {
    let lab = Lab {
        directory: tempfile::tempdir().unwrap(),
        overlay: overlay(Path::new("/"), "/bin/sh"),
    };
    script(
        lab.directory.path(),
        "mkdir -p top-1.0/defs; echo 'run: {steps: [echo a]}' > top-1.0/defs/a.yaml; \
         tar -czf good.tar.gz top-1.0; tar -cf plain.tar top-1.0; \
         ln -s /etc/passwd top-1.0/out; tar -cf links.tar top-1.0; \
         tar -cPf up.tar top-1.0/../top-1.0/defs; head -c 100 good.tar.gz > cut.tar.gz",
    );
    let definition = ShellDefinition {
        source: DefinitionSource::Url {
            repository: "https://example.org/tests.tar.gz".to_owned(),
            compression: None,
            strip_components: 1,
            headers: std::collections::BTreeMap::new(),
        },
        path: "defs/a.yaml".to_owned(),
        ..inline(&lab.overlay, 0, "archived", "{}")
    };
    let unpack = |name: &str| {
        let builder = lab.builder();
        builder.unpack(&definition, &lab.directory.path().join(name))
    };
    for name in ["good.tar.gz", "plain.tar"] {
        unpack(name).unwrap();
        assert!(lab.fetch(&definition).is_ok(), "{name}");
    }
    for name in ["links.tar", "up.tar", "cut.tar.gz"] {
        let fault = unpack(name).unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{name}: {fault}");
    }
}
