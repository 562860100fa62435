//! Power cycles with random faults. After each the board's state is known: what the PDU says,
//! whether there is a process, and what the console says agree.
//!
//! `PUMICE_SEED` repeats a run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; what is skipped and how long it took is said"
)]

mod support;

use hal::{
    console::{Console, TcpConsole},
    faults::Random,
    power::{PowerAction, PowerState},
};
use rack::{Board, BoardFault, MachineState};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};
use support::{console, interrupt, rack, read_for, read_until, say};

/// A board that has no power says nothing; one that has answers within milliseconds.
const SILENCE: Duration = Duration::from_millis(60);

/// What happens to a board before it is brought back to a known state.
const MISHAPS: [&[BoardFault]; 8] = [
    &[],
    &[BoardFault::Cut],
    &[BoardFault::Hang],
    &[BoardFault::Hang, BoardFault::Resume],
    &[BoardFault::Reset],
    &[BoardFault::BreakConsole, BoardFault::Reset],
    &[BoardFault::UnplugConsole, BoardFault::Hang],
    &[BoardFault::Reset, BoardFault::Cut],
];

fn seed() -> u64 {
    let given = std::env::var("PUMICE_SEED").ok();
    let seed = match given.map(|seed| seed.parse()) {
        Some(seed) => seed.expect("PUMICE_SEED is a number"),
        None => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_micros() as u64,
    };
    eprintln!("PUMICE_SEED={seed}");
    seed
}

fn name_of(fault: BoardFault) -> &'static str {
    let named = BoardFault::ALL.iter().find(|(_, other)| *other == fault);
    named.expect("ALL has all").0
}

/// Something goes wrong at some moment of the boot, and the cable is mended after it.
async fn mishap(
    board: &Board,
    random: &mut Random,
    console: &mut TcpConsole,
    happened: &mut BTreeMap<&'static str, u32>,
) -> String {
    let faults = random.pick(&MISHAPS).copied().unwrap_or_default();
    let moment = Duration::from_millis(random.below(120));
    read_for(console, moment).await;
    for fault in faults {
        // The machine may have been cut by the one before.
        if board.fault(*fault).await.is_ok() {
            *happened.entry(name_of(*fault)).or_default() += 1;
        }
    }
    board.fault(BoardFault::MendConsole).await.unwrap();
    board.fault(BoardFault::PlugConsole).await.unwrap();
    format!("{faults:?} after {moment:?}")
}

/// The three witnesses agree that the board is off.
async fn is_off(board: &Board, console: &mut dyn Console, what: &str) {
    assert_eq!(board.relay().await, PowerState::Off, "{what}");
    assert_eq!(board.machine_state().await, MachineState::Off, "{what}");
    // What it had said before comes, and then nothing more.
    while !read_for(console, SILENCE).await.is_empty() {}
    say(console, "version\n").await;
    assert_eq!(read_for(console, SILENCE).await, "", "{what}");
}

/// They agree that it is on.
async fn is_on(board: &Board, console: &mut dyn Console, what: &str) {
    assert_eq!(board.relay().await, PowerState::On, "{what}");
    assert_eq!(board.machine_state().await, MachineState::Running, "{what}");
    interrupt(console).await;
    say(console, "echo alive\n").await;
    read_until(console, "\nalive").await;
}

async fn soak(cycles: u32) {
    let Some((rack, _directory)) = rack(&["arm64", "riscv64"]).await else {
        return;
    };
    let seed = seed();
    let mut random = Random::new(seed);
    let boards = [rack.board("arm64").unwrap(), rack.board("riscv64").unwrap()];
    let mut consoles = [console(boards[0]).await, console(boards[1]).await];
    let (mut happened, mut resets) = (BTreeMap::new(), 0);
    let begun = Instant::now();
    for cycle in 0..cycles {
        // One at a time: a board at its prompt takes a whole core.
        let which = usize::from(random.chance(0.5));
        let (board, console) = (boards[which], &mut consoles[which]);
        board.power(PowerAction::On).await.unwrap();
        let what = mishap(board, &mut random, console, &mut happened).await;
        let what = format!("cycle {cycle} of {}, seed {seed}: {what}", board.name());
        board.power(PowerAction::Off).await.unwrap();
        is_off(board, console, &what).await;
        board.power(PowerAction::On).await.unwrap();
        is_on(board, console, &what).await;
        if random.chance(0.3) {
            board.power(PowerAction::Reset).await.unwrap();
            resets += 1;
            is_on(board, console, &what).await;
        }
        board.power(PowerAction::Off).await.unwrap();
        is_off(board, console, &what).await;
    }
    let took = begun.elapsed();
    eprintln!("{cycles} cycles in {took:.1?}, {:.0?} each", took / cycles);
    eprintln!("faults: {happened:?}; resets by the PDU: {resets}");
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn fifty_power_cycles_leave_no_board_in_an_unknown_state() {
    soak(50).await;
}

#[tokio::test]
#[ignore = "takes minutes; `make soak` runs it"]
async fn a_thousand_power_cycles_leave_no_board_in_an_unknown_state() {
    soak(1000).await;
}
