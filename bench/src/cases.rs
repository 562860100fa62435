//! What is measured, and what is to be reached.

use crate::{
    Arguments, Problem,
    bare::Bare,
    figures::{Row, Series, Target, Unit},
    note, probe,
    probe::Usage,
    programs::Programs,
    recorded,
    report::{Case, Check, Machine, Report},
    stack,
    stage::{Board, Job, Runner, Stage},
};

/// Memory is looked at in so many runs of its own.
const MEMORY_RUNS: u32 = 3;

/// LAVA runs a flood so many times at most: it takes ten seconds for what takes others less than one.
const LAVA_FLOODS: u32 = 3;

/// What the log must hold when the kernel panics 30 ms after the last prompt.
const PANIC: &str = "Kernel panic - not syncing: 30 ms after the last prompt";

/// Measures everything.
pub(crate) fn run(arguments: &Arguments, programs: &Programs) -> Result<Report, Problem> {
    let machine = Machine::here();
    if machine.is_busy() {
        note("this machine is busy: the figures will say little");
    }
    let mut stage = Stage::new(programs)?;
    let runners: &[Runner] = match programs.lava {
        Some(_) => &[Runner::Pumice, Runner::Lava],
        None => &[Runner::Pumice],
    };
    let mut cases = Vec::new();
    if !arguments.stack {
        cases = jobs(arguments, &mut stage, runners)?;
    }
    for raw in [false, true] {
        cases.push(stack::over_terminal(&stage, arguments, raw)?);
    }
    cases.push(stack::from_memory(arguments)?);
    Ok(Report {
        machine,
        quick: arguments.quick,
        lava: programs.lava.as_ref().map(|lava| lava.version.clone()),
        cases,
    })
}

/// What whole jobs cost.
fn jobs(
    arguments: &Arguments,
    stage: &mut Stage<'_>,
    runners: &[Runner],
) -> Result<Vec<Case>, Problem> {
    note("the minimal job ...");
    let minimal = Minimal::measure(stage, runners, arguments.runs)?;
    let mut cases = vec![minimal.case(stage)?];
    for raw in [false, true] {
        // LAVA was recorded with a terminal as it was opened.
        let runners = if raw { &[Runner::Pumice] } else { runners };
        for phase in [Phase::Test, Phase::Boot] {
            note(&format!("{} ...", phase.title(arguments.lines, raw)));
            let flood = Flood::measure(stage, runners, arguments, phase, raw)?;
            cases.push(flood.case(phase, arguments.lines, raw, &minimal)?);
        }
    }
    Ok(cases)
}

/// What one runner used, run by run.
#[derive(Debug, Default)]
struct Runs(Vec<Usage>);

impl Runs {
    fn series(&self, figure: impl Fn(&Usage) -> Option<f64>) -> Option<Series> {
        Series::new(self.0.iter().filter_map(figure))
    }

    fn required(&self, figure: impl Fn(&Usage) -> Option<f64>) -> Result<Series, Problem> {
        self.series(figure)
            .ok_or_else(|| Problem::new("a figure could not be measured"))
    }
}

/// One for each runner.
#[derive(Debug, Default)]
struct Both {
    pumice: Runs,
    lava: Runs,
}

impl Both {
    fn of(&mut self, runner: Runner) -> &mut Vec<Usage> {
        match runner {
            Runner::Pumice => &mut self.pumice.0,
            Runner::Lava => &mut self.lava.0,
        }
    }

    /// A row about both.
    fn row(
        &self,
        name: &'static str,
        unit: Unit,
        recorded: Option<f64>,
        figure: impl Fn(&Usage) -> Option<f64>,
    ) -> Result<Row, Problem> {
        let pumice = self.pumice.required(&figure)?;
        Ok(Row::new(name, unit, pumice).beside(self.lava.series(&figure), recorded))
    }
}

/// The minimal job.
struct Minimal {
    timed: Both,
    watched: Both,
}

