//! What actions share while a job runs: typed, and owned by the executor.

use super::{
    JobLog, Undos,
    boot_files::{BootFiles, Services},
    consoles::{Consoles, Wait},
    fetches::Fetches,
};
use crate::{
    actions::{
        boot::{bootloader::REFUSED, diagnosis},
        test::follow::Follower,
    },
    expect::Found,
    overlay::{FetchedDefinition, OverlayBuilder},
};
use hal::process::CommandLine;
use job::{Fault, FaultClass, JobId, Level, Namespace, id::DeviceName};
use plan::{Action, Step};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;
use wire::journal::{Undo, UndoId};

/// What is known of a job before it runs.
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// The id, which is part of names on the device.
    pub id: JobId,
    /// The job's name.
    pub name: String,
    /// The device, empty when it has no name.
    pub device: DeviceName,
    /// Its type.
    pub device_type: String,
    /// Variables that commands of the device see beside our own environment.
    pub command_environment: Vec<(String, String)>,
    /// A directory of this job alone, made by the runner and removed at its end.
    pub work_dir: PathBuf,
    /// Who serves boot files.
    pub services: Services,
}

/// State that actions of one job share.
pub struct Context {
    /// What was known before.
    pub job: JobFacts,
    /// Where everything that happens is written.
    pub log: JobLog,
    /// What has to be given back.
    pub undos: Undos,
    /// The consoles, by namespace.
    pub consoles: Consoles,
    /// What the actions of a namespace told each other.
    pub namespaces: BTreeMap<Namespace, NamespaceState>,
    /// Fetches files.
    pub fetches: Fetches,
    /// Files that boot loaders fetch.
    pub boot_files: BootFiles,
    /// The test shell that runs.
    pub(crate) follower: Option<Follower>,
    /// How the board is switched off.
    pub power_off: PowerOff,
    power_undo: Option<UndoId>,
    deploys: BTreeMap<Level, PathBuf>,
    directories: u32,
}

/// How the board is switched off. Nothing to do when it has no commands.
#[derive(Clone, Debug, Default)]
pub struct PowerOff {
    /// The command lines, in order.
    pub commands: Vec<String>,
    /// How long each may take.
    pub timeout: Duration,
}

/// What the actions of a namespace tell each other.
#[derive(Default)]
pub struct NamespaceState {
    /// The overlay of the last deploy.
    pub overlay: Option<OverlayBuilder>,
    /// The overlay as an archive.
    pub overlay_archive: Option<PathBuf>,
    /// Definitions as fetched, by their number.
    pub definitions: BTreeMap<u32, FetchedDefinition>,
    /// Downloaded files by label.
    pub files: BTreeMap<String, PathBuf>,
    /// The guest image with the overlay.
    pub guest: Option<crate::overlay::ext::guest::GuestImage>,
    /// Prompts that end a wait for a shell.
    pub prompts: Vec<String>,
    /// Variables that `export-device-env` types.
    pub device_environment: Vec<(String, String)>,
    /// The directory of the last deploy that boot loaders fetch from.
    pub deploy: Option<PathBuf>,
    /// What is typed at the boot loader.
    pub boot_commands: Vec<String>,
    /// Whether the boot loader's prompt was seen, so that nobody waits for it again.
    pub at_bootloader_prompt: bool,
}

impl NamespaceState {
    /// The overlay.
    pub fn overlay(&self) -> Result<&OverlayBuilder, Fault> {
        self.overlay.as_ref().ok_or_else(no_overlay)
    }

    /// A file that was downloaded under this label.
    pub fn file(&self, label: &str) -> Result<PathBuf, Fault> {
        self.files
            .get(label)
            .cloned()
            .ok_or_else(|| Fault::bug(format!("'{label}' is used before it was downloaded")))
    }
}

/// The plan puts `lava-overlay` before all that needs it.
pub fn no_overlay() -> Fault {
    Fault::bug("a test's files are to be written before its overlay was made")
}

