//! The tree of the overlay on this host.

use super::{
    FetchedDefinition, Multinode, Note,
    commands::RunCommand,
    definition,
    files::{create_directory, single_name, write_new},
    git,
    helpers::{Helper, Renderer},
    quote,
    records::{Extra, extra, metadata, pattern_text},
    script, unpack, yaml_text,
};
use job::Fault;
use plan::step::{DefinitionSource, LavaOverlay, ShellDefinition};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// The tree of one deploy, built action by action.
///
/// Each method is the work of one action and may be repeated when the action is retried. Lines
/// for the log pile up until [`OverlayBuilder::take_notes`].
#[derive(Clone, Debug)]
pub struct OverlayBuilder {
    directory: PathBuf,
    overlay: LavaOverlay,
    /// The names of tests by stage and index.
    tests: BTreeMap<(u32, u32), String>,
    notes: Vec<Note>,
}

impl OverlayBuilder {
    /// `lava-overlay`: directories, helpers, `environment` and `secrets` below `directory`, which
    /// belongs to this overlay alone.
    ///
    /// # Errors
    /// An infrastructure fault when a file cannot be written.
    pub fn create(directory: &Path, overlay: &LavaOverlay) -> Result<Self, Fault> {
        let mut builder = Self {
            directory: directory.to_owned(),
            overlay: overlay.clone(),
            tests: BTreeMap::new(),
            notes: Vec::new(),
        };
        builder.check_results_dir()?;
        for name in ["bin", "tests", "results"] {
            let path = builder.root().join(name);
            create_directory(&path)?;
            builder.note_debug(format!("makedir: {}", path.display()));
        }
        builder.write_helpers()?;
        builder.write_environment()?;
        builder.write_secrets()?;
        Ok(builder)
    }

    /// `lava-multinode-overlay`: the helpers of MultiNode jobs.
    ///
    /// # Errors
    /// An infrastructure fault when a file cannot be written.
    pub fn add_multinode(&mut self, multinode: &Multinode) -> Result<(), Fault> {
        for helper in self.renderer().multinode(multinode) {
            self.write_helper("Creating", &helper, "")?;
        }
        for (job, role) in &multinode.group {
            self.note_debug(format!("group roles:\t{job}\t{role}"));
        }
        Ok(())
    }

    /// `url-repo-action`, between the download and [`OverlayBuilder::fetch`]: unpacks an archive
    /// into the directory of its test. Blocks.
    ///
    /// # Errors
    /// A job fault when the archive is damaged or climbs out of its directory; an infrastructure
    /// fault when it cannot be read or written.
    pub fn unpack(&self, test: &ShellDefinition, archive: &Path) -> Result<(), Fault> {
        let directory = self.test_directory(test)?;
        git::remove(&directory)?;
        create_directory(&directory)?;
        unpack::definition(test, archive, &directory)
    }

    /// `inline-repo-action`, `git-repo-action`, `url-repo-action`: brings a definition into its
    /// test directory and reads it. One at a URL was given to [`OverlayBuilder::unpack`] before.
    ///
    /// Cancellation safe: what a canceled call leaves behind, the next one replaces.
    ///
    /// # Errors
    /// A job fault for a definition that is missing or unusable, or a repository that does not
    /// have it; an infrastructure fault when the network or the disk fails.
    pub async fn fetch(
        &mut self,
        test: &ShellDefinition,
        runner: &impl RunCommand,
        deadline: Instant,
    ) -> Result<FetchedDefinition, Fault> {
        let directory = self.test_directory(test)?;
        self.note_debug(format!(
            "Using {} at stage {}",
            test.results_dir, test.stage
        ));
        let mut commit_id = None;
        match &test.source {
            DefinitionSource::Inline { document } => {
                git::remove(&directory)?;
                let path = directory.join(super::files::relative(&test.path, "the path")?);
                create_directory(path.parent().unwrap_or(&directory))?;
                let text = yaml_text::dump(&document.clone().into());
                write_new(&path, text.as_bytes(), 0o644)?;
            }
            DefinitionSource::Git { repository, .. } => {
                self.notes
                    .push(Note::info(format!("Fetching tests from {repository}")));
                create_directory(directory.parent().unwrap_or(&directory))?;
                let checkout = git::Checkout::of_source(&test.source, &directory);
                let commit = git::fetch(&checkout, runner, deadline, &mut self.notes).await?;
                self.note_stored(&directory, test);
                commit_id = Some(commit);
            }
            DefinitionSource::Url { .. } => self.note_stored(&directory, test),
        }
        self.load(test, directory, commit_id)
    }

    /// The directory of a test on this host.
    ///
    /// # Errors
    /// A job fault when the name of the test cannot be a directory's.
    pub fn test_directory(&self, test: &ShellDefinition) -> Result<PathBuf, Fault> {
        let name = test_name(test);
        single_name(&name, "the name of the test definition")?;
        Ok(self.stage(test.stage).join("tests").join(name))
    }

