//! Where the records of the log go: frames, counts and cuts them.

use super::{
    super::text::{self, Escape},
    LIMIT, Line,
};
use job::Namespace;
use serde_json::{Map, Value};

/// What a record needs at most beside its message and its namespace: time, level, punctuation.
const FRAME: usize = 100;

/// Texts of a results record that is too long keep so many characters.
const SHORT_TEXT: usize = 1_000;

/// Fields that a results record needs; the others go first when it is too long.
const NEEDED: [&str; 12] = [
    "definition",
    "namespace",
    "case",
    "level",
    "duration",
    "result",
    "set",
    "measurement",
    "units",
    "reference",
    "starttc",
    "endtc",
];

/// Texts that LAVA's servers keep in columns of their database.
const COLUMNS: [&str; 4] = ["definition", "case", "set", "units"];

/// Those of them that have columns of [`COLUMN`] characters.
const SHORT_COLUMNS: [&str; 2] = ["definition", "set"];

/// LAVA 2023.01 answers a request with a longer one with status 500, and LAVA's senders try again
/// for ever.
const COLUMN: usize = 200;

/// LAVA 2023.01 takes a measurement from here on, and then shows none of the job's results.
const MEASUREMENT: f64 = 1e20;

/// The state of the log's end.
#[derive(Debug, Default)]
pub(super) struct Sink {
    /// Lines given out so far.
    pub(super) lines: u64,
    /// Bytes given out so far.
    pub(super) bytes: u64,
    /// The last line.
    pub(super) last: Line,
    /// The time in `prefix`.
    iso: String,
    /// `- {"dt": "…", "lvl": "`, the same for all lines of an entry.
    prefix: Vec<u8>,
}

impl Sink {
    /// Sets the time of the lines that follow.
    pub(super) fn stamp(&mut self, iso: &str) {
        if self.iso != iso {
            iso.clone_into(&mut self.iso);
            self.prefix.clear();
            self.prefix.extend_from_slice(b"- {\"dt\": \"");
            self.prefix.extend_from_slice(iso.as_bytes());
            self.prefix.extend_from_slice(b"\", \"lvl\": \"");
        }
    }

    /// Appends a text, in several records when it is too long for one.
    pub(super) fn text(
        &mut self,
        out: &mut Vec<u8>,
        level: &str,
        message: &[u8],
        escape: Escape,
        namespace: Option<&Namespace>,
    ) {
        let start = out.len();
        self.open(out, level);
        let body = out.len();
        text::push_escaped(out, message, escape);
        let taken = namespace.map_or(0, |namespace| 6 * namespace.as_str().len());
        let limit = LIMIT.saturating_sub(FRAME + taken).max(FRAME);
        if out.len() - body <= limit {
            self.close(out, start, namespace);
            return;
        }
        let escaped = out.split_off(body);
        out.truncate(start);
        let mut rest = escaped.as_slice();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(text::cut_escaped(rest, limit));
            let start = out.len();
            self.open(out, level);
            out.extend_from_slice(piece);
            self.close(out, start, namespace);
            rest = tail;
        }
    }

    /// Appends a results record. One that is too long loses what it does not need, and what a
    /// server cannot keep becomes what it can: a result must not get lost because of its details.
    pub(super) fn results(&mut self, out: &mut Vec<u8>, mut map: Map<String, Value>) {
        make_storable(&mut map);
        let start = out.len();
        self.results_record(out, &map);
        if out.len() - start >= LIMIT {
            out.truncate(start);
            map.retain(|name, _| NEEDED.contains(&name.as_str()));
            for value in map.values_mut() {
                if let Value::String(text) = value {
                    cut(text, SHORT_TEXT);
                }
            }
            self.results_record(out, &map);
        }
        self.count(out, start);
    }

    fn results_record(&self, out: &mut Vec<u8>, map: &Map<String, Value>) {
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(b"results\", \"msg\": ");
        text::push_map(out, map);
        out.extend_from_slice(b"}\n");
    }

    fn open(&self, out: &mut Vec<u8>, level: &str) {
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(level.as_bytes());
        out.extend_from_slice(b"\", \"msg\": \"");
    }

    fn close(&mut self, out: &mut Vec<u8>, start: usize, namespace: Option<&Namespace>) {
        out.push(b'"');
        if let Some(namespace) = namespace {
            out.extend_from_slice(b", \"ns\": ");
            text::push_string(out, namespace.as_str());
        }
        out.extend_from_slice(b"}\n");
        self.count(out, start);
    }

    fn count(&mut self, out: &[u8], start: usize) {
        self.last = Line {
            number: self.lines,
            offset: self.bytes,
        };
        self.lines += 1;
        self.bytes += (out.len() - start) as u64;
    }
}

/// Changes what LAVA's servers can neither store nor show, found out with 2023.01: NUL, which
/// PostgreSQL has no place for, long names of suites and sets, and measurements out of range.
fn make_storable(map: &mut Map<String, Value>) {
    for name in COLUMNS {
        if let Some(Value::String(text)) = map.get_mut(name) {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{fffd}");
            }
            if SHORT_COLUMNS.contains(&name) {
                cut(text, COLUMN);
            }
        }
    }
    let number = map.get("measurement").and_then(Value::as_f64);
    if number.is_some_and(|number| number.abs() >= MEASUREMENT) {
        map.shift_remove("measurement");
    }
}

/// Keeps the first characters.
fn cut(text: &mut String, characters: usize) {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(record: &Value) -> Value {
        let (mut sink, mut out) = (Sink::default(), Vec::new());
        sink.stamp("2026-11-20T11:33:11.314152+00:00");
        sink.results(&mut out, record.as_object().expect("a map").clone());
        let line: Value = serde_json::from_slice(&out[2..]).expect("JSON");
        line["msg"].clone()
    }

    #[test]
    fn results_have_nothing_that_a_server_cannot_keep() {
        let long = "ä".repeat(300);
        let record = json!({
            "definition": long, "case": "n\0l", "result": "pass", "set": "s\0", "units": "\0",
            "measurement": -1e20, "reference": long,
        });
        let expected = json!({
            "definition": "ä".repeat(200), "case": "n\u{fffd}l", "result": "pass",
            "set": "s\u{fffd}", "units": "\u{fffd}", "reference": long,
        });
        assert_eq!(written(&record), expected);
    }

    #[test]
    fn what_a_server_can_keep_stays_as_it_is() {
        let record = json!({
            "definition": "ä".repeat(200), "case": "c\u{7}".repeat(300), "result": "fail",
            "measurement": 9.9e19, "set": "s".repeat(200), "units": "u".repeat(300),
        });
        assert_eq!(written(&record), record);
    }
}
