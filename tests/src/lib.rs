//! What the end-to-end tests share.
#![forbid(unsafe_code)]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Reference data that the project does not carry: `$PUMICE_SHARED`, else `shared` beside the
/// checkout. Says loudly when it is not there, so that a skipped case is seen.
pub fn reference_data() -> Option<PathBuf> {
    let path =
        std::env::var_os("PUMICE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    skipped("the reference data is not here (PUMICE_SHARED)");
    None
}

/// The demo's kernel and ramdisk, as `demo/image` makes them: `$PUMICE_DEMO_IMAGES`.
pub fn demo_images() -> Option<PathBuf> {
    let path = std::env::var_os("PUMICE_DEMO_IMAGES")
        .map_or_else(|| root().join(".cache/demo"), PathBuf::from);
    if path.join("vmlinuz").is_file() && path.join("ramdisk.cpio.gz").is_file() {
        return Some(path);
    }
    skipped("the demo's images are not here; run demo/image .cache/demo");
    None
}

/// Says that a test did not run.
#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
pub fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// A run of `pumice run`, with the program of this workspace.
pub struct Run {
    command: Command,
    directory: PathBuf,
}

/// How a run ended.
pub struct Finished {
    /// Its exit code; negative for a signal.
    pub code: i32,
    /// What it printed, both streams.
    pub output: String,
    /// Its output directory.
    pub directory: PathBuf,
}

impl Run {
    /// Runs a job; its output goes below `directory`.
    pub fn new(job: &Path, directory: &Path) -> Self {
        let directory = directory.join("output");
        let mut command = command(&pumice());
        command
            .arg("run")
            .arg(job)
            .arg("--output-dir")
            .arg(&directory);
        command
            .arg("--cache-dir")
            .arg(directory.with_extension("cache"));
        command.args(["--format", "plain"]);
        Self { command, directory }
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

    /// Waits for its end. The test runner's own time limit bounds the wait.
    pub fn finish(mut self) -> Finished {
        let output = self.command.output().expect("pumice can be started");
        let text = [output.stdout, output.stderr].concat();
        Finished {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&text).into_owned(),
            directory: self.directory,
        }
    }
}

/// The `pumice` of this build: cargo puts it beside the tests' folder.
pub fn pumice() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("tests are in target/*/deps");
    let program = folder.join("pumice");
    assert!(
        program.is_file(),
        "{} is not built: cargo build -p pumice",
        program.display()
    );
    program
}

/// The output of a shell script whose `$1` is a path; `None` when it fails.
pub fn shell(script: &str, path: &Path) -> Option<Vec<u8>> {
    let output = command(Path::new("sh"))
        .args(["-c", script, "sh"])
        .arg(path)
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start programs as a user would"
)]
fn command(program: &Path) -> Command {
    Command::new(program)
}