impl Context {
    /// A context without namespaces yet.
    pub fn new(job: JobFacts, log: JobLog, undos: Undos, fetches: Fetches) -> Self {
        let consoles = Consoles::new(log.clone(), undos.clone());
        let boot_files = BootFiles::new(job.services.clone(), job.id.clone(), &job.work_dir);
        Self {
            boot_files,
            job,
            log,
            undos,
            consoles,
            namespaces: BTreeMap::new(),
            fetches,
            follower: None,
            power_off: PowerOff::default(),
            power_undo: None,
            deploys: BTreeMap::new(),
            directories: 0,
        }
    }

    /// The state of a namespace, made on first use.
    pub fn namespace(&mut self, namespace: &Namespace) -> &mut NamespaceState {
        self.namespaces.entry(namespace.clone()).or_default()
    }

    /// Makes a directory of an action's own below the job's. LAVA's have a random tail; a number
    /// tells them apart as well and is the same in every run.
    pub fn make_directory(&mut self, action: &str) -> Result<PathBuf, Fault> {
        self.directories += 1;
        let path = self
            .job
            .work_dir
            .join(format!("{action}-{}", self.directories));
        make_directory(&path)?;
        Ok(path)
    }

    /// The directory of the deploy that an action belongs to, made on first use.
    pub fn deploy_directory(&mut self, action: &Action) -> Result<PathBuf, Fault> {
        let block = action.level.top();
        if let Some(path) = self.deploys.get(&block) {
            return Ok(path.clone());
        }
        let path = self.make_directory("deploy")?;
        self.deploys.insert(block, path.clone());
        Ok(path)
    }

    /// Makes the directory of a deploy whose files are served, below `served`.
    pub fn serve_deploy(&mut self, action: &Action, served: &Path) -> Result<(), Fault> {
        self.directories += 1;
        let path = served.join(format!("{}-{}", action.name, self.directories));
        make_directory(&path)?;
        self.namespace(&action.namespace).deploy = Some(path.clone());
        self.deploys.insert(action.level.top(), path);
        Ok(())
    }

    /// Says where a boot went wrong that ended by `fault`, where console or network show it.
    pub fn explain(&mut self, action: &Action, fault: &mut Fault) {
        let waits = matches!(
            action.step,
            Step::BootloaderInterrupt(_)
                | Step::BootloaderCommands(_)
                | Step::AutoLogin(_)
                | Step::Login(_)
        );
        if !waits || fault.diagnosis.is_some() || fault.class == FaultClass::Canceled {
            return;
        }
        self.log_transfers();
        let namespace = action.connection_namespace.as_ref();
        let namespace = namespace.unwrap_or(&action.namespace);
        let Some(text) = self.consoles.boot_text(namespace) else {
            return;
        };
        let refused = fault.message.contains(REFUSED);
        let found = diagnosis::diagnose(&text, &self.boot_files.of_this_boot(), refused);
        if let Some(found) = found {
            let sentence = found.failure.to_string();
            self.log.error(format!("the boot failed: {sentence}"));
            fault.diagnosis = Some(sentence);
            fault.console = found.lines;
        }
    }

