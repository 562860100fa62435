//! `connect-device`: runs the command that reaches the board's console.

use crate::{
    actions::StepRun,
    run::{Context, Extra},
};
use hal::{
    console::{PtyConsole, PtyOptions},
    process::CommandLine,
};
use job::Fault;
use plan::{
    Section,
    step::{ConnectDevice, ConnectionKind},
};
use wire::journal::Undo;

/// Telnet's escape character, Ctrl-].
const TELNET_ESCAPE: &[u8] = b"\x1d";

/// Connects, or goes on with the connection that the namespace has.
pub async fn connect(
    step: &StepRun<'_>,
    connect: &ConnectDevice,
    context: &mut Context,
) -> Result<Extra, Fault> {
    start(step, connect, context)?;
    if connect.wake {
        let namespace = step.console_namespace();
        context.consoles.send_line(namespace, "").await?;
    }
    Ok(Extra::new())
}

/// `disconnect-device`: what a console server wants to hear, and then its end.
pub async fn disconnect(
    step: &StepRun<'_>,
    kind: ConnectionKind,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    if !context.consoles.is_open(namespace) {
        context.log.debug("No connection to disconnect");
        return Ok(Extra::new());
    }
    // A connection that is gone already needs no farewell.
    let farewell: &[&[u8]] = match kind {
        ConnectionKind::Telnet => &[TELNET_ESCAPE, b"quit\n"],
        ConnectionKind::Ssh => &[b"\n", b"~.\n"],
        ConnectionKind::Shell => &[],
    };
    for words in farewell {
        if let Err(fault) = context.consoles.send(namespace, words).await {
            context
                .log
                .debug(format!("Gone before the farewell: {}", fault.message));
            break;
        }
    }
    context
        .consoles
        .close(namespace, "disconnected by the job")
        .await;
    Ok(Extra::new())
}

fn start(
    step: &StepRun<'_>,
    connect: &ConnectDevice,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    if context.consoles.is_open(namespace) {
        context.log.debug("Already connected");
        watch(step, context);
        return Ok(Extra::new());
    }
    if context.consoles.namespaces().contains(namespace) {
        context.log.warning("Dead connection, reconnecting");
    }
    context.log.info(format!(
        "[{namespace}] {} Connecting to device using '{}'",
        step.action.name, connect.command
    ));
    let command = CommandLine::parse(&connect.command)
        .map_err(|error| Fault::configuration(error.to_string()).with_command(&connect.command))?;
    open(step, &command, &connect.command, context)
}

/// Starts a command on a PTY and makes it the console of the action's namespace.
pub fn open(
    step: &StepRun<'_>,
    command: &CommandLine,
    name: &str,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let environment = &context.job.command_environment;
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let options = PtyOptions {
        environment,
        ..PtyOptions::default()
    };
    let console = PtyConsole::spawn(command.clone(), options)
        .map_err(|error| crate::run::fault::of_hal(&error))?;
    // The process cannot be known before it runs; until here it dies with this thread.
    let undo = console.process().identity().map(|process| {
        let undo = Undo::KillGroup {
            pid: process.pid(),
            start_time: process.start_ticks(),
        };
        context.undos.register(undo)
    });
    context
        .consoles
        .open(step.console_namespace(), name, Box::new(console), undo);
    watch(step, context);
    Ok(Extra::new())
}

/// What a board prints while it boots tells where a boot went wrong.
fn watch(step: &StepRun<'_>, context: &mut Context) {
    if step.action.section == Section::Boot {
        context.consoles.watch_boot(step.console_namespace());
    }
}
