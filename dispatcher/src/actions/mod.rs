//! What each action does, one file per LAVA keyword.
//!
//! The executor calls [`run`] before an action's children and [`after_children`] after them; both
//! look at nothing but the action's [`Step`] and the job's [`Context`]. What they return is the
//! `extra` of the action's result: empty means that LAVA reports no result of its own for it.

pub mod boot;
pub mod command;
pub mod deploy;
pub mod finalize;
pub mod test;

use crate::{
    expect::{Found, PatternSet},
    run::{Context, Extra, consoles::Wait, context::hours_minutes_seconds},
};
use job::{Fault, Namespace, python::text_repr};
use plan::{Action, Step};
use tokio::time::Instant;

/// Does the action's own part, before its children. Cancel-safe: dropping it ends what it started.
pub async fn run(
    action: &Action,
    deadline: Instant,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let step = StepRun {
        action,
        deadline,
        started: Instant::now(),
    };
    match &action.step {
        Step::Group | Step::TestDefinition | Step::Finalize => Ok(Extra::new()),
        Step::Skip => {
            context.log.debug(format!("skipped {}", action.name));
            Ok(Extra::new())
        }
        Step::Unsupported { what } => Err(unsupported(what)),

        Step::LavaOverlay(overlay) => deploy::overlay::create(&step, overlay, context),
        Step::FetchDefinition(definition) => {
            deploy::overlay::fetch(&step, definition, context).await
        }
        Step::TestOverlay(definition) => deploy::overlay::metadata(&step, definition, context),
        Step::TestInstall(definition) => {
            deploy::overlay::install_script(&step, definition, context).await
        }
        Step::TestRunScript(definition) => deploy::overlay::run_script(&step, definition, context),
        Step::CompressOverlay => deploy::overlay::compress(&step, context).await,
        Step::DeployDeviceEnv { variables } => {
            context.namespace(&action.namespace).device_environment = variables.clone();
            Ok(Extra::new())
        }

        Step::Download(download) => deploy::download::fetch(&step, download, context).await,
        Step::AppendOverlays(append) => {
            deploy::append_overlays::append(&step, append, context).await
        }
        Step::ApplyOverlayGuest {
            size_mib,
            already_applied,
        } => deploy::guest::build(&step, *size_mib, *already_applied, context).await,

        Step::TftpDeploy { .. } => deploy::tftp::begin(&step, context).await,
        Step::ExtractRamdisk(ramdisk) => {
            deploy::tftp::extract_ramdisk(&step, *ramdisk, context).await
        }
        Step::InstallModules { ramdisk } => {
            deploy::tftp::install_modules(&step, *ramdisk, context).await
        }
        Step::ApplyOverlayTftp { ramdisk } => {
            deploy::tftp::apply_overlay(&step, *ramdisk, context).await
        }
        Step::PrepareKernel(prepare) => deploy::tftp::prepare_kernel(&step, prepare, context).await,
        Step::CompressRamdisk { header } => {
            deploy::tftp::compress_ramdisk(&step, header.as_ref(), context).await
        }

        Step::NbdDeploy => deploy::tftp::begin(&step, context).await,
        Step::NbdServer(server) => deploy::nbd::serve(&step, server, context).await,

        Step::BootloaderOverlay(overlay) => {
            boot::bootloader::fill_in(&step, overlay, context).await
        }
        Step::BootloaderInterrupt(interrupt) => {
            boot::bootloader::interrupt(&step, interrupt, context).await
        }
        Step::BootloaderCommands(commands) => {
            boot::bootloader::commands(&step, commands, context).await
        }
        Step::ExecuteQemu(qemu) => boot::qemu::start(&step, qemu, context),
        Step::ConnectDevice(connect) => boot::connect::connect(&step, connect, context).await,
        Step::DisconnectDevice { kind } => boot::connect::disconnect(&step, *kind, context).await,
        Step::DeviceCommands(commands) => boot::reset::commands(&step, commands, context).await,
        Step::SendRebootCommands {
            commands,
            shutdown_message,
        } => boot::reset::reboot(&step, commands, shutdown_message, context).await,
        Step::AutoLogin(login) => boot::login::wait_for_kernel(&step, login, context).await,
        Step::Login(login) => boot::login::login(&step, login, context).await,
        Step::ExpectShell { prompts } => boot::shell::expect(&step, prompts, context).await,
        Step::ExportDeviceEnv { shell_file } => {
            boot::shell::export_environment(&step, shell_file, context).await
        }
        Step::OverlayUnpack(transfer) => boot::transfer::unpack(&step, transfer, context).await,

        Step::TestShell(shell) => test::shell::run(&step, shell, context).await,
        Step::Interactive(interactive) => test::interactive::run(&step, interactive, context).await,
        Step::Monitor(monitor) => test::monitor::run(&step, monitor, context).await,

        Step::UserCommand(command) => command::run(&step, command, context).await,
        Step::ReadFeedback { wait, finalize } => {
            finalize::read_feedback(&step, *wait, *finalize, context).await
        }
    }
}