    /// Waits for a pattern on a console, and logs the transfers of boot files that end meanwhile.
    pub async fn wait_while_serving(
        &mut self,
        namespace: &Namespace,
        wait: Wait<'_>,
    ) -> Result<Found, Fault> {
        let waiting = self.consoles.wait(namespace, wait);
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                found = &mut waiting => return found,
                report = self.boot_files.next_report() => self.log.info(report.to_string()),
            }
        }
    }

    /// Logs the transfers of boot files that ended.
    pub fn log_transfers(&mut self) {
        while let Some(report) = self.boot_files.try_next_report() {
            self.log.info(report.to_string());
        }
    }

    /// Whether anything was begun that `finalize` has to end.
    pub fn started(&self) -> bool {
        self.directories > 0 || self.power_undo.is_some() || !self.consoles.namespaces().is_empty()
    }

    /// The power of the board is about to be touched: from here on it must be switched off at the
    /// end, whoever does it.
    pub fn expect_power(&mut self) -> Result<(), Fault> {
        if self.power_undo.is_none() && !self.power_off.commands.is_empty() {
            let commands = self
                .power_off
                .commands
                .iter()
                .map(|line| words(line))
                .collect::<Result<_, _>>()?;
            let name = "power_off".to_owned();
            let timeout = self.power_off.timeout;
            self.power_undo = Some(self.undos.register(Undo::Run {
                name,
                commands,
                timeout,
            }));
        }
        Ok(())
    }

    /// The board was switched off.
    pub fn power_is_off(&mut self) {
        if let Some(id) = self.power_undo.take() {
            self.undos.done(id);
        }
    }

    /// The last lines of all consoles, for the report of a fault.
    pub fn console_tail(&self) -> Vec<String> {
        self.consoles
            .namespaces()
            .iter()
            .flat_map(|name| self.consoles.tail(name))
            .collect()
    }

    /// Runs command lines of the device in order and logs what they print.
    ///
    /// Stops at the first that fails. Canceling the future ends the command that runs.
    pub async fn run_commands(
        &mut self,
        commands: &[String],
        deadline: Instant,
    ) -> Result<(), Fault> {
        for command in commands {
            let line = CommandLine::parse(command)
                .map_err(|error| Fault::configuration(error.to_string()).with_command(command))?;
            self.consoles
                .set_waiting_for(Some(format!("the end of the command '{line}'")));
            let environment = &self.job.command_environment;
            let ended = tokio::select! {
                ended = run_command(&self.undos, &line, environment, deadline) => ended,
                never = self.consoles.drain() => match never {},
            };
            ended?;
        }
        self.consoles.set_waiting_for(None);
        Ok(())
    }
}

/// Runs one command and logs it the way LAVA's users know: the call, its lines, its end.
///
/// The processes it leaves when the runner is killed are ended by the undo.
pub async fn run_command(
    undos: &Undos,
    command: &CommandLine,
    environment: &[(String, String)],
    deadline: Instant,
) -> Result<(), Fault> {
    let log = undos.log();
    log.debug(format!("Calling: {command}"));
    let mut process = hal::process::Command::new(command.clone());
    for (name, value) in environment {
        process = process.env(name, value);
    }
    let mut undo = None;
    let exit = process
        .run_noting(
            deadline,
            |process| {
                undo = Some(undos.register(Undo::KillGroup {
                    pid: process.pid(),
                    start_time: process.start_ticks(),
                }));
            },
            |line| log.debug(format!(">> {}", String::from_utf8_lossy(line))),
        )
        .await;
    if let Some(undo) = undo {
        undos.done(undo);
    }
    let exit = exit.map_err(|error| super::fault::of_hal(&error))?;
    log.debug(format!(
        "Returned {} in {} seconds",
        exit.returncode(),
        exit.duration.as_secs()
    ));
    if exit.success() {
        return Ok(());
    }
    Err(super::fault::of_hal(&process.failure(&exit)))
}

/// A command line of the device's as words.
pub fn words(line: &str) -> Result<Vec<String>, Fault> {
    let command = CommandLine::parse(line)
        .map_err(|error| Fault::configuration(error.to_string()).with_command(line))?;
    Ok(command
        .words()
        .map(|word| word.to_string_lossy().into_owned())
        .collect())
}

/// Makes a directory and all above it.
pub fn make_directory(path: &Path) -> Result<(), Fault> {
    fs_err::create_dir_all(path).map_err(|error| super::fault::of_io(&error))
}

/// Whole seconds as LAVA prints time limits, `00:03:59`.
pub fn hours_minutes_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
