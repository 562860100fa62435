//! What holds for every board.

use crate::{Bench, Outcome, bench::BOOT_WITHIN};
use hal::power::{PowerAction, PowerState};
use std::{pin::Pin, time::Duration};
use tokio::time::timeout;

/// A board without power says nothing in this time.
const SILENCE: Duration = Duration::from_millis(300);

/// How many times the console outlives the board's power.
const LIVES: u32 = 3;

/// How long BREAK is held.
const BREAK: Duration = Duration::from_millis(50);

/// What a case may take beside the boots in it: switching, typing, listening.
const BESIDE: Duration = Duration::from_secs(60);

/// Something that holds for every board, whatever state it is in before.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// How many times it waits for the board to boot.
    pub(crate) boots: u32,
    pub(crate) run: for<'a> fn(&'a mut Bench) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Outcome, String>> + 'a>>;

/// All of them, in the order in which they run.
pub const CASES: &[Case] = &[
    case("off-is-silent", 0, |bench| Box::pin(off_is_silent(bench))),
    case("on-reaches-the-prompt", 1, |bench| {
        Box::pin(on_reaches_the_prompt(bench))
    }),
    case("state-reads-back", 0, |bench| {
        Box::pin(state_reads_back(bench))
    }),
    case("on-twice-changes-nothing", 1, |bench| {
        Box::pin(on_twice(bench))
    }),
    case("typed-text-is-whole", 1, |bench| {
        Box::pin(typed_text_is_whole(bench))
    }),
    case("break-does-no-harm", 1, |bench| {
        Box::pin(break_does_no_harm(bench))
    }),
    case("reset-is-a-new-life", 2, |bench| {
        Box::pin(reset_is_a_new_life(bench))
    }),
    case("console-stays", LIVES, |bench| {
        Box::pin(console_stays(bench))
    }),
];

const fn case(
    name: &'static str,
    boots: u32,
    run: for<'a> fn(&'a mut Bench) -> Running<'a>,
) -> Case {
    Case { name, boots, run }
}

impl Case {
    /// How long it may take, whatever the board does.
    pub fn within(&self) -> Duration {
        BESIDE + BOOT_WITHIN * self.boots
    }

    /// Judges the board on `bench`, in at most [`Self::within`].
    pub async fn judge(&self, bench: &mut Bench) -> Outcome {
        let within = self.within();
        match timeout(within, (self.run)(bench)).await {
            Ok(outcome) => outcome.unwrap_or_else(Outcome::Failed),
            Err(_) => Outcome::Failed(format!("it did not end within {within:?}")),
        }
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<Outcome, String> {
    match holds {
        true => Ok(Outcome::Passed),
        false => Err(otherwise()),
    }
}

async fn to_prompt(bench: &mut Bench) -> Result<(), String> {
    bench.power(PowerAction::Off).await?;
    while !bench.read_for(SILENCE).await?.is_empty() {}
    bench.power(PowerAction::On).await?;
    bench.interrupt().await.map(drop)
}

async fn off_is_silent(bench: &mut Bench) -> Result<Outcome, String> {
    bench.power(PowerAction::Off).await?;
    bench.power(PowerAction::Off).await?;
    // What it had said before.
    bench.read_for(SILENCE).await?;
    bench.say("\r").await?;
    let said = bench.read_for(SILENCE).await?;
    require(said.is_empty(), || {
        format!("without power it says {said:?}")
    })
}

async fn on_reaches_the_prompt(bench: &mut Bench) -> Result<Outcome, String> {
    to_prompt(bench).await?;
    Ok(Outcome::Passed)
}

async fn state_reads_back(bench: &mut Bench) -> Result<Outcome, String> {
    for (action, state) in [
        (PowerAction::On, PowerState::On),
        (PowerAction::Off, PowerState::Off),
    ] {
        bench.power(action).await?;
        match bench.state().await? {
            None => return Ok(Outcome::NotThere),
            Some(shown) if shown == state => {}
            Some(shown) => return Err(format!("after {action} the state is {shown}")),
        }
    }
    Ok(Outcome::Passed)
}

async fn on_twice(bench: &mut Bench) -> Result<Outcome, String> {
    to_prompt(bench).await?;
    bench.power(PowerAction::On).await?;
    let said = bench.read_for(SILENCE).await?;
    require(said.is_empty(), || {
        format!("switching on what is on made it say {said:?}")
    })
}

async fn typed_text_is_whole(bench: &mut Bench) -> Result<Outcome, String> {
    to_prompt(bench).await?;
    let prompt = bench.target().prompt.clone();
    // Every firmware echoes a command, known to it or not.
    for round in 0..20 {
        let text = format!("pumice {round:02} abcdefghijklmnopqrstuvwxyz0123456789");
        bench.say(&text).await?;
        bench.read_until(&text).await?;
        bench.say("\r").await?;
        bench.read_until(&prompt).await?;
    }
    Ok(Outcome::Passed)
}

async fn break_does_no_harm(bench: &mut Bench) -> Result<Outcome, String> {
    to_prompt(bench).await?;
    let prompt = bench.target().prompt.clone();
    match bench.console().line_control() {
        None => return Ok(Outcome::NotThere),
        Some(line) => match line.send_break(BREAK).await {
            Err(error) if error.kind() == hal::ErrorKind::Unsupported => {
                return Ok(Outcome::NotThere);
            }
            sent => sent.map_err(|error| error.to_string())?,
        },
    }
    // Ctrl-C gives up what the firmware made of it.
    bench.say("\x03\r").await?;
    bench.read_until(&prompt).await?;
    Ok(Outcome::Passed)
}

async fn reset_is_a_new_life(bench: &mut Bench) -> Result<Outcome, String> {
    bench.power(PowerAction::Off).await?;
    while !bench.read_for(SILENCE).await?.is_empty() {}
    bench.power(PowerAction::On).await?;
    let before = bench.interrupt().await?;
    bench.power(PowerAction::Reset).await?;
    let after = bench.interrupt().await?;
    require(after > before, || {
        format!("epoch {before} before and {after} after a reset")
    })
}

async fn console_stays(bench: &mut Bench) -> Result<Outcome, String> {
    for _ in 0..LIVES {
        to_prompt(bench).await?;
    }
    Ok(Outcome::Passed)
}