/// Does what an action does after its children.
pub async fn after_children(action: &Action, context: &mut Context) -> Result<Extra, Fault> {
    match &action.step {
        Step::TestDefinition => deploy::overlay::runner_configuration(action, context),
        Step::TftpDeploy { size_limit } => deploy::tftp::check_sizes(action, *size_limit, context),
        _ => Ok(Extra::new()),
    }
}

/// Gives back what the actions of a subtree hold, before they are tried again.
pub async fn clean_up(action: &Action, context: &mut Context) {
    if let Step::ExecuteQemu(_) = action.step {
        context
            .consoles
            .close(&action.namespace, "the boot is tried again")
            .await;
    }
    for child in &action.children {
        Box::pin(clean_up(child, context)).await;
    }
}

/// An action ended by a fault, its deadline or the user: ends what it left open.
pub fn interrupted(action: &Action, context: &mut Context) {
    if let Step::TestShell(_) = action.step {
        test::follow::abandon(context);
    }
}

/// The action that runs and how long it may.
pub struct StepRun<'a> {
    /// The action.
    pub action: &'a Action,
    /// Its deadline; the executor enforces it.
    pub deadline: Instant,
    /// When it began.
    pub started: Instant,
}

impl StepRun<'_> {
    /// The namespace whose console the action uses.
    pub fn console_namespace(&self) -> &Namespace {
        self.action
            .connection_namespace
            .as_ref()
            .unwrap_or(&self.action.namespace)
    }

    /// A wait within the action's time and that of its connection.
    pub fn wait<'w>(&self, patterns: &'w PatternSet, expected: &[&str]) -> Wait<'w> {
        let until = Instant::now() + self.action.connection_timeout;
        Wait {
            patterns,
            what: quoted(expected),
            // When the action's own time is over first, the executor says so.
            until: (until < self.deadline).then_some(until),
        }
    }

    /// Logs what is waited for, and for how long at most.
    pub fn log_wait(&self, expected: &[&str], context: &Context) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        context.log.debug(format!(
            "{}{WAIT}{} (timeout {})",
            self.action.name,
            quoted(expected),
            hours_minutes_seconds(left)
        ));
    }
}

/// How LAVA 2026.07 says that prompts are waited for.
const WAIT: &str = ": Wait for prompt ";

/// The prompts that a message of the log says are waited for, as Python prints a list: for a
/// display that shows them.
pub fn awaited(message: &str) -> Option<&str> {
    let (_, what) = message.split_once(WAIT)?;
    let (prompts, _) = what.rsplit_once(" (timeout ")?;
    Some(prompts)
}

/// Compiles prompts and messages of the job or the device.
///
/// # Errors
/// A fault of the test, as LAVA 2026.07 classifies a pattern that Python's `re` would refuse.
pub fn compile(expected: &[&str]) -> Result<PatternSet, Fault> {
    PatternSet::prompts(expected).map_err(|error| error.fault())
}

/// What a named group of a match took; bytes that are no UTF-8 are replaced.
pub fn group(found: &Found, name: &str) -> Option<String> {
    let (_, bytes) = found.groups.iter().find(|(known, _)| known == name)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Patterns for people, as LAVA prints them.
pub fn quoted(patterns: &[&str]) -> String {
    let quoted: Vec<_> = patterns.iter().map(|pattern| text_repr(pattern)).collect();
    format!("[{}]", quoted.join(", "))
}

/// The fault of a method that is planned but not runnable. `preflight` reports it before a board
/// is touched.
pub fn unsupported(what: &str) -> Fault {
    Fault::job(format!("this version of Pumice cannot run {what}")).with_hint(
        "`pumice plan` shows the actions of the job; docs/lava-compat.md says what can run",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_found_in_the_message_that_names_them() {
        let prompts = quoted(&["root@(.*):~#", "login: (timeout "]);
        let message = format!("login-action{WAIT}{prompts} (timeout 00:02:00)");
        assert_eq!(awaited(&message), Some(prompts.as_str()));
        assert_eq!(awaited("Matched prompt #0: login:"), None);
    }
}
