//! `lava-overlay`: what tests need on the device.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    environment,
    job_view::Deployed,
    step::{DefinitionSource, LavaOverlay, ShellDefinition},
};
use job::definition::{self, TestDefinition};
use std::sync::Arc;

/// Where an overlay goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// To a device, as an archive.
    Archive,
    /// To a container, as a directory.
    Directory,
}

/// The overlay of a deploy, if a test of the namespace needs one.
pub(crate) fn add_if_needed(builder: &mut Builder<'_, '_>) -> Planned {
    if builder.needs_overlay() {
        add(builder, "lava-overlay", Form::Archive)?;
    }
    Ok(())
}

/// The overlay of a deploy that has the action even where no test needs it.
pub(crate) fn add_or_skip(builder: &mut Builder<'_, '_>) -> Planned {
    if builder.needs_overlay() {
        return add(builder, "lava-overlay", Form::Archive);
    }
    builder.add(Spec::new("lava-overlay", Step::Skip));
    Ok(())
}

/// The overlay with all test definitions of the namespace.
pub(crate) fn add(builder: &mut Builder<'_, '_>, name: &'static str, form: Form) -> Planned {
    let step = Step::LavaOverlay(Box::new(lava_overlay(builder)));
    builder.nest(Spec::new(name, step), |builder| {
        let has_ssh = builder
            .device()
            .deploy_methods()
            .iter()
            .any(|method| method.contains("ssh"));
        if has_ssh {
            let wanted = builder.cursor().get("authorize").is_some();
            builder.add(if wanted {
                Spec::unsupported("ssh-authorize", "deploy authorize: ssh")
            } else {
                Spec::new("ssh-authorize", Step::Skip)
            });
        }
        builder.add(if builder.view().is_multinode() {
            Spec::unsupported("lava-multinode-overlay", "protocol lava-multinode")
        } else {
            Spec::new("lava-multinode-overlay", Step::Skip)
        });
        builder.nest(
            Spec::new("test-definition", Step::TestDefinition),
            |builder| {
                definitions(builder);
                Ok(())
            },
        )?;
        if form == Form::Archive {
            builder.add(Spec::new("compress-overlay", Step::CompressOverlay));
        }
        Ok(())
    })
}

/// Four actions for each definition; they are remembered for the tests that run them.
fn definitions(builder: &mut Builder<'_, '_>) {
    let tests = builder
        .view()
        .tests_of(builder.namespace())
        .iter()
        .filter(|(_, test)| test.needs_overlay());
    let mut all = Vec::new();
    for (stage, (_, test)) in tests.enumerate() {
        for entry in test.definitions() {
            let definition = Arc::new(shell_definition(builder, entry, all.len(), stage));
            let fetch = match &definition.source {
                DefinitionSource::Inline { .. } => "inline-repo-action",
                DefinitionSource::Git { .. } => "git-repo-action",
                DefinitionSource::Url { .. } => "url-repo-action",
            };
            builder.add(Spec::new(
                fetch,
                Step::FetchDefinition(Arc::clone(&definition)),
            ));
            builder.add(Spec::new(
                "test-overlay",
                Step::TestOverlay(Arc::clone(&definition)),
            ));
            builder.add(Spec::new(
                "test-install-overlay",
                Step::TestInstall(Arc::clone(&definition)),
            ));
            builder.add(Spec::new(
                "test-runscript-overlay",
                Step::TestRunScript(Arc::clone(&definition)),
            ));
            check_name(builder, entry, &all);
            all.push(definition);
        }
    }
    let namespace = builder.namespace().clone();
    builder.state().deployed_mut(&namespace).definitions = all;
}

/// LAVA's rules for names of definitions, which become names of suites and directories.
fn check_name(
    builder: &mut Builder<'_, '_>,
    entry: &TestDefinition,
    earlier: &[Arc<ShellDefinition>],
) {
    let name = &entry.name;
    let allowed = |character: char| character.is_alphanumeric() || "_-".contains(character);
    let message = if name.is_empty() || !name.chars().all(allowed) {
        format!("a test cannot be named `{name}`: letters, digits, `-` and `_` are allowed")
    } else if name == "lava" {
        "a test cannot be named `lava`: that suite holds the results of the job itself".to_owned()
    } else if earlier.iter().any(|other| other.name == *name) {
        format!("two tests of one namespace are named `{name}`")
    } else {
        return;
    };
    let problem = job::Problem::new(entry.location.clone(), entry.span, message);
    builder.report(problem);
}

fn shell_definition(
    builder: &Builder<'_, '_>,
    entry: &TestDefinition,
    index: usize,
    stage: usize,
) -> ShellDefinition {
    let view = builder.view();
    let data = deployed(builder).data;
    ShellDefinition {
        source: source(&entry.source),
        path: entry.path.clone(),
        name: entry.name.clone(),
        index: u32::try_from(index).unwrap_or(u32::MAX),
        stage: u32::try_from(stage).unwrap_or(u32::MAX),
        uuid: format!("{}_{}", view.facts.job_id, builder.next_level()),
        results_dir: view.results_dir(data),
        parameters: entry.parameters.clone(),
        skip_install: entry.skip_install.clone(),
        use_kmsg: entry.use_kmsg,
        expected: entry.expected.clone(),
        distribution: data.map(|data| data.distro.to_owned()),
        character_delay: view.device.character_delays.test,
    }
}

fn source(source: &definition::DefinitionSource) -> DefinitionSource {
    match source {
        definition::DefinitionSource::Inline(document) => DefinitionSource::Inline {
            document: document.clone(),
        },
        definition::DefinitionSource::Git(git) => DefinitionSource::Git {
            repository: git.repository.clone(),
            branch: git.branch.clone(),
            revision: git.revision.clone(),
            history: git.history,
            recursive: git.recursive,
            shallow: git.shallow,
        },
        definition::DefinitionSource::Url(url) => DefinitionSource::Url {
            repository: url.repository.clone(),
            compression: url.compression.clone(),
            strip_components: url.strip_components,
            headers: url.headers.clone(),
        },
    }
}

fn lava_overlay(builder: &Builder<'_, '_>) -> LavaOverlay {
    let view = builder.view();
    let data = deployed(builder).data;
    LavaOverlay {
        results_dir: view.results_dir(data),
        shell: view.shell(data),
        distribution: data.map(|data| data.distro.to_owned()),
        environment: environment::variables(view),
        secrets: view.definition.secrets.clone(),
        env_dut: view.facts.env_dut.clone().unwrap_or_default(),
        helper_values: environment::helper_values(view),
    }
}

fn deployed(builder: &Builder<'_, '_>) -> Deployed {
    builder
        .state_ref()
        .deployed(builder.namespace())
        .cloned()
        .unwrap_or_default()
}
