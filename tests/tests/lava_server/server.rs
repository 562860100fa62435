//! Debian's lava-server, started for this test alone.

use crate::http::{self, Reply};
use integration::{pumice, root, skipped};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

/// The superuser's API token.
const TOKEN: &str = "interoperation";

/// The name this test registers as a worker.
pub(crate) const WORKER: &str = "pumice";

/// How long the server may take to notice something. Its scheduler looks every 20 seconds when it
/// missed an event.
const PATIENCE: Duration = Duration::from_secs(45);

/// A running server. It ends when this is dropped, and when the test dies.
pub(crate) struct Server {
    process: Child,
    input: Option<ChildStdin>,
    port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts it, or says why it cannot be.
    pub(crate) fn start() -> Option<Self> {
        let is_root = fs_err::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let programs = ["/usr/bin/lava-server", "/usr/bin/lavacli"];
        if !is_root || !programs.iter().all(|program| Path::new(program).is_file()) {
            skipped("needs root and Debian's lava-server and lavacli; see docs/interop.md");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        lay_out_devices(directory.path());
        let mut process = command(&root().join("tests/interop/lava-server"))
            .arg(directory.path())
            .arg(TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's script can be started");
        let input = process.stdin.take();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ");
        let port = port.expect("the server starts").parse().unwrap();
        Some(Self {
            process,
            input,
            port,
            directory,
        })
    }

    /// Makes the worker's devices known, each of a type named like it.
    pub(crate) fn add_devices(&self, types: &[&str]) {
        for name in types {
            let device = format!("{name}01");
            self.lavacli(&["device-types", "add", name]);
            let arguments = ["devices", "add", &device, "--type", name];
            self.lavacli(&[&arguments[..], &["--worker", WORKER]].concat());
            self.lavacli(&["devices", "update", &device, "--health", "GOOD"]);
        }
    }

    /// What LAVA's own client says.
    pub(crate) fn lavacli(&self, arguments: &[&str]) -> String {
        let uri = format!("http://admin:{TOKEN}@127.0.0.1:{}/RPC2", self.port);
        let output = command(Path::new("/usr/bin/lavacli"))
            // Debian's python3, whatever else is installed.
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .args(["--uri", &uri])
            .args(arguments)
            .output()
            .expect("lavacli can be started");
        let [text, errors] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(
            output.status.success(),
            "lavacli {arguments:?}: {text}{errors}"
        );
        text
    }

    /// A page that must be there.
    pub(crate) fn get(&self, path: &str) -> String {
        http::get(self.port, path, &format!("Authorization: Token {TOKEN}")).ok(path)
    }

    /// All of a list of the REST API, or an object of it.
    pub(crate) fn rest(&self, path: &str) -> Value {
        let text = self.get(&format!("/api/v0.2/{path}?limit=100000&ordering=id"));
        let value: Value = serde_json::from_str(&text).expect("the REST API speaks JSON");
        value.get("results").cloned().unwrap_or(value)
    }

    /// A request of a worker: `path` below the worker API, with the token of the worker or a job.
    pub(crate) fn worker_get(&self, path: &str, token: &str) -> Value {
        let path = format!("/scheduler/internal/v1/{path}");
        let reply = http::get(self.port, &path, &format!("LAVA-Token: {token}"));
        serde_json::from_str(&reply.ok(&path)).expect("the worker API speaks JSON")
    }

    /// As [`Self::worker_get`], with a form.
    pub(crate) fn worker_post(&self, path: &str, token: &str, form: &[(&str, &str)]) -> Reply {
        let path = format!("/scheduler/internal/v1/{path}");
        http::post(self.port, &path, &format!("LAVA-Token: {token}"), form)
    }

    /// A directory for files that live as long as the server.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
        if std::thread::panicking() && std::env::var_os("PUMICE_INTEROP_KEEP").is_some() {
            self.directory.disable_cleanup(true);
            eprintln!("kept: {}", self.directory.path().display());
        }
    }
}

/// Puts `tests/interop/devices` and `device-types` where the server looks for them.
fn lay_out_devices(directory: &Path) {
    let source = root().join("tests/interop");
    let rack = pumice().with_file_name("rack");
    assert!(rack.is_file(), "rack is not built: cargo build -p rack");
    for folder in ["devices", "device-types"] {
        fs_err::create_dir_all(directory.join(folder)).unwrap();
        for file in fs_err::read_dir(source.join(folder)).unwrap() {
            let file = file.unwrap();
            let text = fs_err::read_to_string(file.path())
                .unwrap()
                .replace("{rack}", &rack.display().to_string())
                .replace("{interop}", &source.display().to_string())
                .replace(
                    "{boards}",
                    &root().join("hil/rack/boards").display().to_string(),
                );
            fs_err::write(directory.join(folder).join(file.file_name()), text).unwrap();
        }
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        pause();
    }
}

/// Lets another process get on.
#[expect(
    clippy::disallowed_methods,
    reason = "the server and the file of a log tell nobody when they have something new"
)]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// A program to start.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start programs as a user would"
)]
pub(crate) fn command(program: &Path) -> Command {
    Command::new(program)
}
