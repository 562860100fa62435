//! A folder with a job and a scripted board, and `pumice run` on a terminal or on pipes.

use hal::{
    console::{ConsoleExt, PtyConsole, PtyOptions},
    process::CommandLine,
};
use regex::Regex;
use std::{
    io::{BufRead, BufReader},
    num::NonZero,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job on a board.
pub(crate) struct Lab {
    folder: TempDir,
}

/// What `pumice run` printed on pipes.
pub(crate) struct Printed {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("display-")
            .tempdir()
            .unwrap();
        let lab = Self { folder };
        let here = lab.path().to_str().unwrap();
        lab.write("board.sh", include_str!("board.sh"));
        lab.write(
            "device.yaml",
            include_str!("device.yaml").replace("{folder}", here),
        );
        lab.write("job.yaml", include_str!("job.yaml"));
        lab
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the folder: `board.sh` says what they do.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs_err::write(self.path().join(name), content).unwrap();
    }

    /// Changes a text of the job.
    pub(crate) fn edit_job(&self, from: &str, to: &str) {
        let job = fs_err::read_to_string(self.path().join("job.yaml")).unwrap();
        assert!(job.contains(from));
        self.write("job.yaml", job.replace(from, to));
    }

    /// Lets a board go on that holds.
    pub(crate) fn go_on(&self) {
        self.write("gate", "go on\n");
    }

    fn arguments(more: &[&str]) -> Vec<String> {
        let arguments = [
            "run",
            "job.yaml",
            "--device",
            "device.yaml",
            "--output-dir",
            "out",
            "--cache-dir",
            "cache",
        ];
        arguments
            .iter()
            .chain(more)
            .map(|text| (*text).to_owned())
            .collect()
    }

    /// Runs the job to its end, its output going to pipes.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test starts the program as a user would"
    )]
    pub(crate) fn run(&self, more: &[&str]) -> Printed {
        let output = Command::new(env!("CARGO_BIN_EXE_pumice"))
            .args(Self::arguments(more))
            .current_dir(self.path())
            .env("LC_ALL", "C.UTF-8")
            .env("PUMICE_LOCK_DIR", "locks")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Printed {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the job; its reader takes one line and goes away. Gives the exit code.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test starts the program as a user would"
    )]
    pub(crate) fn run_for_one_line(&self, format: &str) -> Option<i32> {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pumice"))
            .args(Self::arguments(&["--format", format]))
            .current_dir(self.path())
            .env("PUMICE_LOCK_DIR", "locks")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(program.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        drop(reader);
        program.wait().unwrap().code()
    }

    /// Runs the job on a terminal of 24 lines and 80 columns.
    pub(crate) fn on_terminal(&self, environment: &[&str], more: &[&str]) -> Terminal {
        // Whoever runs the tests may ignore signals (`nohup`, `&`), and pumice would too.
        let line = CommandLine::new("env")
            .args(["--default-signal=HUP,INT", "-u", "NO_COLOR"])
            .args([
                "TERM=xterm-256color",
                "LC_ALL=C.UTF-8",
                "PUMICE_LOCK_DIR=locks",
            ])
            .args(environment)
            .arg(env!("CARGO_BIN_EXE_pumice"))
            .args(Self::arguments(more));
        let options = PtyOptions {
            directory: Some(self.path().to_owned()),
            ..PtyOptions::default()
        };
        Terminal {
            console: PtyConsole::spawn(line, options).unwrap(),
            parser: vt100::Parser::new(cells(24), cells(80), 10_000),
            bytes: Vec::new(),
        }
    }
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// `pumice run` on a terminal.
pub(crate) struct Terminal {
    console: PtyConsole,
    parser: vt100::Parser,
    /// Everything that was written.
    pub(crate) bytes: Vec<u8>,
}

impl Terminal {
    /// What the screen shows.
    pub(crate) fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// What the screen and the scrollback show.
    pub(crate) fn history(&mut self) -> String {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        let mut lines = Vec::new();
        for offset in (1..=above).rev() {
            screen.set_scrollback(offset);
            let (_, columns) = screen.size();
            lines.extend(screen.rows(0, columns.into()).next());
        }
        screen.set_scrollback(0);
        lines.push(screen.contents());
        lines.join("\n")
    }

    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.parser.screen().cursor_position()
    }

    /// Reads until the screen is as wanted.
    pub(crate) async fn wait(&mut self, wanted: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !wanted(&self.screen()) {
            if !self.read(until).await {
                panic!("the screen never came; the last one is\n{}", self.screen());
            }
        }
    }

    /// Reads until the program ends; gives its exit code.
    pub(crate) async fn finish(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while self.read(until).await {}
        let exited = timeout_at(until, self.console.exited()).await;
        exited.expect("the program ends").unwrap().code()
    }

    /// Types.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.console.write(bytes).await.unwrap();
    }

    /// Gives the window another size.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.parser
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        self.console.resize(rows, columns).unwrap();
    }

    async fn read(&mut self, until: Instant) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout_at(until, self.console.read(&mut buffer)).await;
        let Ok(Ok(chunk)) = read else { return false };
        self.parser.process(&buffer[..chunk.length]);
        self.bytes.extend_from_slice(&buffer[..chunk.length]);
        !chunk.is_end()
    }
}

/// The text with times that always are the same. Columns stay where they are.
pub(crate) fn steady(text: &str) -> String {
    let replacements = [
        (r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠿"),
        (r"\b\d+s of (20m|10m|15m|9m 59s|14m 59s)", "0s of $1"),
        (r"/\S*/display-\w{6}", "LAB"),
        (r"after \d+\.\d+s", "after TIME"),
        (r" +\d+\.\d+s\n", "  TIME\n"),
        (r"(?m)^ +\d+\.\d{3}  ", "  TIME  "),
    ];
    let mut text = format!("{text}\n");
    for (pattern, replacement) in replacements {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, replacement)
            .into_owned();
    }
    text
}
