//! The figures as tables.

use crate::figures::{Row, Series, Target, Unit};
use serde::Serialize;
use std::io::{self, Write};

/// All that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Whether it was only to be shown that everything works: the figures then mean nothing.
    pub(crate) quick: bool,
    /// The version of LAVA that ran, when one did.
    pub(crate) lava: Option<String>,
    pub(crate) cases: Vec<Case>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The load before the first run: figures of a busy machine say little.
    pub(crate) load: f64,
}

/// Figures that belong together.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
    /// What was not a figure: whether it held.
    pub(crate) checks: Vec<Check>,
}

/// Something that holds or does not.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) met: bool,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|minute| minute.parse().ok())
                .unwrap_or_default(),
        }
    }

    /// Whether others use more than a quarter of it.
    pub(crate) fn is_busy(&self) -> bool {
        self.load > self.cores as f64 / 4.0
    }
}

impl Report {
    /// Prints tables for people.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Machine {
            cores,
            kernel,
            load,
        } = &self.machine;
        writeln!(
            out,
            "{cores} cores, Linux {kernel}, load {load} at the start"
        )?;
        if self.quick {
            writeln!(out, "a quick run: the figures mean nothing")?;
        }
        match &self.lava {
            Some(version) => writeln!(out, "lava-run: {version}")?,
            None => writeln!(
                out,
                "lava-run: SKIPPED, not run here; recorded figures only"
            )?,
        }
        for case in &self.cases {
            writeln!(out, "\n{}", case.name)?;
            writeln!(
                out,
                "  {:<22} {:>31}  {:<18} {:>24} {:>24}",
                "", "pumice (spread)", "target", "lava-run here", "LAVA 2026.07 recorded"
            )?;
            for row in &case.rows {
                print_row(out, row)?;
            }
            for check in &case.checks {
                writeln!(out, "  {}: {}", check.name, mark(check.met))?;
            }
        }
        let missed = self.missed();
        match missed {
            0 => writeln!(out, "\nall targets met"),
            _ => writeln!(out, "\n{missed} targets MISSED"),
        }
    }

    fn missed(&self) -> usize {
        let rows = self.cases.iter().flat_map(|case| &case.rows);
        let checks = self.cases.iter().flat_map(|case| &case.checks);
        rows.filter(|row| row.met == Some(false)).count()
            + checks.filter(|check| !check.met).count()
    }
}

fn print_row(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let Row { unit, pumice, .. } = row;
    let spread = format!(
        "({}-{})",
        number(*unit, pumice.minimum),
        number(*unit, pumice.maximum)
    );
    let target = match (row.target, row.met) {
        (Some(Target::AtMost(limit)), Some(met)) => {
            format!("<= {} {}", unit.show(limit), mark(met))
        }
        (Some(Target::AtLeast(limit)), Some(met)) => {
            format!(">= {} {}", unit.show(limit), mark(met))
        }
        _ => String::new(),
    };
    let here = row.lava.as_ref().map(|Series { median, .. }| *median);
    writeln!(
        out,
        "  {:<22} {:>13} {:>17}  {:<18} {:>24} {:>24}",
        row.name,
        unit.show(pumice.median),
        spread,
        target,
        beside(*unit, here, pumice.median),
        beside(*unit, row.lava_recorded, pumice.median),
    )
}

/// LAVA's figure and how many times as good ours is.
fn beside(unit: Unit, lava: Option<f64>, ours: f64) -> String {
    let Some(lava) = lava else {
        return "-".to_owned();
    };
    let times = match unit {
        Unit::LinesPerSecond | Unit::MegabytesPerSecond | Unit::Ratio => ours / lava,
        _ => lava / ours,
    };
    format!("{} ({times:.1}x)", unit.show(lava))
}

/// A figure without its unit.
fn number(unit: Unit, figure: f64) -> String {
    let shown = unit.show(figure);
    shown
        .split(' ')
        .next()
        .map(str::to_owned)
        .unwrap_or_default()
}

fn mark(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
