//! What LAVA's worker does for a job: fetch it, run it, send its log and its result.

use crate::server::{Server, WORKER, command, pause, wait_until};
use integration::pumice;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Child,
};

/// LAVA sends at most so many records at once.
const RECORDS: usize = 1000;

/// A worker of the server.
pub(crate) struct Worker<'a> {
    server: &'a Server,
    token: String,
}

/// A job that the server gave to the worker.
pub(crate) struct Assigned {
    pub(crate) id: u64,
    token: String,
}

/// A job that was run and reported.
pub(crate) struct Report {
    pub(crate) id: u64,
    /// The exit code of `pumice run`.
    pub(crate) code: i32,
    /// Its output directory.
    pub(crate) directory: PathBuf,
    /// The lines that were sent, each without its end.
    pub(crate) lines: Vec<String>,
    /// Requests it took to send them.
    pub(crate) requests: usize,
    /// Lines that were sent twice.
    pub(crate) repeated: usize,
}

/// What is done with a job while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Nothing.
    Wait,
    /// A user cancels it once this is in its log.
    Cancel(&'static str),
}

impl<'a> Worker<'a> {
    /// Registers a new worker and brings it online.
    pub(crate) fn register(server: &'a Server) -> Self {
        let reply = server.worker_post("workers/", "", &[("name", WORKER)]);
        let reply: Value = serde_json::from_str(&reply.ok("registration")).unwrap();
        let token = reply["token"].as_str().unwrap().to_owned();
        let worker = Self { server, token };
        worker.poll();
        worker
    }

    /// Asks for work: lists of jobs to start, to cancel and that should run.
    fn poll(&self) -> Value {
        let path = format!("workers/{WORKER}/?version=2023.01");
        self.server.worker_get(&path, &self.token)
    }

    /// Waits until a job is in one of the lists.
    fn wait_for(&self, list: &str, id: u64) -> Assigned {
        let token = wait_until(&format!("job {id} in '{list}'"), || {
            let lists = self.poll();
            let job = lists[list].as_array()?.iter().find(|job| job["id"] == id)?;
            Some(job["token"].as_str()?.to_owned())
        });
        Assigned { id, token }
    }

    /// Submits a job as a user and runs it as the worker.
    pub(crate) fn run(&self, job: &Path, meanwhile: Meanwhile) -> Report {
        // The scheduler passes by workers that were not heard of lately.
        self.poll();
        let file = job.display().to_string();
        let id = self.server.lavacli(&["jobs", "submit", &file]);
        let job = self.wait_for("start", id.trim().parse().unwrap());
        let directory = self.fetch(&job);
        self.post(&job, &[("state", "RUNNING")]);
        let mut process = start(&job, &directory);
        let output = directory.join("output");
        let mut upload = Upload::new(self.server, &job, &output);
        let mut meanwhile = meanwhile;
        let status = loop {
            // Asked first: what comes after is then all there is.
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            upload.send();
            if let Meanwhile::Cancel(text) = meanwhile
                && upload.lines.iter().any(|line| line.contains(text))
            {
                self.cancel(&job, &process);
                meanwhile = Meanwhile::Wait;
            }
            pause();
        };
        upload.send_last();
        self.finish(&job, &directory);
        Report {
            id: job.id,
            code: status.code().unwrap_or(-1),
            directory: output,
            lines: upload.lines,
            requests: upload.requests,
            repeated: upload.repeated,
        }
    }

    /// Gets definition, device and environment, as files.
    fn fetch(&self, job: &Assigned) -> PathBuf {
        let reply = self
            .server
            .worker_get(&format!("jobs/{}/", job.id), &job.token);
        let directory = self.server.directory().join(format!("job-{}", job.id));
        fs_err::create_dir_all(&directory).unwrap();
        for name in ["definition", "device", "dispatcher", "env", "env-dut"] {
            let text = reply[name].as_str().expect("all five are texts");
            fs_err::write(directory.join(format!("{name}.yaml")), text).unwrap();
        }
        directory
    }

