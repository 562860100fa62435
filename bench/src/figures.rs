//! Figures: many runs of one thing, and what is said about them.

use serde::Serialize;

/// The figures of several runs.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    pub(crate) median: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
    pub(crate) values: Vec<f64>,
}

impl Series {
    /// `None` when there are no values.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0,
            _ => *sorted.get(middle)?,
        };
        Some(Self {
            median,
            minimum: *sorted.first()?,
            maximum: *sorted.last()?,
            values,
        })
    }

    /// The same with each value changed by a function that keeps or turns their order.
    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Option<Self> {
        Self::new(self.values.iter().map(|value| change(*value)))
    }
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// Whether a figure reaches it.
    pub(crate) fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(limit) => figure <= limit,
            Self::AtLeast(limit) => figure >= limit,
        }
    }
}

/// A unit, and how its figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "lines/s")]
    LinesPerSecond,
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    #[serde(rename = "")]
    Ratio,
}

impl Unit {
    /// A figure with its unit.
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::Seconds => format!("{figure:.3} s"),
            Self::Milliseconds => format!("{figure:.1} ms"),
            Self::Microseconds => format!("{figure:.2} us"),
            Self::Mebibytes => format!("{figure:.1} MiB"),
            Self::LinesPerSecond => format!("{figure:.0} lines/s"),
            Self::MegabytesPerSecond => format!("{figure:.0} MB/s"),
            Self::Ratio => format!("{figure:.2}"),
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) pumice: Series,
    pub(crate) target: Option<Target>,
    pub(crate) met: Option<bool>,
    /// `lava-run` in the same run of this program.
    pub(crate) lava: Option<Series>,
    /// LAVA as it was measured once, see [`crate::recorded`].
    pub(crate) lava_recorded: Option<f64>,
}

impl Row {
    /// A figure of ours.
    pub(crate) fn new(name: &'static str, unit: Unit, pumice: Series) -> Self {
        Self {
            name,
            unit,
            pumice,
            target: None,
            met: None,
            lava: None,
            lava_recorded: None,
        }
    }

    /// With what is to be reached, by the median.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.met = Some(target.is_met(self.pumice.median));
        self
    }

    /// With LAVA's.
    pub(crate) fn beside(mut self, lava: Option<Series>, recorded: Option<f64>) -> Self {
        self.lava = lava;
        self.lava_recorded = recorded;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let median = |values: &[f64]| Series::new(values.iter().copied()).map(|s| s.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_falling_change_turns_the_extremes() {
        let series = Series::new([1.0, 2.0, 4.0]).and_then(|series| series.map(|wall| 4.0 / wall));
        let series = series.expect("there are values");
        assert_eq!(
            (series.minimum, series.median, series.maximum),
            (1.0, 2.0, 4.0)
        );
    }

    #[test]
    fn targets_have_a_direction() {
        assert!(Target::AtMost(2.0).is_met(2.0) && !Target::AtMost(2.0).is_met(2.1));
        assert!(Target::AtLeast(0.5).is_met(0.5) && !Target::AtLeast(0.5).is_met(0.4));
    }
}