impl Minimal {
    fn measure(stage: &mut Stage<'_>, runners: &[Runner], runs: u32) -> Result<Self, Problem> {
        let mut minimal = Self {
            timed: Both::default(),
            watched: Both::default(),
        };
        // Whoever comes first warms the caches of the disk.
        for runner in runners {
            finished(stage.job(*runner, Board::default())?, |job| job.run(false))?;
        }
        for _ in 0..runs {
            for runner in runners {
                let job = stage.job(*runner, Board::default())?;
                let usage = finished(job, |job| job.run(false))?;
                minimal.timed.of(*runner).push(usage);
            }
        }
        for _ in 0..MEMORY_RUNS.min(runs) {
            for runner in runners {
                let job = stage.job(*runner, Board::default())?;
                let usage = finished(job, |job| job.run(true))?;
                minimal.watched.of(*runner).push(usage);
            }
        }
        Ok(minimal)
    }

    fn case(&self, stage: &mut Stage<'_>) -> Result<Case, Problem> {
        use recorded::minimal::{CPU, FIRST_LINE, RESIDENT, WALL};
        let Self { timed, watched } = self;
        let first_line = |usage: &Usage| usage.first_line.map(|seconds| seconds * 1e3);
        let rows = vec![
            timed
                .row("wall", Unit::Seconds, Some(WALL), |u| Some(u.wall))?
                .target(Target::AtMost(0.15)),
            timed
                .row("CPU, board included", Unit::Seconds, Some(CPU), |u| {
                    Some(u.cpu)
                })?
                .target(Target::AtMost(0.02)),
            timed
                .row(
                    "start to first line",
                    Unit::Milliseconds,
                    Some(FIRST_LINE),
                    first_line,
                )?
                .target(Target::AtMost(15.0)),
            timed
                .row("resident memory", Unit::Mebibytes, Some(RESIDENT), |u| {
                    Some(u.resident)
                })?
                .target(Target::AtMost(16.0)),
            watched
                .row("of which private", Unit::Mebibytes, None, |u| u.private)?
                .target(Target::AtMost(5.0)),
        ];
        let runs = timed.pumice.0.len();
        Ok(Case {
            name: format!("Minimal job: overlay, login, 4 test cases; medians of {runs} runs"),
            rows,
            checks: vec![Check {
                name: "a panic 30 ms after the last prompt is in the log",
                met: late_panic_is_logged(stage)?,
            }],
        })
    }
}

fn late_panic_is_logged(stage: &mut Stage<'_>) -> Result<bool, Problem> {
    let board = Board {
        late_panic: true,
        ..Board::default()
    };
    finished(stage.job(Runner::Pumice, board)?, |job| {
        job.run(false)?;
        Ok(job.written_log()?.contains(PANIC))
    })
}

/// When the board floods the console.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Test,
    Boot,
}

impl Phase {
    fn title(self, lines: u64, raw: bool) -> String {
        let when = match self {
            Self::Test => "testing",
            Self::Boot => "booting",
        };
        let terminal = if raw { ", raw terminal" } else { "" };
        format!("{lines} console lines of 80 characters while {when}{terminal}")
    }

    fn board(self, lines: u64, raw: bool) -> Board {
        let (flood_boot, flood_test) = match self {
            Self::Test => (0, lines),
            Self::Boot => (lines, 0),
        };
        Board {
            flood_boot,
            flood_test,
            raw,
            ..Board::default()
        }
    }
}

/// A flood, read by the bare loop and by the runners.
#[derive(Default)]
struct Flood {
    /// Seconds that the bare loop took for the flood alone, and its CPU seconds.
    bare: Vec<(f64, f64)>,
    runners: Both,
}

