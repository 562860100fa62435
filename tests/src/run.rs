//! A run of the program, watched from outside as a user would.

use crate::{
    command,
    processes::{Processes, wait_for_end},
    program::pumice,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    ffi::OsStr,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often the memory of a run is looked at. The peak only grows, so what counts is the last
/// look before the end.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a test waits for something that has to come. Far above what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of `pumice run`, with the program of this workspace.
pub struct Run {
    command: Command,
    directory: PathBuf,
}

/// A run that goes on.
pub struct Running {
    child: Child,
    directory: PathBuf,
    output: Receiver<Vec<u8>>,
    readers: Vec<JoinHandle<()>>,
    seen: Vec<u8>,
    peak_kib: u64,
}

/// How a run ended.
pub struct Finished {
    /// Its exit code; negative for a signal.
    pub code: i32,
    /// What it printed, both streams.
    pub output: String,
    /// Its output directory.
    pub directory: PathBuf,
    /// The most memory it had resident, in KiB.
    pub peak_kib: u64,
}

impl Run {
    /// Runs a job; its output goes below `directory`.
    pub fn new(job: &Path, directory: &Path) -> Self {
        let directory = directory.join("output");
        let cache = directory.with_extension("cache");
        Self::bare("run", &directory)
            .arg(job)
            .arg("--output-dir")
            .arg(&directory)
            .arg("--cache-dir")
            .arg(cache)
    }

    /// Another subcommand about the job in a directory.
    pub fn bare(subcommand: &str, directory: &Path) -> Self {
        Self::of(&pumice(), directory).arg(subcommand)
    }

    /// Any program about the job in a directory.
    pub fn of(program: &Path, directory: &Path) -> Self {
        let mut command = command(program);
        // Servers of a test are on this host.
        command.env("NO_PROXY", "*").env_remove("PUMICE_CACHE");
        Self {
            command,
            directory: directory.to_owned(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Where it will write.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::null());
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program can be started");
        let (sender, output) = channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        let readers = streams.into_iter().flatten().map(|mut stream| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if sender.send(buffer[..length].to_vec()).is_err() {
                        return;
                    }
                }
            })
        });
        Running {
            child,
            directory: self.directory,
            output,
            readers: readers.collect(),
            seen: Vec::new(),
            peak_kib: 0,
        }
    }

    /// Waits for its end. The test runner's own time limit bounds the wait.
    pub fn finish(self) -> Finished {
        self.start().finish()
    }
}

impl Running {
    /// Waits until it has printed a text, also when it ends first.
    pub fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !contains(&self.seen, text.as_bytes()) {
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => panic!("{text:?} did not come: {}", self.text()),
            }
        }
    }

    /// Lets it run for a time, or to its end.
    pub fn run_for(&mut self, duration: Duration) {
        wait_for_end(self.pid(), duration);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(self.pid(), signal);
    }

    /// Waits for its end, looking at its memory.
    pub fn finish(mut self) -> Finished {
        loop {
            self.look_at_memory();
            match self.output.recv_timeout(LOOK_EVERY) {
                // What a flood of a board prints is not kept: only its beginning and end matter.
                Ok(bytes) if self.seen.len() < 8 << 20 => self.seen.extend(bytes),
                Ok(bytes) => self.seen = bytes,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
        Finished {
            code: status.code().unwrap_or(-1),
            output: self.text(),
            directory: self.directory,
            peak_kib: self.peak_kib,
        }
    }

    fn look_at_memory(&mut self) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs_err::read_to_string(path).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
        self.peak_kib = self.peak_kib.max(peak.unwrap_or(0));
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).expect("pids are small");
        Pid::from_raw(pid).expect("pids are positive")
    }

    /// What it has printed so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

impl Finished {
    /// `results.json`, if the job came so far.
    pub fn results(&self) -> Option<Value> {
        let text = fs_err::read(self.directory.join("results.json")).ok()?;
        Some(serde_json::from_slice(&text).expect("results.json is JSON"))
    }

    /// A member of the fault in `results.json`; empty when there is none.
    pub fn fault(&self, member: &str) -> String {
        let results = self.results().unwrap_or_default();
        let value = &results["verdict"]["fault"][member];
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The results of a suite: name and result of each case, in order.
    pub fn cases(&self, suite: &str) -> Vec<(String, String)> {
        let results = self.results().expect("the job wrote its results");
        let suites = results["suites"].as_array().expect("suites are a list");
        let Some(suite) = suites.iter().find(|known| known["name"] == suite) else {
            return Vec::new();
        };
        let cases = suite["cases"].as_array().expect("cases are a list");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        cases
            .iter()
            .map(|case| (text(&case["name"]), text(&case["result"])))
            .collect()
    }

    /// A file of its output directory, empty when there is none.
    pub fn file(&self, name: &str) -> String {
        let bytes = fs_err::read(self.directory.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Marks the processes of a run.
pub(crate) fn marked(run: Run, mark: &str) -> Run {
    run.env(Processes::VARIABLE, mark)
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
