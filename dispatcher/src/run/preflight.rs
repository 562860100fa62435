//! What a plan needs of the world, checked before anything is touched; all problems at once.

use super::{Context, report_validation};
use hal::process::{CommandLine, find_program};
use job::{Fault, FaultClass};
use plan::{Action, Plan, Step, step::Download};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Checks the plan against the world. Logs what LAVA logs of its validation.
///
/// # Errors
/// One fault that names every problem; its class is that of the worst.
pub(super) async fn run(
    plan: &Plan,
    context: &Context,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Result<(), Fault> {
    let log = &context.log;
    log.info("start: 0 validate");
    let mut needs = Needs::default();
    plan.actions.iter().for_each(|action| needs.collect(action));
    let mut faults = needs.faults;
    faults.extend(needs.programs.iter().filter_map(|program| missing(program)));
    if needs.is_unsupported {
        // It is refused whatever its servers say, and nobody has to wait for them.
        needs.downloads.clear();
    }
    for download in &needs.downloads {
        log.debug(format!(
            "Validating that {} exists",
            crate::download::masked(&download.url)
        ));
    }
    log.commit();
    tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(log.reason_to_stop()),
        found = context.fetches.downloader().preflight(&needs.downloads, deadline) => {
            faults.extend(found.into_iter().map(|problem| problem.fault));
        }
    }
    report_validation(log, faults.is_empty());
    summary(faults).map_or(Ok(()), Err)
}

#[derive(Default)]
struct Needs<'p> {
    downloads: Vec<&'p Download>,
    programs: Vec<&'p str>,
    faults: Vec<Fault>,
    is_unsupported: bool,
}

impl<'p> Needs<'p> {
    fn collect(&mut self, action: &'p Action) {
        self.faults.extend(super::patterns::faults(&action.step));
        match &action.step {
            Step::Unsupported { what } => self.refuse(what),
            Step::OverlayUnpack(transfer) if transfer.method != "http" => {
                self.refuse(&format!("transfer_overlay by {}", transfer.method));
            }
            Step::Download(download) => self.downloads.push(download),
            Step::ExecuteQemu(qemu) if qemu.docker.is_some() => {
                self.refuse("boot qemu in docker");
            }
            Step::ExecuteQemu(qemu) => self.programs.push(&qemu.command),
            Step::ConnectDevice(connect) => self.programs.push(&connect.command),
            Step::DeviceCommands(commands) => {
                self.programs
                    .extend(commands.commands.iter().map(String::as_str));
            }
            Step::UserCommand(command) => {
                self.programs
                    .extend(command.commands.iter().map(String::as_str));
            }
            Step::ApplyOverlayGuest {
                already_applied: false,
                ..
            } => {
                self.programs.push("mke2fs");
            }
            Step::FetchDefinition(definition) => {
                if matches!(definition.source, plan::step::DefinitionSource::Git { .. }) {
                    self.programs.push("git");
                }
            }
            _ => {}
        }
        action.children.iter().for_each(|child| self.collect(child));
    }

    fn refuse(&mut self, what: &str) {
        self.is_unsupported = true;
        self.faults.push(crate::actions::unsupported(what));
    }
}

fn missing(command: &str) -> Option<Fault> {
    let line = match CommandLine::parse(command) {
        Ok(line) => line,
        Err(error) => {
            let problem = format!("the device's command {command:?} makes no sense: {error}");
            return Some(Fault::configuration(problem).with_command(command));
        }
    };
    find_program(line.program(), None, None)
        .err()
        .map(|error| super::fault::of_hal(&error))
}

/// All problems as one fault; the lab's come before the job's.
fn summary(faults: Vec<Fault>) -> Option<Fault> {
    let class = faults
        .iter()
        .map(|fault| fault.class)
        .min_by_key(|class| match class {
            FaultClass::Bug => 0,
            FaultClass::Infrastructure => 1,
            FaultClass::Configuration => 2,
            _ => 3,
        })?;
    let mut messages: Vec<String> = Vec::new();
    for fault in &faults {
        if !messages.contains(&fault.message) {
            messages.push(fault.message.clone());
        }
    }
    let what = match class {
        // LAVA 2026.07 says this of all of them, but this is not what somebody has to change.
        FaultClass::Infrastructure | FaultClass::Configuration => "This host cannot run the job",
        _ => "Invalid job data",
    };
    let mut fault = Fault::new(class, format!("{what}: {}", messages.join("; ")));
    fault.hint = faults.into_iter().find_map(|fault| fault.hint);
    Some(fault)
}
