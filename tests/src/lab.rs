//! A lab that exists for one test: its files, its boards, its device, and what is left of it.

use crate::{Processes, Run, program::program, root, run::marked};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory with all that a job of one test may touch.
pub struct Lab {
    directory: TempDir,
    mark: String,
}

impl Lab {
    /// An empty lab.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pumice-lab-").tempdir();
        let directory = directory.expect("a test can make files");
        let mark = directory.path().display().to_string();
        for name in ["temporary", "home"] {
            fs_err::create_dir(directory.path().join(name)).expect("a test can make files");
        }
        Self { directory, mark }
    }

    /// A path in the lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a file.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let folder = path.parent().expect("files of the lab are in it");
        fs_err::create_dir_all(folder).expect("a test can make files");
        fs_err::write(&path, content).expect("a test can make files");
        path
    }

    /// The URL of a file of the lab.
    pub fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    /// The command that connects to a board that plays this script (`hil/rack/README.md`).
    pub fn board(&self, script: &str) -> String {
        let script = self.file("scripted.board", script);
        format!("{} board {}", program("rack").display(), script.display())
    }

    /// The command that connects to a board of the rack. `settings` are `NAME=VALUE`.
    pub fn board_of_the_rack(&self, name: &str, settings: &str) -> String {
        let script = root().join("hil/rack/boards").join(name);
        let rack = program("rack");
        format!("{} board {} {settings}", rack.display(), script.display())
    }

    /// A device whose console is this command. Its power commands only write down that they ran.
    pub fn device(&self, connect: &str) -> Value {
        json!({
            "hostname": "board",
            "devicetype": "board",
            "constants": {
                "posix": {
                    "lava_test_sh_cmd": "/bin/sh",
                    "lava_test_results_dir": "/lava-%s",
                    "lava_test_shell_file": "~/.bashrc",
                },
                "shutdown-message": "The system is going down for reboot NOW",
                "kernel-start-message": "Linux version [0-9]",
                "default-shell-prompt": "lava-test: # ",
                "spawn_maxread": "4092",
                "failure_retry": 1,
                "boot_retry": null,
            },
            "commands": {
                "connect": connect,
                "hard_reset": self.note("power", "on"),
                "power_off": self.note("power", "off"),
            },
            "parameters": {},
            "actions": {
                "deploy": {
                    "connections": {"serial": null},
                    "methods": {"overlay": null, "image": null, "tftp": null, "fastboot": null},
                },
                "boot": {"connections": {"serial": null}, "methods": {"minimal": null}},
            },
            "timeouts": {"actions": {}, "connections": {}},
        })
    }

    /// The command that appends a word to a file of the lab.
    pub fn note(&self, file: &str, word: &str) -> String {
        format!("sh -c \"echo {word} >>{}\"", self.path(file).display())
    }

    /// What [`Self::note`] wrote, a word a line.
    pub fn noted(&self, file: &str) -> Vec<String> {
        let text = fs_err::read_to_string(self.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A run of a job on a device.
    pub fn run(&self, job: &str, device: &Value) -> Run {
        let job = self.file("job.yaml", job);
        // Every JSON document is YAML.
        let device = self.file("device.yaml", device.to_string());
        self.run_files(&job, &device)
    }

    /// A run of a job on a device that are files already, good or bad.
    pub fn run_files(&self, job: &Path, device: &Path) -> Run {
        self.own(Run::new(job, self.directory.path()))
            .arg("--device")
            .arg(device)
    }

    /// A subcommand about a directory of the lab.
    pub fn command(&self, subcommand: &str, directory: &Path) -> Run {
        self.own(Run::bare(subcommand, directory)).arg(directory)
    }

    /// Keeps what a program leaves within the lab, and marks its processes.
    pub fn own(&self, run: Run) -> Run {
        marked(run, &self.mark)
            .env("TMPDIR", self.path("temporary"))
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            // Labs of other tests have boards of the same name.
            .env("PUMICE_LOCK_DIR", self.path("locks"))
    }

    /// The processes of the lab.
    pub fn processes(&self) -> Processes {
        Processes::marked(&self.mark)
    }

    /// What a job must not leave: processes, temporary files, a powered board. One line each.
    pub fn leftovers(&self, output: &Path) -> Vec<String> {
        let mut left: Vec<String> = self.processes().left();
        for line in &mut left {
            line.insert_str(0, "a process is left: ");
        }
        if output.join("tmp").exists() {
            left.push("the job's directory tmp is left".to_owned());
        }
        for folder in ["temporary", "home"] {
            left.extend(files_below(&self.path(folder)).map(|file| format!("{file} is left")));
        }
        if self.noted("power").last().is_some_and(|last| last != "off") {
            left.push("the board is still powered".to_owned());
        }
        left
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.processes().kill();
    }
}

fn files_below(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs_err::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.push(entry.path().display().to_string()),
            }
        }
    }
    found.into_iter()
}
