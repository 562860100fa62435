//! What to start, and how it ended.

use super::{
    CommandLine, ProcessIdentity, Running,
    drive::{Pipe, drive},
    find_program,
    lines::LineSplitter,
};
use crate::{
    error::{ErrorKind, HalError, kind_of, reason},
    sys::{self, Session},
};
use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// Longer lines are passed on in pieces of this many bytes.
const LINE_LIMIT: usize = 64 * 1024;

/// Output of [`Command::run`] beyond this is read and thrown away, and of [`Command::output`] is
/// an error.
const OUTPUT_LIMIT: u64 = 64 << 20;

/// How long a command whose deadline passed has to react to SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// What happens to the processes a command leaves behind in its group when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// They are killed.
    Kill,
    /// They run on. For commands of the administrator whose purpose is to start a daemon.
    /// If the command itself is killed, so are they.
    Leave,
}

/// A command with its environment and limits. See the [module](super) for what holds for all.
#[derive(Clone)]
pub struct Command {
    line: CommandLine,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    leftovers: Leftovers,
    grace: Duration,
    output_limit: u64,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// How long it ran.
    pub duration: Duration,
    /// How many bytes of output were thrown away because of the limit.
    pub discarded: u64,
}

/// What a command printed.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Command {
    /// A command with the environment of this process, killed with its leftovers.
    pub fn new(line: CommandLine) -> Self {
        Self {
            line,
            environment: Vec::new(),
            directory: None,
            leftovers: Leftovers::Kill,
            grace: GRACE,
            output_limit: OUTPUT_LIMIT,
        }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets variables of its environment.
    #[must_use]
    pub fn envs<I, N, V>(mut self, variables: I) -> Self
    where
        I: IntoIterator<Item = (N, V)>,
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.environment.extend(variables);
        self
    }

    /// Sets the directory it starts in.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Says what happens to processes it leaves behind when it ends by itself.
    #[must_use]
    pub fn leftovers(mut self, leftovers: Leftovers) -> Self {
        self.leftovers = leftovers;
        self
    }

    /// Sets how long it has between SIGTERM and SIGKILL when its deadline passed; one second if
    /// not set.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how many bytes of output are accepted; 64 MiB if not set.
    #[must_use]
    pub fn output_limit(mut self, bytes: u64) -> Self {
        self.output_limit = bytes;
        self
    }

    /// The command line.
    pub fn line(&self) -> &CommandLine {
        &self.line
    }

    /// Runs it to its end and passes on its standard output and error, merged in the order they
    /// were written, line by line: without `\n` and one `\r` before it, at most 64 KiB each. Its
    /// standard input is empty. A status other than zero is not an error here: see
    /// [`Exit::success`] and [`Self::failure`].
    ///
    /// Cancel-safe in that dropping the future kills the group.
    ///
    /// # Errors
    /// When it cannot be started, and `Timeout` when it did not end by `deadline`: it is then
    /// asked to end, killed after the grace, and the error comes once it is gone.
    pub async fn run(
        &self,
        deadline: Instant,
        on_line: impl FnMut(&[u8]),
    ) -> Result<Exit, HalError> {
        self.run_noting(deadline, |_| (), on_line).await
    }

    /// As [`Self::run`], and tells who it is as soon as it runs: to journal its undo, since what
    /// it starts itself outlives a runner that is killed.
    ///
    /// # Errors
    /// As `run`.
    pub async fn run_noting(
        &self,
        deadline: Instant,
        on_start: impl FnOnce(ProcessIdentity),
        mut on_line: impl FnMut(&[u8]),
    ) -> Result<Exit, HalError> {
        let (reader, writer) = io::pipe().map_err(|error| self.cannot_start(error))?;
        let stderr = writer
            .try_clone()
            .map_err(|error| self.cannot_start(error))?;
        let pipe = Pipe::new(reader.into()).map_err(|error| self.cannot_start(error))?;
        let started = Instant::now();
        let running = self.start(
            [Stdio::null(), writer.into(), stderr.into()],
            Session::Detached,
        )?;
        if let Some(identity) = running.identity() {
            on_start(identity);
        }
        let mut lines = LineSplitter::new(LINE_LIMIT);
        let (mut room, mut discarded) = (self.output_limit, 0);
        let take = |_: usize, bytes: &[u8]| {
            let kept = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            room -= kept as u64;
            discarded += (bytes.len() - kept) as u64;
            lines.push(&bytes[..kept], &mut on_line);
            Ok(())
        };
        let ended = drive(running, [Some(pipe), None], self.grace, deadline, take).await?;
        lines.finish(&mut on_line);
        let duration = started.elapsed();
        match ended {
            Some(status) => Ok(Exit {
                status,
                duration,
                discarded,
            }),
            None => Err(self.timed_out(started, deadline)),
        }
    }

    /// Runs it to its end and collects what it prints. Otherwise as [`Self::run`].
    ///
    /// # Errors
    /// As `run`; and `Exhausted` when standard output and error together exceed the limit.
    pub async fn output(&self, deadline: Instant) -> Result<Output, HalError> {
        let (out_reader, out_writer) = io::pipe().map_err(|error| self.cannot_start(error))?;
        let (err_reader, err_writer) = io::pipe().map_err(|error| self.cannot_start(error))?;
        let out = Pipe::new(out_reader.into()).map_err(|error| self.cannot_start(error))?;
        let err = Pipe::new(err_reader.into()).map_err(|error| self.cannot_start(error))?;
        let started = Instant::now();
        let running = self.start(
            [Stdio::null(), out_writer.into(), err_writer.into()],
            Session::Detached,
        )?;
        let mut printed = [Vec::new(), Vec::new()];
        let take = |stream: usize, bytes: &[u8]| {
            let total = printed[0].len() + printed[1].len() + bytes.len();
            if total as u64 > self.output_limit {
                return Err(self.too_much());
            }
            printed[stream].extend_from_slice(bytes);
            Ok(())
        };
        let pipes = [Some(out), Some(err)];
        let Some(status) = drive(running, pipes, self.grace, deadline, take).await? else {
            return Err(self.timed_out(started, deadline));
        };
        let [stdout, stderr] = printed;
        let exit = Exit {
            status,
            duration: started.elapsed(),
            discarded: 0,
        };
        Ok(Output {
            exit,
            stdout,
            stderr,
        })
    }

    /// Starts it without waiting for anything. Its standard input is empty, its output goes to
    /// `output`, or nowhere.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, output: Option<std::fs::File>) -> Result<Running, HalError> {
        let (stdout, stderr) = match output {
            None => (Stdio::null(), Stdio::null()),
            Some(file) => {
                let copy = file.try_clone().map_err(|error| self.cannot_start(error))?;
                (file.into(), copy.into())
            }
        };
        self.start([Stdio::null(), stdout, stderr], Session::Detached)
    }

    /// The error that says how this command failed: name, status and hint.
    pub fn failure(&self, exit: &Exit) -> HalError {
        let message = format!("command '{}' ended with {}", self.line, exit.describe());
        HalError::new(ErrorKind::CommandFailed, self.line.to_string(), message)
            .with_hint("its output is in the log; run it by hand as the same user")
    }

    /// Starts it with the given standard streams.
    pub(crate) fn start(
        &self,
        [stdin, stdout, stderr]: [Stdio; 3],
        session: Session,
    ) -> Result<Running, HalError> {
        let path = self
            .environment
            .iter()
            .rev()
            .find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.as_os_str());
        let file = find_program(self.line.program(), self.directory.as_deref(), path)?;
        if let Some(directory) = &self.directory {
            require_directory(directory)?;
        }
        let mut command = self.prepare(file.as_os_str());
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        sys::isolate(&mut command, session);
        let child = command.spawn().map_err(|error| self.cannot_start(error))?;
        Running::adopt(child, self.leftovers, self.line.to_string())
    }

    fn prepare(&self, file: &OsStr) -> std::process::Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one way to start a process"
        )]
        let mut command = std::process::Command::new(file);
        command
            .arg0(self.line.program())
            .args(self.line.arguments());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    pub(crate) fn cannot_start(&self, error: io::Error) -> HalError {
        use rustix::io::Errno;
        let message = format!("cannot start command '{}': {}", self.line, reason(&error));
        let hint = match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => {
                "the file is there; is the interpreter that its first line names there, too?"
            }
            Some(Errno::AGAIN) => "too many processes: see ulimit -u and the limits of the service",
            Some(Errno::MFILE | Errno::NFILE) => "too many open files: see ulimit -n",
            Some(Errno::TOOBIG) => "the arguments and the environment are too long",
            _ => "run it by hand as the same user",
        };
        HalError::new(kind_of(&error), self.line.to_string(), message)
            .with_hint(hint)
            .with_source(error)
    }

    fn timed_out(&self, started: Instant, deadline: Instant) -> HalError {
        let allowed = deadline.saturating_duration_since(started);
        let message = format!("command '{}' did not end within {allowed:.1?}", self.line);
        HalError::new(ErrorKind::Timeout, self.line.to_string(), message)
    }

    fn too_much(&self) -> HalError {
        let limit = self.output_limit;
        let message = format!("command '{}' printed more than {limit} bytes", self.line);
        HalError::new(ErrorKind::Exhausted, self.line.to_string(), message)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets: its names only.
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Command")
            .field("line", &self.line)
            .field("environment", &names)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Exit {
    /// Whether it ended with status zero.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The status as Python and LAVA give it: 0 to 255, or minus the signal that killed it.
    pub fn returncode(&self) -> i32 {
        let killed_by = self.status.signal().map(std::ops::Neg::neg);
        self.status.code().or(killed_by).unwrap_or_default()
    }

    /// For people: "exit status 1" or "signal 9".
    pub fn describe(&self) -> String {
        describe_status(self.status)
    }
}

/// For people: "exit status 1" or "signal 9".
pub(crate) fn describe_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A missing directory would otherwise be reported as a missing program.
fn require_directory(directory: &Path) -> Result<(), HalError> {
    if directory.is_dir() {
        return Ok(());
    }
    let shown = directory.display().to_string();
    let message = format!("cannot start a command in {shown}: it is not a directory");
    Err(HalError::new(ErrorKind::NotFound, shown, message))
}
