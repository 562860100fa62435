//! A result as the map of LAVA's `results` record, its keys in LAVA's order.

use super::{mask::Masker, stamp};
use job::{CaseResult, Fault};
use serde_json::{Map, Value};

/// Fields of the end of a test run that LAVA 2026.07 writes before the duration.
const DEFINITION_FIELDS: [&str; 3] = ["uuid", "repository", "path"];

/// The record without line numbers, secrets masked.
pub(super) fn result_map(result: &CaseResult, masker: &Masker) -> Map<String, Value> {
    let mut record = Record {
        result,
        masker,
        map: Map::new(),
    };
    let is_run_end = result.fields.iter().any(|(name, _)| name == "uuid");
    if result.reference.is_some() {
        record.texts(&["case", "definition", "result", "reference"]);
    } else if is_run_end {
        record.texts(&["definition", "case"]);
        record.fields(|name| DEFINITION_FIELDS.contains(&name));
        record.texts(&["duration", "result"]);
        record.fields(|name| name == "revision");
        record.texts(&["namespace"]);
    } else if result.level.is_some() {
        record.texts(&[
            "definition",
            "namespace",
            "case",
            "level",
            "duration",
            "result",
        ]);
    } else {
        record.texts(&["definition", "case", "result"]);
    }
    record.texts(&["set", "measurement", "units"]);
    record.fields(|_| true);
    record.texts(&["namespace", "level", "duration"]);
    if !result.extra.is_empty() {
        let extra = masker.mask_map(&result.extra);
        record.map.insert("extra".into(), Value::Object(extra));
    }
    record.map
}

/// The last record of a job: `complete`, or why not.
pub(super) fn job_map(
    complete: bool,
    fault: Option<&Fault>,
    masker: &Masker,
) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("definition".into(), "lava".into());
    map.insert("case".into(), "job".into());
    let result = if complete { "pass" } else { "fail" };
    map.insert("result".into(), result.into());
    if let Some(fault) = fault {
        let message = masker.mask(&fault.message).into_owned();
        map.insert("error_msg".into(), message.into());
        map.insert("error_type".into(), fault.error_type().into());
    }
    map
}

struct Record<'a> {
    result: &'a CaseResult,
    masker: &'a Masker,
    map: Map<String, Value>,
}

impl Record<'_> {
    /// Adds these, those that are known and not there yet.
    fn texts(&mut self, names: &[&str]) {
        for name in names {
            if let Some(value) = self.value(name)
                && !self.map.contains_key(*name)
            {
                self.map.insert((*name).into(), value);
            }
        }
    }

    fn value(&self, name: &str) -> Option<Value> {
        let result = self.result;
        let text = match name {
            // These are words of LAVA's, which a short secret must not spoil.
            "definition" if result.definition == "lava" => return Some("lava".into()),
            "result" => return Some(result.result.as_str().into()),
            "level" => return Some(result.level.as_ref()?.as_str().into()),
            "definition" => result.definition.as_str(),
            "case" => result.case.as_str(),
            "namespace" => result.namespace.as_ref()?.as_str(),
            "set" => result.set.as_deref()?,
            "units" => result.units.as_deref()?,
            "reference" => result.reference.as_deref()?,
            "duration" => return Some(Value::String(stamp::seconds(result.duration?))),
            "measurement" => {
                let number = serde_json::Number::from_f64(result.measurement?)?;
                return Some(Value::Number(number));
            }
            _ => return None,
        };
        Some(Value::String(self.masker.mask(text).into_owned()))
    }

    /// Adds the further fields that are wanted and not there yet.
    fn fields(&mut self, wanted: impl Fn(&str) -> bool) {
        for (name, value) in &self.result.fields {
            if wanted(name) && !self.map.contains_key(name) {
                let value = self.masker.mask_value(value);
                self.map.insert(name.clone(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::{Level, Namespace, TestResult};
    use serde_json::json;
    use std::time::Duration;

    fn keys(result: &CaseResult) -> Vec<String> {
        let map = result_map(result, &Masker::new());
        map.keys().cloned().collect()
    }

    fn case(definition: &str, case: &str) -> CaseResult {
        CaseResult {
            definition: definition.into(),
            case: case.into(),
            result: TestResult::Pass,
            ..CaseResult::default()
        }
    }

    #[test]
    fn keys_come_in_the_order_of_lava() {
        let action = CaseResult {
            namespace: Some(Namespace::common()),
            level: Some(Level::new("1.3.1")),
            duration: Some(Duration::from_millis(12)),
            extra: serde_json::Map::from_iter([("label".to_owned(), json!("kernel"))]),
            ..case("lava", "file-download")
        };
        let order = [
            "definition",
            "namespace",
            "case",
            "level",
            "duration",
            "result",
            "extra",
        ];
        assert_eq!(keys(&action), order);
        let test = CaseResult {
            set: Some("a".into()),
            measurement: Some(42.5),
            units: Some("MB/s".into()),
            ..case("0_smoke", "speed")
        };
        let order = [
            "definition",
            "case",
            "result",
            "set",
            "measurement",
            "units",
        ];
        assert_eq!(keys(&test), order);
        let reference = CaseResult {
            reference: Some("https://example.org/x".into()),
            ..case("0_smoke", "speed")
        };
        assert_eq!(
            keys(&reference),
            ["case", "definition", "result", "reference"]
        );
        let fields = ["uuid", "repository", "path", "revision", "commit_id"];
        let run = CaseResult {
            namespace: Some(Namespace::common()),
            duration: Some(Duration::ZERO),
            fields: fields.map(|name| (name.to_owned(), json!("x"))).to_vec(),
            ..case("lava", "0_smoke")
        };
        let order = [
            "definition",
            "case",
            "uuid",
            "repository",
            "path",
            "duration",
            "result",
            "revision",
            "namespace",
            "commit_id",
        ];
        assert_eq!(keys(&run), order);
    }

    #[test]
    fn a_measurement_that_is_no_number_is_none() {
        let test = CaseResult {
            measurement: Some(f64::NAN),
            ..case("0_smoke", "speed")
        };
        assert_eq!(keys(&test), ["definition", "case", "result"]);
    }

    #[test]
    fn a_short_secret_does_not_spoil_what_a_server_reads() {
        let mut masker = Masker::new();
        masker.add(&["a".to_owned(), "1".to_owned()]);
        let action = CaseResult {
            level: Some(Level::new("1.1")),
            ..case("lava", "a-case")
        };
        let map = result_map(&action, &masker);
        let [definition, level, result] = ["definition", "level", "result"].map(|name| &map[name]);
        assert_eq!([definition, level, result], ["lava", "1.1", "pass"]);
        assert_eq!(map["case"], "[MASKED]-c[MASKED]se");
    }
}
