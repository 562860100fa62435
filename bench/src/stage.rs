//! The files of a measurement: job, device, board, and a directory for what comes out.

use crate::{
    Problem,
    probe::{self, Log, words},
    programs::Programs,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const JOB: &str = include_str!("../files/job.yaml");
const DEVICE: &str = include_str!("../files/device.yaml");
const BOARD: &str = include_str!("../files/bench.board");
const BARE: &str = include_str!("../files/bare.board");

/// What the board does beside what it always does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Board {
    /// Lines printed while booting.
    pub(crate) flood_boot: u64,
    /// Lines printed while testing.
    pub(crate) flood_test: u64,
    /// Whether the kernel panics 30 ms after the last prompt.
    pub(crate) late_panic: bool,
    /// Whether the board makes its terminal raw, as telnet, ssh and QEMU do.
    pub(crate) raw: bool,
}

/// Who runs the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Pumice,
    Lava,
}

/// A directory with the files.
pub(crate) struct Stage<'p> {
    directory: TempDir,
    programs: &'p Programs,
    jobs: u32,
}

impl<'p> Stage<'p> {
    /// Makes a directory, which is removed at the end.
    pub(crate) fn new(programs: &'p Programs) -> Result<Self, Problem> {
        let directory = tempfile::Builder::new().prefix("pumice-bench").tempdir();
        let stage = Self {
            directory: directory.map_err(Problem::while_doing("make a directory"))?,
            programs,
            jobs: 0,
        };
        stage.write("job.yaml", JOB)?;
        stage.write("bench.board", BOARD)?;
        stage.write("bare.board", BARE)?;
        stage.write("dispatcher.yaml", "dispatcher_ip: 127.0.0.1\n")?;
        Ok(stage)
    }

    /// The words that run the job; the path is where its output goes.
    pub(crate) fn job(&mut self, runner: Runner, board: Board) -> Result<Job, Problem> {
        self.jobs += 1;
        let id = self.jobs;
        let device = self.device(runner, board)?;
        let output = self.directory.path().join(format!("job-{id}"));
        let mut command = match runner {
            Runner::Pumice => vec![self.programs.pumice.clone().into(), "run".into()],
            Runner::Lava => {
                let program = self.programs.lava.as_ref().map(|lava| lava.program.clone());
                let program = program.ok_or_else(|| Problem::new("lava-run is not installed"))?;
                let dispatcher = self.directory.path().join("dispatcher.yaml");
                fs_err::create_dir(&output).map_err(|error| Problem::new(error.to_string()))?;
                vec![program.into(), "--dispatcher".into(), dispatcher.into()]
            }
        };
        command.extend(words(["--job-id", &id.to_string(), "--device"]));
        command.push(device.into());
        command.extend(["--output-dir".into(), output.clone().into()]);
        command.push(self.directory.path().join("job.yaml").into());
        Ok(Job {
            runner,
            command,
            output,
        })
    }

    /// The words that play the board for the bare loop.
    pub(crate) fn bare(&self, lines: u64, raw: bool) -> Vec<OsString> {
        let script = self.directory.path().join("bare.board");
        let mut command = words(["bare", "--"]);
        command.push(self.programs.rack.clone().into());
        command.extend(["board".into(), script.into()]);
        command.push(format!("lines={lines}").into());
        command.push(format!("raw={}", u8::from(raw)).into());
        command
    }

    fn device(&self, runner: Runner, board: Board) -> Result<PathBuf, Problem> {
        // Debian's LAVA 2023.01 gives the suite's overlay another level.
        let level = match runner {
            Runner::Pumice => "1.2.1",
            Runner::Lava => "1.3.1",
        };
        let connect = format!(
            "{} board {} level={level} flood_boot={} flood_test={} late_panic={} raw={}",
            self.programs.rack.display(),
            self.directory.path().join("bench.board").display(),
            board.flood_boot,
            board.flood_test,
            u8::from(board.late_panic),
            u8::from(board.raw),
        );
        // Pumice gives a device to one job at a time.
        let hostname = format!("bench-{}", self.jobs);
        let text = DEVICE
            .replace("{connect}", &connect)
            .replace("{hostname}", &hostname);
        self.write(&format!("device-{}.yaml", self.jobs), &text)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Problem> {
        let path = self.directory.path().join(name);
        fs_err::write(&path, text).map_err(|error| Problem::new(error.to_string()))?;
        Ok(path)
    }
}

/// A job that can be run once.
pub(crate) struct Job {
    runner: Runner,
    command: Vec<OsString>,
    output: PathBuf,
}

impl Job {
    /// Runs it, timing the first line of its log.
    pub(crate) fn run(&self, memory: bool) -> Result<probe::Usage, Problem> {
        let usage = probe::separately(&probe::Arguments {
            log: self.log(),
            memory,
            into: None,
            command: self.command_with("lava"),
        })?;
        self.check(usage)
    }

    /// Runs it with one log file: ours writes its own, LAVA's printed log goes to one.
    pub(crate) fn run_with_log_file(&self) -> Result<probe::Usage, Problem> {
        let file = match self.runner {
            Runner::Pumice => PathBuf::from("/dev/null"),
            Runner::Lava => self.output.with_extension("log"),
        };
        let usage = probe::separately(&probe::Arguments {
            log: self.log(),
            memory: false,
            into: Some(file),
            command: self.command_with("plain"),
        })?;
        self.check(usage)
    }

    /// The log that ours wrote.
    pub(crate) fn written_log(&self) -> Result<String, Problem> {
        fs_err::read_to_string(self.output.join("logs.yaml"))
            .map_err(|error| Problem::new(error.to_string()))
    }

    /// Removes what it wrote: floods are large.
    pub(crate) fn forget(self) -> Result<(), Problem> {
        let log = self.output.with_extension("log");
        if log.exists() {
            fs_err::remove_file(log).map_err(|error| Problem::new(error.to_string()))?;
        }
        fs_err::remove_dir_all(self.output).map_err(|error| Problem::new(error.to_string()))
    }

    /// LAVA prints its log where others print errors.
    fn log(&self) -> Log {
        match self.runner {
            Runner::Pumice => Log::Stdout,
            Runner::Lava => Log::Stderr,
        }
    }

    fn command_with(&self, format: &str) -> Vec<OsString> {
        let mut command = self.command.clone();
        if self.runner == Runner::Pumice {
            command.extend(words(["--format", format]));
            // What the cache of a user holds must not matter.
            command.push("--cache-dir".into());
            command.push(self.output.with_file_name("cache").into());
        }
        command
    }

    fn check(&self, usage: probe::Usage) -> Result<probe::Usage, Problem> {
        if usage.code == Some(0) {
            return Ok(usage);
        }
        Err(Problem::new(format!(
            "{} ended with {:?} instead of 0; it said: {}",
            Path::new(&self.command[0]).display(),
            usage.code,
            usage.said
        )))
    }
}