    /// `test-overlay`: `testdef.yaml`, `uuid` and `testdef_metadata`.
    ///
    /// # Errors
    /// An infrastructure fault when a file cannot be written.
    pub fn write_metadata(
        &mut self,
        test: &ShellDefinition,
        fetched: &FetchedDefinition,
    ) -> Result<Extra, Fault> {
        let directory = &fetched.directory;
        let definition = yaml_text::dump(&fetched.document);
        write_new(
            &directory.join("testdef.yaml"),
            definition.as_bytes(),
            0o644,
        )?;
        write_new(&directory.join("uuid"), test.uuid.as_bytes(), 0o644)?;
        let metadata = yaml_text::dump(&metadata(test, fetched).into());
        write_new(
            &directory.join("testdef_metadata"),
            metadata.as_bytes(),
            0o644,
        )?;
        Ok(extra(test))
    }

    /// `test-install-overlay`: `install.sh`, and the repositories it wants beside the test.
    ///
    /// # Errors
    /// As [`OverlayBuilder::fetch`].
    pub async fn write_install(
        &mut self,
        test: &ShellDefinition,
        fetched: &FetchedDefinition,
        runner: &impl RunCommand,
        deadline: Instant,
    ) -> Result<Extra, Fault> {
        let mut extra = extra(test);
        let defaults = definition::parameters(&fetched.document);
        let parameters: Vec<_> = defaults.iter().chain(&test.parameters).cloned().collect();
        let install = definition::install(
            &fetched.document,
            &test.name,
            test.distribution.as_deref(),
            &test.skip_install,
            &parameters,
        )?;
        let Some(install) = install else {
            extra.insert(
                "skipped test-install-overlay".to_owned(),
                test.uuid.clone().into(),
            );
            return Ok(extra);
        };
        for repository in &install.repositories {
            let checkout = git::Checkout::of_repository(repository, &fetched.directory)?;
            git::fetch(&checkout, runner, deadline, &mut self.notes).await?;
        }
        let on_device = device_directory(test);
        let context = script::Context {
            directory: &on_device,
            defaults: &defaults,
            parameters: &test.parameters,
        };
        let text = script::install(&context, &install);
        write_new(
            &fetched.directory.join("install.sh"),
            text.as_bytes(),
            0o755,
        )?;
        Ok(extra)
    }

    /// `test-runscript-overlay`: `run.sh`.
    ///
    /// # Errors
    /// A job fault when a step is no command; an infrastructure fault when the file cannot be
    /// written.
    pub fn write_run_script(
        &mut self,
        test: &ShellDefinition,
        fetched: &FetchedDefinition,
    ) -> Result<Extra, Fault> {
        let path = fetched.directory.join("run.sh");
        self.note_debug(format!(
            "runner path: {} test_uuid {}",
            fetched.directory.display(),
            test.uuid
        ));
        let defaults = definition::parameters(&fetched.document);
        for (name, value) in &test.parameters {
            self.notes
                .push(Note::debug(format!("{name}={}", quote::always(value))));
        }
        for name in script::unusable(&defaults).chain(script::unusable(&test.parameters)) {
            self.notes.push(Note::warning(format!(
                "the parameter {name:?} is left out: no shell can hold a variable of that name"
            )));
        }
        let steps = definition::run_steps(&fetched.document, &test.name)?;
        if steps.is_empty() {
            self.notes.push(Note::warning(format!(
                "the test definition {:?} has no steps to run",
                test.name
            )));
        }
        let on_device = device_directory(test);
        let context = script::Context {
            directory: &on_device,
            defaults: &defaults,
            parameters: &test.parameters,
        };
        let text = script::run(
            &context,
            &test_name(test),
            &steps,
            test.use_kmsg,
            test.character_delay,
        );
        write_new(&path, text.as_bytes(), 0o755)?;
        let mut extra = extra(test);
        extra.insert("filename".to_owned(), path.display().to_string().into());
        Ok(extra)
    }