    /// A user cancels the job, the server tells the worker, the worker tells the runner.
    fn cancel(&self, job: &Assigned, process: &Child) {
        self.server
            .lavacli(&["jobs", "cancel", &job.id.to_string()]);
        self.wait_for("cancel", job.id);
        let kill = command(Path::new("/bin/kill"))
            .args(["-TERM", &process.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Tells the result, as LAVA's worker takes it from the files of the runner.
    fn finish(&self, job: &Assigned, directory: &Path) {
        let output = directory.join("output");
        let read = |path: PathBuf| fs_err::read_to_string(path).unwrap();
        let result = yaml::load(&read(output.join("result.yaml")), &yaml::Limits::default());
        let result = result.expect("result.yaml is YAML");
        let text = |key| result.get(key).and_then(yaml::Node::as_str).unwrap_or("");
        let description = read(output.join("description.yaml"));
        let errors = read(directory.join("stderr"));
        let form = [
            ("state", "FINISHED"),
            ("result", text("result")),
            ("error_type", text("error_type")),
            ("errors", &errors),
            ("description", &description),
        ];
        self.post(job, &form);
    }

    fn post(&self, job: &Assigned, form: &[(&str, &str)]) {
        let path = format!("jobs/{}/", job.id);
        let reply = self.server.worker_post(&path, &job.token, form);
        assert_eq!(reply.ok(&path), "{}");
    }
}

/// Starts the runner on the files that the server gave.
fn start(job: &Assigned, directory: &Path) -> Child {
    let log = |name| fs_err::File::create(directory.join(name)).unwrap();
    let mut run = command(&pumice());
    run.arg("run").arg(directory.join("definition.yaml"));
    run.arg("--device").arg(directory.join("device.yaml"));
    run.args(["--job-id", &job.id.to_string()]);
    if fs_err::metadata(directory.join("env-dut.yaml")).is_ok_and(|file| file.len() > 0) {
        run.arg("--env-dut").arg(directory.join("env-dut.yaml"));
    }
    run.arg("--output-dir").arg(directory.join("output"));
    run.arg("--cache-dir").arg(directory.join("cache"));
    run.args(["--format", "plain"]);
    run.env("PUMICE_LOCK_DIR", directory.join("locks"));
    run.stdout(log("stdout").into_parts().0);
    run.stderr(log("stderr").into_parts().0);
    run.spawn().expect("pumice can be started")
}

/// Sends a log while it grows, as LAVA's runner does.
struct Upload<'a> {
    server: &'a Server,
    path: String,
    token: &'a str,
    log: PathBuf,
    /// How much of the log was read, in bytes.
    offset: usize,
    /// What was read of it.
    lines: Vec<String>,
    /// How many lines the server has said it has.
    index: usize,
    requests: usize,
    repeated: usize,
}

impl<'a> Upload<'a> {
    fn new(server: &'a Server, job: &'a Assigned, output: &Path) -> Self {
        Self {
            server,
            path: format!("jobs/{}/logs/", job.id),
            token: &job.token,
            log: output.join("logs.yaml"),
            offset: 0,
            lines: Vec::new(),
            index: 0,
            requests: 0,
            repeated: 0,
        }
    }

    /// Takes the lines that are whole.
    fn read(&mut self) {
        let Ok(text) = fs_err::read(&self.log) else {
            return;
        };
        let new = &text[self.offset..];
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let new = std::str::from_utf8(&new[..end]).expect("the log is UTF-8");
        self.lines.extend(new.split('\n').map(str::to_owned));
        self.offset += end + 1;
    }

    /// Sends what is new.
    fn send(&mut self) {
        self.read();
        self.send_to(self.lines.len());
    }

    /// Sends the lines before `end` that the server does not have.
    fn send_to(&mut self, end: usize) {
        while self.index < end {
            let last = end.min(self.index + RECORDS);
            self.index += self.post(last);
            assert_eq!(self.index, last, "the server takes all lines of a request");
        }
    }

    /// Sends what is left. One reply is treated as lost: its lines come again with the next ones.
    fn send_last(&mut self) {
        self.read();
        let is_result = |line: &String| line.contains("\"lvl\": \"results\"");
        let last = self.lines.len() - 1;
        assert!(is_result(&self.lines[last]), "the result is the last line");
        // This server does not know results again that it has; later ones do.
        let before = self.lines[..last].iter().rposition(is_result).unwrap();
        self.send_to(before + 1);
        if self.index < last {
            self.repeated = self.post(last);
        }
        self.send_to(last + 1);
        let length = fs_err::metadata(&self.log).unwrap().len();
        assert_eq!(self.offset as u64, length, "the log ends with a whole line");
    }

    fn post(&mut self, end: usize) -> usize {
        let lines = self.lines[self.index..end].join("\n");
        let index = self.index.to_string();
        let form = [("lines", lines.as_str()), ("index", &index)];
        let reply = self.server.worker_post(&self.path, self.token, &form);
        self.requests += 1;
        let reply: Value = serde_json::from_str(&reply.ok(&self.path)).unwrap();
        usize::try_from(reply["line_count"].as_u64().unwrap()).unwrap()
    }
}
