//! The patterns a step will wait for, so that preflight can refuse those that make no sense.

use crate::expect::Pattern;
use job::Fault;
use plan::{
    Step,
    step::{AutoLogin, Interactive, Monitor},
};

/// The faults of a step's patterns, one for each pattern that does not compile.
pub(super) fn faults(step: &Step) -> impl Iterator<Item = Fault> {
    let patterns = match step {
        Step::AutoLogin(login) | Step::Login(login) => of_login(login),
        Step::BootloaderInterrupt(interrupt) => {
            let message = interrupt.interrupt_prompt.iter();
            message.chain([&interrupt.prompt]).collect()
        }
        Step::BootloaderCommands(commands) => {
            let prompts = [&commands.prompt].into_iter();
            let all = prompts.chain(&commands.error_messages);
            all.chain(&commands.final_message).collect()
        }
        Step::ExpectShell { prompts } => prompts.iter().collect(),
        Step::SendRebootCommands {
            shutdown_message, ..
        } => vec![shutdown_message],
        Step::Interactive(interactive) => of_interactive(interactive),
        Step::Monitor(monitor) => of_monitor(monitor),
        _ => Vec::new(),
    };
    patterns
        .into_iter()
        .filter_map(|pattern| Pattern::new(pattern).err())
        .map(|error| error.fault())
}

fn of_login(login: &AutoLogin) -> Vec<&String> {
    let credentials = login.credentials.iter();
    let prompts = credentials.flat_map(|credentials| {
        let password = credentials.password.as_ref().map(|(prompt, _)| prompt);
        std::iter::once(&credentials.login_prompt).chain(password)
    });
    std::iter::once(&login.kernel_start_message)
        .chain(&login.prompts)
        .chain(&login.error_messages)
        .chain(&login.failure_message)
        .chain(prompts)
        .collect()
}

fn of_interactive(interactive: &Interactive) -> Vec<&String> {
    let scripts = interactive.scripts.iter();
    scripts
        .flat_map(|script| {
            let messages = script.steps.iter().flat_map(|step| {
                let failures = step.failures.iter().map(|failure| &failure.message);
                step.successes.iter().chain(failures)
            });
            script.prompts.iter().chain(messages)
        })
        .collect()
}

fn of_monitor(monitor: &Monitor) -> Vec<&String> {
    let entries = monitor.monitors.iter();
    entries
        .flat_map(|entry| [&entry.start, &entry.end, &entry.pattern])
        .collect()
}
