//! `pumice console BOARD`

use crate::{
    cli::ConsoleArguments,
    console::{
        join, keys,
        log::Log,
        session::{self, SharedPower},
    },
    exit::{Exit, Stop},
    input, lab,
    lock::{self, Holder, NotTaken},
    message,
};
use hal::{
    HalError,
    console::{
        Console, ConsoleTarget, EpochCounter, Reopening,
        reopen::{ReopenEvent, ReopenTiming, Returned, TargetOpener},
    },
    power::PowerControl,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};

/// How many events of a connection may wait to be told.
const EVENTS: usize = 64;

/// A board that was found, with what is needed to open its console.
struct Board {
    name: String,
    console: ConsoleTarget,
    power: Option<SharedPower>,
    epoch: EpochCounter,
}

pub(crate) fn main(arguments: &ConsoleArguments) -> Result<Exit, Stop> {
    let escape = keys::parse_escape(&arguments.escape).ok_or_else(|| {
        let text = format!(
            "--escape {}: a key is ^A to ^Z, ^[ ^\\ ^] ^^ ^_, or none",
            arguments.escape
        );
        Stop::bad_command_line(text)
    })?;
    let board = find(arguments)?;
    let log = match &arguments.log {
        Some(path) => Some(Log::append(path, arguments.timestamps)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        if arguments.join {
            let options = join::Options {
                log,
                escape,
                leave_after: arguments.leave_after,
            };
            let (who, journal) = journal_of(&board.name)?;
            return join::run(&journal, &who, options).await;
        }
        let _lock = hold(&board.name)?;
        let (teller, events) = mpsc::channel(EVENTS);
        let console = open(board.console, board.epoch, arguments.timeout, teller).await;
        let console = console.map_err(|error| lab::failed(&error))?;
        session::run(session::Options {
            board: board.name,
            console,
            events,
            power: board.power,
            log,
            escape,
            read_only: arguments.read_only,
            leave_after: arguments.leave_after,
            timeout: arguments.timeout,
        })
        .await
    });
    // A thread may still wait for a key; it ends with the process.
    runtime.shutdown_background();
    result
}

fn find(arguments: &ConsoleArguments) -> Result<Board, Stop> {
    let epoch = EpochCounter::default();
    match (&arguments.place.device, &arguments.board) {
        (Some(_), Some(_)) => Err(Stop::bad_command_line(
            "name a board of the lab, or a device by --device, not both",
        )),
        (Some(path), None) => {
            let device = input::device_file(path, &arguments.place.device_types)?;
            let Some(connection) = device.commands.primary_connection() else {
                let text = format!("device '{}' has no console", device.hostname);
                return Err(Stop::bad_definition(text));
            };
            let line = lab::command_line("connect", &connection.connect)?;
            let power = lab::power_of(&device, epoch.clone())?;
            Ok(Board {
                name: device.hostname.clone(),
                console: ConsoleTarget::Command(line),
                power: Some(share(Box::new(power))),
                epoch,
            })
        }
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            let lab = lab::read(&arguments.place.lab)?;
            let board = lab.board(name).map_err(|error| lab::unknown(&error))?;
            let Some(console) = board.console.clone() else {
                let text =
                    format!("board '{name}' has no console\nhint: add to it: console = \"…\"");
                return Err(Stop::bad_definition(text));
            };
            let power = match &board.power {
                Some(_) => Some(
                    lab.power(name, epoch.clone())
                        .map_err(|error| lab::bad(&error))?,
                ),
                None => None,
            };
            Ok(Board {
                name: name.to_owned(),
                console,
                power: power.map(share),
                epoch,
            })
        }
    }
}

fn share(power: Box<dyn PowerControl>) -> SharedPower {
    Arc::new(Mutex::new(power))
}

/// Opens a console that is opened again when it vanishes. A command that ended has ended.
async fn open(
    target: ConsoleTarget,
    epoch: EpochCounter,
    timeout: Duration,
    teller: mpsc::Sender<String>,
) -> Result<Box<dyn Console>, HalError> {
    let deadline = Instant::now() + timeout;
    if let ConsoleTarget::Command(_) = target {
        return target.open(epoch, deadline).await;
    }
    let timing = ReopenTiming {
        within: timeout,
        ..ReopenTiming::default()
    };
    let opener = Arc::new(TargetOpener {
        target,
        epoch: epoch.clone(),
    });
    // Whoever does not listen to that many gaps has left.
    let tell = Box::new(move |event| drop(teller.try_send(describe(event))));
    let console = Reopening::open(opener, timing, epoch, tell, deadline).await?;
    Ok(Box::new(console))
}

fn describe(event: ReopenEvent) -> String {
    match event {
        ReopenEvent::Closed { reason, .. } => {
            format!("the console closed: {reason}; opening it again")
        }
        ReopenEvent::GaveUp { reason, .. } => reason,
        ReopenEvent::Reopened(gap) => {
            let lost = gap.reopened_at.saturating_duration_since(gap.closed_at);
            let text = format!("the console is back; what the board sent in {lost:.1?} is lost");
            match gap.returned {
                Returned::Other { before, after } => {
                    format!("{text}\n    another device is there: {after}, before {before}")
                }
                Returned::Same | Returned::Unknown => text,
            }
        }
    }
}

/// Makes the board ours, as far as others ask.
fn hold(board: &str) -> Result<Option<lock::Lock>, Stop> {
    match lock::take(board, &Holder::this("pumice console")) {
        Ok(lock) => Ok(Some(lock)),
        Err(NotTaken::Held(holder)) => {
            let who = lock::describe(board, holder.as_ref());
            let hint = match holder.and_then(|holder| holder.journal) {
                Some(_) => "\nhint: --join watches the job",
                None => "",
            };
            Err(Stop::new(Exit::Held, format!("{who}{hint}")))
        }
        Err(NotTaken::Failed(error)) => {
            message::warning(&format!(
                "others do not see that the board is in use: {error}"
            ));
            Ok(None)
        }
    }
}

/// The journal of the job that holds the board.
fn journal_of(board: &str) -> Result<(String, std::path::PathBuf), Stop> {
    let refuse = |text: String| Err(Stop::new(Exit::Held, text));
    let Some(holder) = lock::holder(board)? else {
        let text = format!("nobody holds board '{board}': there is no job to watch");
        return Err(Stop::bad_command_line(text));
    };
    let who = lock::describe(board, holder.as_ref());
    match holder {
        Some(Holder {
            journal: Some(journal),
            ..
        }) => Ok((who, journal)),
        _ => refuse(format!("{who}, which has no journal to watch")),
    }
}