impl Flood {
    fn measure(
        stage: &mut Stage<'_>,
        runners: &[Runner],
        arguments: &Arguments,
        phase: Phase,
        raw: bool,
    ) -> Result<Self, Problem> {
        let mut flood = Self::default();
        for round in 0..arguments.floods {
            let nothing: Bare = probe::part(&stage.bare(0, raw))?;
            let all: Bare = probe::part(&stage.bare(arguments.lines, raw))?;
            if all.bytes < arguments.lines * 81 {
                return Err(Problem::new("the board printed less than it should"));
            }
            flood
                .bare
                .push((all.wall - nothing.wall, all.cpu - nothing.cpu));
            for runner in runners {
                if *runner == Runner::Lava && round >= LAVA_FLOODS {
                    continue;
                }
                let job = stage.job(*runner, phase.board(arguments.lines, raw))?;
                let usage = finished(job, Job::run_with_log_file)?;
                flood.runners.of(*runner).push(usage);
            }
        }
        Ok(flood)
    }

    /// All figures a line are those of the flood less those of the minimal job.
    fn case(
        &self,
        phase: Phase,
        lines: u64,
        raw: bool,
        minimal: &Minimal,
    ) -> Result<Case, Problem> {
        let recorded = match phase {
            _ if raw => [None; 3],
            Phase::Test => {
                use recorded::flood_test::{CPU, LINES, RESIDENT};
                [LINES, CPU, RESIDENT].map(Some)
            }
            Phase::Boot => {
                use recorded::flood_boot::{CPU, LINES, RESIDENT};
                [LINES, CPU, RESIDENT].map(Some)
            }
        };
        let count = lines as f64;
        let (pumice, lava) = (&self.runners.pumice, &self.runners.lava);
        let speed = |runs: &Runs, fixed: &Runs| -> Option<Series> {
            let fixed = fixed.series(|u| Some(u.wall))?.median;
            runs.series(|u| Some(u.wall))?
                .map(|wall| count / (wall - fixed).max(1e-6))
        };
        let cost = |runs: &Runs, fixed: &Runs| -> Option<Series> {
            let fixed = fixed.series(|u| Some(u.own_cpu))?.median;
            runs.series(|u| Some(u.own_cpu))?
                .map(|cpu| (cpu - fixed) * 1e6 / count)
        };
        let missing = || Problem::new("a flood could not be measured");
        let fixed = &minimal.timed;
        let ours = speed(pumice, &fixed.pumice).ok_or_else(missing)?;
        let bare = Series::new(self.bare.iter().map(|(wall, _)| count / wall.max(1e-6)));
        let bare = bare.ok_or_else(missing)?;
        let bare_cost = Series::new(self.bare.iter().map(|(_, cpu)| cpu * 1e6 / count));
        let share = ours.map(|lines| lines / bare.median).ok_or_else(missing)?;
        let rows = vec![
            Row::new("bare read loop", Unit::LinesPerSecond, bare),
            Row::new(
                "  its CPU a line",
                Unit::Microseconds,
                bare_cost.ok_or_else(missing)?,
            ),
            Row::new("lines a second", Unit::LinesPerSecond, ours)
                .beside(speed(lava, &fixed.lava), recorded[0]),
            Row::new("  of the bare loop's", Unit::Ratio, share).target(Target::AtLeast(0.5)),
            Row::new(
                "CPU a line, runner",
                Unit::Microseconds,
                cost(pumice, &fixed.pumice).ok_or_else(missing)?,
            )
            .beside(cost(lava, &fixed.lava), recorded[1])
            .target(Target::AtMost(2.0)),
            self.runners
                .row("resident memory", Unit::Mebibytes, recorded[2], |u| {
                    Some(u.resident)
                })?
                .target(Target::AtMost(24.0)),
        ];
        let runs = pumice.0.len();
        Ok(Case {
            name: format!(
                "{}; medians of {runs} runs, less the minimal job",
                phase.title(lines, raw)
            ),
            rows,
            checks: Vec::new(),
        })
    }
}

/// Does something with a job and removes what it left.
fn finished<T>(job: Job, act: impl FnOnce(&Job) -> Result<T, Problem>) -> Result<T, Problem> {
    let done = act(&job)?;
    job.forget()?;
    Ok(done)
}
