//! What `pumice run` prints: observers of the journal, and the report at the end.
//!
//! `run` tells what happened; nothing here knows how a job works, and nothing here can fail it: an
//! output that is slow, stops or goes away costs what is printed, never the job.

mod console;
mod json;
mod lava;
mod live;
mod mask;
mod outlet;
mod plain;
mod printer;
mod report;
mod style;
mod text;

use crate::{
    cli::Format,
    exit::Exit,
    message::{self, has_colour},
};
use dispatcher::journal::{Observer, Summary};
use live::Live;
use plan::Plan;
use printer::Printer;
use report::{FailedCases, Report};
use std::{
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use style::{Style, Theme};
use wire::journal::{Entry, Header, Record};

/// What a display is told at the start.
pub(crate) struct Job<'a> {
    /// What will be done.
    pub(crate) plan: &'a Plan,
    /// The journal's first record, which observers do not see.
    pub(crate) header: &'a Header,
    /// What must not be shown.
    pub(crate) secrets: &'a [String],
}

/// What is printed while a job runs, and after it.
pub(crate) struct Display {
    kind: Kind,
    started: Instant,
}

enum Kind {
    Live(Live),
    Plain {
        printer: Printer,
        theme: Theme,
        failed: Arc<Mutex<FailedCases>>,
    },
    Records(Printer),
}

impl Display {
    /// Starts a format; the default depends on whether standard output is a terminal. Gives what
    /// sees the entries of the journal.
    pub(crate) fn start(format: Option<Format>, job: &Job<'_>) -> (Self, Box<dyn Observer>) {
        let format = format.unwrap_or_else(default_format);
        let theme = theme();
        let (kind, mut observer): (_, Box<dyn Observer>) = match format {
            Format::Live => {
                let live = Live::start(theme, job.plan, job.header, job.secrets);
                let observer = live.observer();
                (Kind::Live(live), Box::new(observer))
            }
            Format::Plain => {
                let printer = Printer::start();
                let failed = Arc::new(Mutex::new(FailedCases::default()));
                let observer =
                    plain::Plain::new(printer.clone(), theme, job.secrets, Arc::clone(&failed));
                let kind = Kind::Plain {
                    printer,
                    theme,
                    failed,
                };
                (kind, Box::new(observer))
            }
            Format::Lava => {
                let printer = Printer::start();
                let observer = lava::Lava::new(printer.clone());
                (Kind::Records(printer), Box::new(observer))
            }
            Format::Json => {
                let printer = Printer::start();
                let observer = json::Json::new(printer.clone(), job.secrets);
                (Kind::Records(printer), Box::new(observer))
            }
        };
        observer.entry(&Entry {
            at_micros: 0,
            record: Record::Header(job.header.clone()),
        });
        let display = Self {
            kind,
            started: Instant::now(),
        };
        (display, observer)
    }

    /// Somebody asked for the job to end, the `times`-th time.
    pub(crate) fn canceling(&self, times: u32) {
        let text = if times == 1 {
            "canceling the job: what runs is ended, then the board is switched off"
        } else {
            "still canceling: switching off and cleaning up is not interrupted, but bounded"
        };
        match &self.kind {
            Kind::Live(live) => live.canceling(text),
            Kind::Plain { printer, theme, .. } => {
                let at = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(0);
                let line = plain::line(*theme, at, "warning", Style::Warn, text);
                printer.print(line.as_bytes());
            }
            Kind::Records(_) => message::warning(text),
        }
    }

    /// The job is over: prints the report, and waits until all is written.
    pub(crate) fn finish(&self, summary: &Summary, output: &Path, exit: Exit) {
        let output = &from_here(output);
        match &self.kind {
            Kind::Live(live) => live.finish(summary, output, exit),
            Kind::Plain {
                printer,
                theme,
                failed,
            } => {
                let failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                let report = Report {
                    summary,
                    failed: &failed,
                    output,
                    exit,
                };
                let rows = report.rows(*theme, usize::MAX);
                let lines = rows
                    .iter()
                    .map(|row| row.whole(*theme).trim_end().to_owned() + "\n");
                printer.print(lines.collect::<String>().as_bytes());
                tell_left_out(printer.finish(), output);
            }
            Kind::Records(printer) => tell_left_out(printer.finish(), output),
        }
    }
}

/// When a job ends without a report, what was printed before still comes out.
impl Drop for Display {
    fn drop(&mut self) {
        if let Kind::Plain { printer, .. } | Kind::Records(printer) = &self.kind {
            printer.finish();
        }
    }
}

/// A path as short as it can be said.
fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(fs_err::canonicalize);
    let short = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    match short {
        Some(short) if short.as_os_str().is_empty() => PathBuf::from("."),
        Some(short) => short,
        None => path.to_owned(),
    }
}

/// Live where somebody looks at it.
fn default_format() -> Format {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if stdout().is_terminal() && !is_dumb {
        Format::Live
    } else {
        Format::Plain
    }
}

/// Fine characters unless the locale says that the terminal has none. Without a locale (containers)
/// the terminal most likely knows UTF-8.
fn theme() -> Theme {
    let is_terminal = stdout().is_terminal();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty());
    let is_utf8 = locale.is_none_or(|locale| {
        let locale = locale.to_string_lossy().to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    let is_console = std::env::var_os("TERM").is_some_and(|term| term == "linux");
    Theme {
        colour: has_colour(is_terminal),
        unicode: is_utf8 && !is_console,
    }
}

fn tell_left_out(pieces: u64, output: &Path) {
    if pieces > 0 {
        message::warning(&format!(
            "{pieces} entries were not printed, because nobody read them for {} s; all is in {}",
            outlet::PATIENCE.as_secs(),
            output.display()
        ));
    }
}
