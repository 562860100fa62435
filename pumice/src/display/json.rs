//! `--format json`: one object a line for each entry of the journal. docs/output-formats.md says
//! what is in it.

use super::{
    mask::{Direction, Secrets},
    printer::Printer,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use dispatcher::journal::Observer;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::journal::{ConnectionId, Entry, Epoch, Record};

pub(super) struct Json {
    printer: Printer,
    secrets: Secrets,
    /// The beginning of a character that a chunk cut, for each direction of a console, with the
    /// boot it came in.
    cut: BTreeMap<(ConnectionId, Direction), (Vec<u8>, Option<Epoch>)>,
    line: Vec<u8>,
}

/// Words of ours, which a short secret must not spoil.
const WORDS: [&str; 7] = [
    "level",
    "result",
    "class",
    "operation",
    "version",
    "job_id",
    "id",
];

impl Json {
    pub(super) fn new(printer: Printer, secrets: &[String]) -> Self {
        let mut json = Self {
            printer,
            secrets: Secrets::default(),
            cut: BTreeMap::new(),
            line: Vec::new(),
        };
        json.secrets.add(secrets);
        json
    }

    fn console(
        &mut self,
        at_micros: u64,
        key: (ConnectionId, Direction),
        epoch: Option<Epoch>,
        bytes: &[u8],
    ) {
        let (mut shown, _) = self.cut.remove(&key).unwrap_or_default();
        self.secrets.stream(key.0, key.1, bytes, &mut shown);
        let rest = shown.split_off(shown.len() - cut_character(&shown));
        self.print_bytes(at_micros, key, epoch, &shown);
        if !rest.is_empty() || epoch.is_some() {
            self.cut.insert(key, (rest, epoch));
        }
    }

    /// What was held back of a console comes now.
    fn end(&mut self, at_micros: u64, key: (ConnectionId, Direction)) {
        let (mut shown, epoch) = self.cut.remove(&key).unwrap_or_default();
        self.secrets.end(key.0, key.1, &mut shown);
        self.print_bytes(at_micros, key, epoch, &shown);
    }

    fn print_bytes(
        &mut self,
        at_micros: u64,
        (connection, direction): (ConnectionId, Direction),
        epoch: Option<Epoch>,
        bytes: &[u8],
    ) {
        if bytes.is_empty() {
            return;
        }
        let mut record = Map::new();
        record.insert("connection".to_owned(), connection.0.into());
        if let Some(epoch) = epoch {
            record.insert("epoch".to_owned(), epoch.0.into());
        }
        let text = String::from_utf8_lossy(bytes);
        if text.as_bytes() != bytes {
            record.insert("base64".to_owned(), STANDARD.encode(bytes).into());
        }
        record.insert("text".to_owned(), text.into());
        let name = match direction {
            Direction::Output => "output",
            Direction::Input => "input",
        };
        self.print(at_micros, &json!({ name: record }));
    }

    fn print(&mut self, at_micros: u64, record: &Value) {
        self.line.clear();
        let entry = json!({"at_micros": at_micros, "record": record});
        push_printable(&entry.to_string(), &mut self.line);
        self.line.push(b'\n');
        self.printer.print(&self.line);
    }
}

impl Observer for Json {
    fn entry(&mut self, entry: &Entry) {
        let at = entry.at_micros;
        match &entry.record {
            Record::Output {
                connection,
                epoch,
                bytes,
            } => {
                return self.console(at, (*connection, Direction::Output), Some(*epoch), bytes);
            }
            Record::Input { connection, bytes } => {
                return self.console(at, (*connection, Direction::Input), None, bytes);
            }
            Record::Secrets(secrets) => self.secrets.add(secrets),
            Record::FlushLine { connection } => self.end(at, (*connection, Direction::Output)),
            Record::ConnectionClosed { connection, .. } => {
                self.end(at, (*connection, Direction::Input));
                self.end(at, (*connection, Direction::Output));
            }
            Record::End { .. } => {
                let open: Vec<_> = self.cut.keys().copied().collect();
                open.into_iter().for_each(|key| self.end(at, key));
            }
            _ => {}
        }
        // Records are made of what JSON can hold.
        let record = serde_json::to_value(&entry.record).unwrap_or_default();
        let record = masked(record, &self.secrets);
        self.print(at, &record);
    }
}

/// Hides secrets in all texts but [`WORDS`], also in records that do not exist yet.
fn masked(value: Value, secrets: &Secrets) -> Value {
    if secrets.masker().is_empty() {
        return value;
    }
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| match value {
                    Value::String(_) if WORDS.contains(&key.as_str()) => (key, value),
                    // Their keys are the job's, not ours.
                    value if key == "extra" || key == "description" => {
                        let value = secrets.masker().mask_value(&value);
                        (key, value)
                    }
                    value => (key, masked(value, secrets)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| masked(item, secrets))
                .collect(),
        ),
        Value::String(text) => Value::String(secrets.text(&text).into_owned()),
        other => other,
    }
}

/// JSON may hold control characters that a terminal obeys, U+009B for one: they are escaped too.
fn push_printable(text: &str, out: &mut Vec<u8>) {
    let mut start = 0;
    for (at, character) in text.char_indices() {
        if matches!(character, '\u{7f}'..='\u{9f}') {
            out.extend_from_slice(&text.as_bytes()[start..at]);
            out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            start = at + character.len_utf8();
        }
    }
    out.extend_from_slice(&text.as_bytes()[start..]);
}

/// How many bytes at the end are the beginning of a character.
fn cut_character(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(3))
        .find(|length| {
            let tail = &bytes[bytes.len() - length..];
            std::str::from_utf8(tail)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_kept_for_the_next_chunk() {
        assert_eq!(cut_character("grü".as_bytes()), 0);
        assert_eq!(cut_character(b"gr\xc3"), 1);
        assert_eq!(cut_character(b"\xe4\xb8"), 2);
        assert_eq!(cut_character(b"\xff"), 0);
        assert_eq!(cut_character(b""), 0);
    }

    #[test]
    fn nothing_a_terminal_obeys_is_in_a_line() {
        let mut out = Vec::new();
        push_printable("\"a\u{9b}2J\u{7f}ü\"", &mut out);
        assert_eq!(String::from_utf8_lossy(&out), r#""a\u009b2J\u007fü""#);
    }

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let mut secrets = Secrets::default();
        secrets.add(&["s3cret".to_owned(), "1".to_owned()]);
        let record = json!({
            "result": {"level": "1.1", "result": "pass", "case": "x s3cret", "extra": {"s3cret": 1}},
            "undo": {"undo": {"run": {"commands": [["on", "s3cret"]]}}},
        });
        let hidden = json!({
            "result": {"level": "1.1", "result": "pass", "case": "x [MASKED]", "extra": {"[MASKED]": 1}},
            "undo": {"undo": {"run": {"commands": [["on", "[MASKED]"]]}}},
        });
        assert_eq!(masked(record, &secrets), hidden);
    }
}