    /// `test-definition`: `lava-test-runner.conf` of each stage, after all tests were fetched.
    ///
    /// # Errors
    /// An infrastructure fault when a file cannot be written.
    pub fn write_runner_conf(&mut self) -> Result<(), Fault> {
        self.notes
            .push(Note::info("Creating lava-test-runner.conf files"));
        let mut stages: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for ((stage, _), name) in &self.tests {
            stages.entry(*stage).or_default().push(name.clone());
        }
        for (stage, names) in stages {
            let directory = self.stage(stage);
            self.note_debug(format!(
                "Using lava-test-runner path: {} for stage {stage}",
                directory.display()
            ));
            let mut text = String::new();
            for name in names {
                self.note_debug(format!("- {name}"));
                let results_dir = &self.overlay.results_dir;
                text.push_str(&format!("{results_dir}/{stage}/tests/{name}\n"));
            }
            let path = directory.join("lava-test-runner.conf");
            write_new(&path, text.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    /// The directory that holds the overlay as it will be on the device: `/` of an archive.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The results directory below it: the root of a guest image.
    pub fn results_directory(&self) -> PathBuf {
        self.root()
    }

    /// Lines for the log since the last call.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// `<directory>/<results directory>`.
    fn root(&self) -> PathBuf {
        self.directory
            .join(self.overlay.results_dir.trim_start_matches('/'))
    }

    fn stage(&self, stage: u32) -> PathBuf {
        self.root().join(stage.to_string())
    }

    /// Jobs may choose the results directory by their context.
    fn check_results_dir(&self) -> Result<(), Fault> {
        let path = &self.overlay.results_dir;
        let plain = path.starts_with('/')
            && path.trim_start_matches('/').split('/').all(|part| {
                !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control())
            });
        if plain {
            return Ok(());
        }
        Err(
            Fault::job(format!("{path:?} cannot be the directory of the overlay"))
                .with_hint("lava_test_results_dir is an absolute path like '/lava-%s'"),
        )
    }

    fn renderer(&self) -> Renderer {
        Renderer::new(
            &self.overlay.shell,
            &self.overlay.results_dir,
            &self.overlay.helper_values,
        )
    }

    fn write_helpers(&mut self) -> Result<(), Fault> {
        let renderer = self.renderer();
        for helper in renderer.common() {
            self.write_helper("Creating", &helper, "")?;
        }
        if let Some(distribution) = self.overlay.distribution.clone() {
            for helper in renderer.of_distribution(&distribution) {
                self.write_helper("Updating", &helper, &format!(" ({distribution})"))?;
            }
        }
        Ok(())
    }

    fn write_helper(&mut self, verb: &str, helper: &Helper, suffix: &str) -> Result<(), Fault> {
        let path = self.root().join("bin").join(helper.name);
        self.note_debug(format!("{verb} {}{suffix}", path.display()));
        write_new(&path, helper.text.as_bytes(), 0o755)
    }

    fn write_environment(&mut self) -> Result<(), Fault> {
        let path = self.root().join("environment");
        self.note_debug(format!("Creating {}", path.display()));
        let mut text = String::new();
        for (name, value) in &self.overlay.environment {
            if name == "LAVA_JOB_ID" {
                self.notes.push(Note::debug("LAVA metadata"));
            }
            if !quote::is_variable(name) {
                self.notes.push(Note::warning(format!(
                    "the variable {name:?} is left out: no shell can hold one of that name"
                )));
                continue;
            }
            self.notes.push(Note::debug(format!("- {name}={value}")));
            text.push_str(&format!("export {name}={value}\n"));
        }
        write_new(&path, text.as_bytes(), 0o644)
    }

    fn write_secrets(&mut self) -> Result<(), Fault> {
        if self.overlay.secrets.is_empty() && self.overlay.env_dut.is_empty() {
            return Ok(());
        }
        let path = self.root().join("secrets");
        let mut text = String::new();
        for (name, value) in &self.overlay.secrets {
            text.push_str(&format!("{name}={}\n", quote::word(value)));
        }
        if self.overlay.env_dut.is_empty() {
            self.note_debug(format!("Creating {}", path.display()));
        } else {
            self.note_debug(format!("Creating {} with env", path.display()));
            for (name, value) in &self.overlay.env_dut {
                self.notes.push(Note::debug(format!("Handling {name}")));
                text.push_str(&format!("{name}={}\n", quote::word(value)));
            }
        }
        write_new(&path, text.as_bytes(), 0o644)
    }

    /// Reads the definition out of its directory.
    fn load(
        &mut self,
        test: &ShellDefinition,
        directory: PathBuf,
        commit_id: Option<String>,
    ) -> Result<FetchedDefinition, Fault> {
        let document = match &test.source {
            DefinitionSource::Inline { document } => document.clone().into(),
            _ => yaml_text::load_below(&directory, &test.path)?,
        };
        definition::root(&document, &test.name)?;
        let pattern = definition::pattern(&document);
        self.note_debug(format!(
            "uuid={} testdef={}",
            test.uuid,
            pattern_text(&document)
        ));
        self.tests.insert((test.stage, test.index), test_name(test));
        Ok(FetchedDefinition {
            expected: definition::expected(&document),
            directory,
            document,
            commit_id,
            pattern,
        })
    }

    fn note_stored(&mut self, directory: &Path, test: &ShellDefinition) {
        self.note_debug(format!(
            "Tests stored (tmp) in {}/{}",
            directory.display(),
            test.path
        ));
    }

    fn note_debug(&mut self, message: String) {
        self.notes.push(Note::debug(message));
    }
}

/// `<index>_<name>`: the suite, and the directory of the test.
fn test_name(test: &ShellDefinition) -> String {
    format!("{}_{}", test.index, test.name)
}

fn device_directory(test: &ShellDefinition) -> String {
    format!(
        "{}/{}/tests/{}",
        test.results_dir,
        test.stage,
        test_name(test)
    )
}
