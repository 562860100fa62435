//! The result of a test case or of an action.

use crate::{Level, Namespace};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// The four results LAVA knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestResult {
    /// It did what it should.
    Pass,
    /// It did not.
    Fail,
    /// It was not run.
    Skip,
    /// Nobody can tell.
    #[default]
    Unknown,
}

/// One `results` record before the views give it its line numbers.
///
/// Which fields are set depends on who reports: actions set `namespace`, `level`, `duration` and
/// `extra`; test cases set `set`, `measurement`, `units`, `reference`; the end of a test run sets
/// the fields of its definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The suite: `lava` for what Pumice reports itself, else `<index>_<definition>`.
    pub definition: String,
    /// The test case or the action.
    pub case: String,
    /// What came of it.
    pub result: TestResult,
    /// The namespace of the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The place of the action in the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// How long it took; the views print seconds with two decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// The test set that was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// A measured number, as the test wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<f64>,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
    /// A URL the test gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Whether this is a test case of a shell, interactive or monitor test, for which the views
    /// add the line numbers of its start and end.
    #[serde(default)]
    pub has_lines: bool,
    /// Further fields of the record, in this order (`uuid`, `repository`, `path`, `revision`,
    /// `commit_id`, `error_msg`, `error_type`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, serde_json::Value)>,
    /// LAVA's `extra`: what the action tells beside the result.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Why a result is `unknown` or was forced to fail, in one sentence; exported in `results.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TestResult {
    /// LAVA's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Unknown => "unknown",
        }
    }

    /// Reads LAVA's word, in lower or in upper case (LAVA accepts just these two spellings).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pass" | "PASS" => Some(Self::Pass),
            "fail" | "FAIL" => Some(Self::Fail),
            "skip" | "SKIP" => Some(Self::Skip),
            "unknown" | "UNKNOWN" => Some(Self::Unknown),
            _ => None,
        }
    }
}

impl fmt::Display for TestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
