//! Runs a plan: preflight, the tree of actions, and the end that always comes.
//!
//! The command line (and later the worker) calls [`run`]. Everything that happens goes through
//! [`JobLog`] into the journal; state between actions is in [`Context`]; consoles are read in
//! [`consoles`] and nowhere else.
//!
//! One thread: futures here are not `Send`, and processes are started from the thread that owns
//! them.

pub mod boot_files;
pub mod consoles;
pub mod context;
mod executor;
pub mod fault;
pub mod fetches;
mod joblog;
mod patterns;
mod preflight;
mod undo;

pub use boot_files::{Services, Tftp};
pub use context::{Context, JobFacts, NamespaceState, PowerOff};
pub use executor::{Executor, Extra, Failure, is_lab_fault};
pub use joblog::JobLog;
pub use undo::{Recovered, Undos, recover};

use crate::download::Downloader;
use fetches::Fetches;
use job::{CaseResult, Fault, TestResult};
use plan::{Action, Plan, Step};
use std::{rc::Rc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use wire::journal::{Record, Undo};

/// LAVA 2026.07 gives cleaning up this long; `finalize` may ask for less.
const CLEAN_UP: Duration = Duration::from_secs(300);

/// How long work on files may take to notice that nobody wants it any more.
const STOPPING: Duration = Duration::from_secs(10);

/// How a job ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What ended it early, and where.
    pub failure: Option<Failure>,
}

/// Runs a job to its end, whatever happens.
///
/// Canceling `cancel` ends the running action with a fault; power-off and clean-up still run.
/// Not cancel-safe: dropping the future ends all processes, but leaves the clean-up to
/// [`recover`].
pub async fn run(
    plan: &Plan,
    facts: JobFacts,
    log: JobLog,
    downloader: Downloader,
    cancel: &CancellationToken,
) -> Outcome {
    let deadline = Instant::now() + plan.timeout;
    let undos = Undos::new(log.clone());
    let work_dir = undos.register(Undo::RemovePath {
        path: facts.work_dir.clone(),
    });
    let fetches = Fetches::new(plan, Rc::new(downloader), log.clone());
    let mut context = Context::new(facts, log.clone(), undos, fetches);
    // A job whose journal cannot be written has no results: it ends, but for its clean-up.
    let stop = cancel.child_token();
    log.stop_on_fault(stop.clone());
    let mut failure = execute(plan, &mut context, deadline, &stop).await.err();
    if let Err(fault) = finalize(plan, &mut context, cancel).await {
        failure.get_or_insert_with(|| of_job(fault));
    }
    context.fetches.cancel();
    if !crate::blocking::ended(Instant::now() + STOPPING).await {
        log.warning("work on files does not stop; some may be left");
    }
    if let Err(fault) = undo::replay_all(&context, work_dir).await {
        failure.get_or_insert_with(|| of_job(fault));
    }
    if let Some(fault) = log.write_fault() {
        failure = Some(of_job(fault));
    }
    conclude(&log, failure)
}

async fn execute(
    plan: &Plan,
    context: &mut Context,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    preflight::run(plan, context, deadline, cancel)
        .await
        .map_err(of_job)?;
    let directory = context.job.work_dir.clone();
    context::make_directory(&directory).map_err(of_job)?;
    context.power_off = power_off(plan);
    let mut executor = Executor::new(context, cancel);
    let outcome = executor.run(plan, deadline).await;
    outcome.map_err(|mut failure| {
        if failure.fault.diagnosis.is_none() {
            failure.fault.console = context.console_tail();
        }
        failure
    })
}

/// The last action of a plan: power off, drain and close the consoles. Canceling does not stop it.
async fn finalize(
    plan: &Plan,
    context: &mut Context,
    cancel: &CancellationToken,
) -> Result<(), Fault> {
    let until = Instant::now() + CLEAN_UP;
    if cancel.is_cancelled() {
        context.log.info("Cleaning up after the cancellation");
    }
    let unstopped = CancellationToken::new();
    let mut result = Ok(());
    if let Some(action) = plan.actions.last().filter(|_| context.started()) {
        let mut executor = Executor::new(context, &unstopped);
        let ended = timeout_at(until, executor.action(action, until)).await;
        result = match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(failure.fault),
            Err(_) => Err(Fault::infrastructure("cleaning up took too long")),
        };
        if result.is_ok() {
            context.power_is_off();
        }
    }
    context.consoles.close_all("the job is over").await;
    context.log_transfers();
    for report in context.boot_files.stop().await {
        context.log.info(report.to_string());
    }
    context.log.info("Cleaning after the job");
    result.map_err(|fault| Fault {
        message: format!("Failed to clean after job: {}", fault.message),
        ..Fault::infrastructure("").with_hint(fault.hint.unwrap_or_default())
    })
}

fn conclude(log: &JobLog, failure: Option<Failure>) -> Outcome {
    if let Some(failure) = &failure {
        log.record(Record::Fault {
            level: Some(failure.level.clone()).filter(|level| !level.as_str().is_empty()),
            action: Some(failure.action.clone()).filter(|action| !action.is_empty()),
            fault: failure.fault.clone(),
        });
    }
    log.record(Record::End {
        ok: failure.is_none(),
    });
    log.commit();
    Outcome { failure }
}

/// A fault outside of any action.
fn of_job(fault: Fault) -> Failure {
    Failure {
        fault,
        level: "".into(),
        action: String::new(),
        skip: false,
    }
}

/// How the plan's `finalize` switches the board off.
fn power_off(plan: &Plan) -> PowerOff {
    fn find(action: &Action) -> Option<PowerOff> {
        match &action.step {
            Step::DeviceCommands(commands) if action.name == "power-off" => Some(PowerOff {
                commands: commands.commands.clone(),
                timeout: action.timeout,
            }),
            _ => action.children.iter().find_map(find),
        }
    }
    plan.actions.last().and_then(find).unwrap_or_default()
}

/// Logs LAVA's result of validation.
fn report_validation(log: &JobLog, ok: bool) {
    log.record(Record::Result(CaseResult {
        definition: "lava".to_owned(),
        case: "validate".to_owned(),
        result: if ok {
            TestResult::Pass
        } else {
            TestResult::Fail
        },
        ..CaseResult::default()
    }));
}
