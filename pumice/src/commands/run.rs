//! `pumice run JOB`

use crate::{
    cli::RunArguments,
    display::{Display, Job},
    exit::{Exit, Stop},
    input::{self, Planned},
    lock::{self, Holder, NotTaken},
    message,
    signals::Signals,
};
use dispatcher::{
    download::{CacheOptions, Downloader, DownloaderOptions},
    journal::{JOURNAL_FILE, Journal, JournalError, Summary, unix_micros},
    run::{self, JobFacts, JobLog, Services, Tftp},
};
use job::{Fault, JobId, id::DeviceName};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;
use wire::journal::{FORMAT, Header, Record};

/// What is kept of downloads between jobs; the least recently used goes first.
const CACHE_BYTES: u64 = 10 << 30;

pub(crate) fn main(arguments: &RunArguments) -> Result<Exit, Stop> {
    let planned = input::plan(&arguments.job, &arguments.device)?;
    if let Some(problems) = &planned.problems {
        return Err(Stop::bad_definition(problems.clone()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_job(arguments, &planned))
}

async fn run_job(arguments: &RunArguments, planned: &Planned) -> Result<Exit, Stop> {
    // Before anything exists that a signal would leave behind.
    let signals = Signals::install();
    let services = services(arguments)?;
    let output = output_directory(arguments)?;
    let header = header(arguments, planned);
    let _lock = hold(arguments, planned, &output)?;
    let mut journal =
        Journal::create(&output, header.clone()).map_err(|error| not_begun(&error))?;
    let secrets = secrets(planned);
    let job = Job {
        plan: &planned.plan,
        header: &header,
        secrets: &secrets,
    };
    let (display, observer) = Display::start(arguments.format, &job);
    let display = Arc::new(display);
    journal.observe(observer);
    let log = JobLog::new(journal);
    log.record(Record::Secrets(secrets));
    log.record(Record::Description(plan::description(&planned.plan)));
    let cancel = CancellationToken::new();
    let signals = tokio::spawn(signals.cancel(cancel.clone(), Arc::clone(&display)));
    let downloader = Downloader::new(DownloaderOptions {
        cache: cache_directory(arguments).map(|directory| CacheOptions {
            directory,
            max_bytes: CACHE_BYTES,
        }),
        ..DownloaderOptions::default()
    });
    let facts = facts(arguments, planned, &output, services);
    let outcome = run::run(&planned.plan, facts, log.clone(), downloader, &cancel).await;
    signals.abort();
    let summary = log.finish().map_err(|fault| stop_of(&fault))?;
    let exit = match outcome.failure {
        Some(failure) => failure.fault.class.into(),
        None if arguments.fail_on_test && has_failed_tests(&summary) => Exit::TestFailed,
        None => Exit::Complete,
    };
    display.finish(&summary, &output, exit);
    Ok(exit)
}

/// Keeps others from the board while the job runs. A device type without a device file is no
/// board: any number of jobs may have one.
fn hold(
    arguments: &RunArguments,
    planned: &Planned,
    output: &Path,
) -> Result<Option<lock::Lock>, Stop> {
    let board = &planned.device.hostname;
    if arguments.device.device.is_none() || board.is_empty() {
        return Ok(None);
    }
    let holder = Holder {
        job: Some(arguments.device.job_id.clone()),
        journal: Some(output.join(JOURNAL_FILE)),
        ..Holder::this("pumice run")
    };
    match lock::take(board, &holder) {
        Ok(lock) => Ok(Some(lock)),
        Err(NotTaken::Held(holder)) => Err(Stop::new(
            Exit::Held,
            lock::describe(board, holder.as_ref()),
        )),
        Err(NotTaken::Failed(error)) => {
            let text = format!("others do not see that the board is in use: {error}");
            message::warning(&text);
            Ok(None)
        }
    }
}

fn output_directory(arguments: &RunArguments) -> Result<PathBuf, Stop> {
    let path = arguments
        .output_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("pumice-{}", arguments.device.job_id)));
    fs_err::create_dir_all(&path)?;
    Ok(fs_err::canonicalize(&path)?)
}

/// `~/.cache/pumice`, or where XDG puts it.
fn cache_directory(arguments: &RunArguments) -> Option<PathBuf> {
    arguments.cache_dir.clone().or_else(|| {
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
        base.map(|base| base.join("pumice"))
    })
}

fn header(arguments: &RunArguments, planned: &Planned) -> Header {
    Header {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        job_id: JobId::new(arguments.device.job_id.clone()),
        job_name: planned.definition.job_name.clone(),
        device: planned.device.hostname.clone(),
        device_type: planned.device.device_type.clone(),
        started_unix_micros: unix_micros(),
    }
}

fn facts(
    arguments: &RunArguments,
    planned: &Planned,
    output: &Path,
    services: Services,
) -> JobFacts {
    let id = arguments.device.job_id.clone();
    let mut environment = planned.definition.secrets.clone();
    environment.push(("LAVA_JOB_ID".to_owned(), id.clone()));
    JobFacts {
        id: JobId::new(id),
        name: planned.definition.job_name.clone(),
        device: DeviceName::new(planned.device.hostname.clone()),
        device_type: planned.device.device_type.clone(),
        command_environment: environment,
        work_dir: output.join("tmp"),
        services,
    }
}

/// As the command line says; else the address that boards reach us by, where it is one of ours.
fn services(arguments: &RunArguments) -> Result<Services, Stop> {
    let address = arguments.device.dispatcher_ip.parse();
    let default = address.map_or_else(|_| Services::default(), Services::at);
    if let Some(Tftp::Directory(directory)) = &arguments.tftp
        && !directory.is_dir()
    {
        let shown = directory.display();
        return Err(Stop::bad_command_line(format!(
            "--tftp: {shown} is no directory that a TFTP server could serve"
        )));
    }
    Ok(Services {
        tftp: arguments.tftp.clone().unwrap_or(default.tftp),
        http: arguments.http.unwrap_or(default.http),
        nbd: arguments.nbd.unwrap_or(default.nbd),
    })
}

fn secrets(planned: &Planned) -> Vec<String> {
    planned
        .definition
        .secrets
        .iter()
        .map(|(_, value)| value.clone())
        .collect()
}

fn has_failed_tests(summary: &Summary) -> bool {
    summary
        .suites
        .iter()
        .any(|suite| suite.name != "lava" && suite.totals.fail > 0)
}

fn stop_of(fault: &Fault) -> Stop {
    let hint = fault
        .hint
        .as_ref()
        .map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default();
    Stop::new(fault.class.into(), format!("{}{hint}", fault.message))
}

/// Nothing was done yet: a directory that is in use is a mistake of the command line.
fn not_begun(error: &JournalError) -> Stop {
    let stop = stop_of(&error.to_fault());
    if error.is_used() {
        Stop::bad_command_line(format!("{} (--output-dir, --job-id)", stop.text))
    } else {
        stop
    }
}
