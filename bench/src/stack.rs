//! The console stack: as a share of a bare read loop over the same kind of terminal, and alone, from
//! memory.

use crate::{
    Arguments, Problem,
    bare::Bare,
    figures::{Row, Series, Target, Unit},
    memory::{Phase, Took},
    note,
    probe::{self, words},
    report::Case,
    stage::Stage,
};

/// What is to be reached of a bare read loop.
pub(crate) const SHARE: Target = Target::AtLeast(0.6);

/// What is to be reached from memory.
const FROM_MEMORY: Target = Target::AtLeast(200.0);

/// What one read of a terminal gives at most.
const TERMINAL_READ: usize = 4096;

/// What a socket may give.
const LARGE_READ: usize = 64 * 1024;

/// What a serial line gives: a few characters.
const SMALL_READ: usize = 64;

/// The rows from memory: what is done, and in reads of how many bytes.
const ROWS: [(&str, Phase, usize); 7] = [
    ("booting", Phase::Boot, TERMINAL_READ),
    ("  reads of 64 KiB", Phase::Boot, LARGE_READ),
    ("  reads of 64 bytes", Phase::Boot, SMALL_READ),
    ("testing", Phase::Test, TERMINAL_READ),
    ("  reads of 64 KiB", Phase::Test, LARGE_READ),
    ("  reads of 64 bytes", Phase::Test, SMALL_READ),
    ("look-around prompt", Phase::LookAround, TERMINAL_READ),
];

/// The stack over a terminal, reading a test's output, and a bare loop over the same: they take turns.
pub(crate) fn over_terminal(
    stage: &Stage<'_>,
    arguments: &Arguments,
    raw: bool,
) -> Result<Case, Problem> {
    let kind = if raw { "raw" } else { "cooked" };
    note(&format!("the console stack over a {kind} terminal ..."));
    let lines = arguments.lines as f64;
    let bare = stage.bare(arguments.lines, raw);
    let mut stack = words(["memory", "--phase", "test"]);
    // The same board, with the same arguments.
    stack.extend_from_slice(&bare[1..]);
    let (mut bares, mut stacks) = (Vec::new(), Vec::new());
    for _ in 0..arguments.floods {
        let Bare { wall, cpu, .. } = probe::part(&bare)?;
        bares.push((wall, cpu));
        let Took { wall, cpu, .. } = probe::part(&stack)?;
        stacks.push((wall, cpu));
    }
    let series =
        |values: Vec<f64>| Series::new(values).ok_or_else(|| Problem::new("nothing was measured"));
    let speed = |runs: &[(f64, f64)]| series(runs.iter().map(|(wall, _)| lines / wall).collect());
    let cost =
        |runs: &[(f64, f64)]| series(runs.iter().map(|(_, cpu)| cpu * 1e6 / lines).collect());
    let pairs = bares.iter().zip(&stacks);
    let share = pairs.map(|((bare, _), (stack, _))| bare / stack).collect();
    Ok(Case {
        name: format!(
            "The console stack over a {kind} terminal, {} lines of 80 characters; medians of {} runs",
            arguments.lines, arguments.floods
        ),
        rows: vec![
            Row::new("bare read loop", Unit::LinesPerSecond, speed(&bares)?),
            Row::new("  its CPU a line", Unit::Microseconds, cost(&bares)?),
            Row::new("console stack", Unit::LinesPerSecond, speed(&stacks)?),
            Row::new("  its CPU a line", Unit::Microseconds, cost(&stacks)?),
            Row::new("  of the bare loop's", Unit::Ratio, series(share)?).target(SHARE),
        ],
        checks: Vec::new(),
    })
}

/// From memory through splitter, kernel messages, signals, matcher and journal to its files.
pub(crate) fn from_memory(arguments: &Arguments) -> Result<Case, Problem> {
    note("the console stack from memory ...");
    let megabytes = if arguments.quick { 1 } else { 200 };
    let mut speeds = vec![Vec::new(); ROWS.len()];
    for _ in 0..arguments.floods {
        for ((_, phase, read), speeds) in ROWS.iter().zip(&mut speeds) {
            let took: Took = probe::part(&command(*phase, megabytes, *read))?;
            speeds.push(took.bytes as f64 / took.wall.max(1e-6) / 1e6);
        }
    }
    let mut rows = Vec::new();
    for ((name, _, read), speeds) in ROWS.iter().zip(speeds) {
        let speed = Series::new(speeds).ok_or_else(|| Problem::new("nothing was measured"))?;
        let row = Row::new(name, Unit::MegabytesPerSecond, speed);
        rows.push(match *read {
            SMALL_READ => row,
            _ => row.target(FROM_MEMORY),
        });
    }
    Ok(Case {
        name: format!(
            "{megabytes} MB from memory through matcher and journal; medians of {} runs",
            arguments.floods
        ),
        rows,
        checks: Vec::new(),
    })
}

fn command(phase: Phase, megabytes: usize, read: usize) -> Vec<std::ffi::OsString> {
    let phase = match phase {
        Phase::Boot => "boot",
        Phase::LookAround => "look-around",
        Phase::Test => "test",
    };
    words([
        "memory",
        "--phase",
        phase,
        "--megabytes",
        &megabytes.to_string(),
        "--read",
        &read.to_string(),
    ])
}
