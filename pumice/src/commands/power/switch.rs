//! `pumice power on|off|cycle|status TARGET…`

use crate::{
    cli::{SwitchArguments, TableFormat},
    exit::{Exit, Stop},
    lab::{self, Powered},
    lock, message, table,
};
use hal::{
    HalError,
    power::{PowerAction, PowerControl, PowerState},
};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, Write, stdout},
    time::Duration,
};
use tokio::time::Instant;

/// How long a cycle leaves a device off that has no command of its own for it.
const OFF_FOR: Duration = Duration::from_secs(2);

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    On,
    Off,
    Cycle,
    Status,
}

/// What became of it for one target.
struct Outcome {
    name: String,
    result: Result<Option<PowerState>, HalError>,
}

pub(crate) fn main(arguments: &SwitchArguments, wish: Wish) -> Result<Exit, Stop> {
    let targets = lab::powered(&arguments.place, &arguments.targets)?;
    if wish != Wish::Status && !arguments.force {
        for target in &targets {
            require_free(target)?;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcomes = runtime.block_on(all(targets, wish, arguments));
    let mut out = stdout().lock();
    let text = match arguments.format {
        TableFormat::Json => json_text(&outcomes, wish),
        TableFormat::Text => plain_text(&outcomes, wish, message::has_colour(out.is_terminal())),
    };
    out.write_all(text.as_bytes())?;
    for outcome in &outcomes {
        if let Err(error) = &outcome.result {
            message::error(&format!("{}: {}", outcome.name, lab::text(error)));
        }
    }
    Ok(exit(&outcomes, wish))
}

/// A job whose own command this is may switch its board.
fn require_free(target: &Powered) -> Result<(), Stop> {
    let Some(board) = &target.board else {
        return Ok(());
    };
    let Ok(Some(holder)) = lock::holder(board) else {
        return Ok(());
    };
    let job = holder.as_ref().and_then(|holder| holder.job.clone());
    if job.is_some() && job == std::env::var("LAVA_JOB_ID").ok() {
        return Ok(());
    }
    let who = lock::describe(board, holder.as_ref());
    let text = format!("{who}\nhint: --force switches it all the same");
    Err(Stop::new(Exit::Held, text))
}

/// Each target for itself; those on one PDU wait for each other there.
async fn all(targets: Vec<Powered>, wish: Wish, arguments: &SwitchArguments) -> Vec<Outcome> {
    let (timeout, off_for) = (arguments.timeout, arguments.off_for);
    let running: Vec<_> = targets
        .into_iter()
        .map(|mut target| {
            tokio::spawn(async move {
                let result = one(&mut *target.power, wish, timeout, off_for).await;
                Outcome {
                    name: target.name,
                    result,
                }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in running {
        // A task that panicked has said why.
        outcomes.extend(task.await);
    }
    outcomes
}

/// Does it, and says what the hardware shows after it.
async fn one(
    power: &mut dyn PowerControl,
    wish: Wish,
    timeout: Duration,
    off_for: Option<Duration>,
) -> Result<Option<PowerState>, HalError> {
    let deadline = Instant::now() + timeout + off_for.unwrap_or_default();
    match wish {
        Wish::Status => return power.state(deadline).await,
        Wish::On => power.set(PowerAction::On, deadline).await?,
        Wish::Off => power.set(PowerAction::Off, deadline).await?,
        Wish::Cycle => cycle(power, off_for, deadline).await?,
    }
    // It was done; that the state cannot be read now does not change that.
    Ok(power.state(deadline).await.unwrap_or(None))
}

pub(crate) async fn cycle(
    power: &mut dyn PowerControl,
    off_for: Option<Duration>,
    deadline: Instant,
) -> Result<(), HalError> {
    match off_for {
        None if power.supports(PowerAction::Reset) => power.set(PowerAction::Reset, deadline).await,
        _ => power.cycle(off_for.unwrap_or(OFF_FOR), deadline).await,
    }
}

fn exit(outcomes: &[Outcome], wish: Wish) -> Exit {
    if let Some(error) = outcomes
        .iter()
        .find_map(|outcome| outcome.result.as_ref().err())
    {
        return lab::exit_of(error);
    }
    let unknown = outcomes
        .iter()
        .any(|outcome| matches!(outcome.result, Ok(None)));
    if wish == Wish::Status && unknown {
        Exit::Unknown
    } else {
        Exit::Complete
    }
}

fn plain_text(outcomes: &[Outcome], wish: Wish, has_colour: bool) -> String {
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            vec![
                outcome.name.clone(),
                words(&outcome.result, wish).to_owned(),
            ]
        })
        .collect();
    let text = table::layout(&rows);
    if !has_colour {
        return text;
    }
    // Colours go around whole lines, so that the columns stay where they are.
    let lines = text.lines().zip(outcomes).map(|(line, outcome)| {
        let colour = match &outcome.result {
            Err(_) => "31",
            Ok(Some(PowerState::On)) => "32",
            Ok(Some(PowerState::Off)) => "2",
            Ok(None) => "33",
        };
        format!("\x1b[{colour}m{line}\x1b[0m\n")
    });
    lines.collect()
}

fn words(result: &Result<Option<PowerState>, HalError>, wish: Wish) -> &'static str {
    match (result, wish) {
        (Err(_), Wish::Status) => "cannot be asked",
        (Err(_), _) => "failed",
        (Ok(Some(PowerState::On)), _) => "on",
        (Ok(Some(PowerState::Off)), _) => "off",
        (Ok(None), Wish::Status) => "unknown: this PDU cannot tell",
        (Ok(None), _) => "done; this PDU cannot tell whether it moved",
    }
}

fn json_text(outcomes: &[Outcome], wish: Wish) -> String {
    let list = outcomes.iter().map(|outcome| {
        let state = match &outcome.result {
            Ok(Some(state)) => state.to_string(),
            Ok(None) | Err(_) => "unknown".to_owned(),
        };
        let mut object = json!({
            "target": outcome.name,
            "action": format!("{wish:?}").to_lowercase(),
            "ok": outcome.result.is_ok(),
            "state": state,
        });
        if let Err(error) = &outcome.result {
            object["error"] = json!({
                "kind": format!("{:?}", error.kind()),
                "message": error.to_string(),
                "hint": error.hint(),
            });
        }
        object
    });
    format!("{:#}\n", Value::from(list.collect::<Vec<_>>()))
}
