//! What the tests of this crate share: PyYAML as the judge, a form of values that can be compared
//! with it, random numbers.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "skips and seeds must be seen"
)]

pub(crate) mod cases;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use yaml::{Int, Node, Value};

/// A Python process that answers what PyYAML would do.
pub(crate) struct Oracle {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts it, or says loudly that PyYAML with libyaml is missing.
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate stands below hal, which wraps processes"
    )]
    pub(crate) fn start() -> Option<Self> {
        let works = Command::new("python3")
            .args(["-c", "from yaml import CSafeLoader, CSafeDumper"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !works {
            eprintln!("SKIPPED: python3 has no yaml module with libyaml");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/oracle.py");
        let mut child = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 started a moment ago");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Self {
            child,
            input,
            output,
        })
    }

    /// Sends requests of one line each and returns the answers. They overlap, so many at once
    /// are quick; too many would fill the pipes.
    pub(crate) fn ask(&mut self, requests: &[String]) -> Vec<String> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            writeln!(self.input, "{request}").expect("the oracle reads");
            self.input.flush().expect("the oracle reads");
            let mut answer = String::new();
            self.output
                .read_line(&mut answer)
                .expect("the oracle answers");
            assert!(answer.ends_with('\n'), "the oracle died on {request}");
            answer.pop();
            answers.push(answer);
        }
        answers
    }

    /// What PyYAML makes of a text.
    pub(crate) fn load(&mut self, text: &str) -> String {
        self.ask(&[format!("text {}", hex(text.as_bytes()))])
            .remove(0)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two hexadecimal digits per byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that [`hex`] wrote.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// What a load gave, in the form of the oracle's answers.
pub(crate) fn answer(result: &Result<Node, yaml::Error>) -> String {
    match result {
        Ok(node) => format!("ok {}", canonical(&node.value)),
        Err(error) => format!("error {error}"),
    }
}

/// Whether two answers agree: the same value, or an error on both sides. What is recursive for
/// PyYAML has to be refused here.
pub(crate) fn agree(ours: &str, theirs: &str) -> bool {
    let refused = |answer: &str| answer.starts_with("error") || answer == "recursive";
    ours == theirs || (refused(ours) && refused(theirs))
}

/// The same text that `canonical` in `oracle.py` gives for the same value.
pub(crate) fn canonical(value: &Value) -> String {
    let list = |items: &[Node]| {
        let items: Vec<_> = items.iter().map(|item| canonical(&item.value)).collect();
        items.join(", ")
    };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(Int::Small(number)) => {
            let sign = if *number < 0 { "-" } else { "" };
            format!("{sign}{:#x}", number.unsigned_abs())
        }
        Value::Int(Int::Big(number)) => format!("{number:#x}"),
        Value::Float(number) if number.is_nan() => "float:nan".to_owned(),
        Value::Float(number) => format!("float:{:016x}", number.to_bits()),
        Value::String(text) => json(text),
        Value::Binary(bytes) => format!("binary:{}", hex(bytes)),
        Value::Timestamp(text) => format!("time:{}", json(text)),
        Value::Sequence(items) => format!("[{}]", list(items)),
        Value::Mapping(map) => {
            let pairs = map.iter().map(|(key, value)| {
                let (key, value) = (canonical(&key.value), canonical(&value.value));
                format!("{key}: {value}")
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Set(members) => {
            let mut members: Vec<_> = members.iter().map(|item| canonical(&item.value)).collect();
            members.sort();
            format!("set{{{}}}", members.join(", "))
        }
    }
}

/// A string as `json.dumps` writes it.
pub(crate) fn json(text: &str) -> String {
    let mut output = String::from("\"");
    for unit in text.encode_utf16() {
        let _ = match unit {
            0x22 => write!(output, "\\\""),
            0x5C => write!(output, "\\\\"),
            0x0A => write!(output, "\\n"),
            0x0D => write!(output, "\\r"),
            0x09 => write!(output, "\\t"),
            0x08 => write!(output, "\\b"),
            0x0C => write!(output, "\\f"),
            0x20..=0x7E => write!(output, "{}", char::from(unit as u8)),
            _ => write!(output, "\\u{unit:04x}"),
        };
    }
    output.push('"');
    output
}

/// Random numbers that the seed decides (xorshift64*), so that a failure can be repeated.
pub(crate) struct Random(u64);

impl Random {
    /// The seed is `PUMICE_SEED` when that is set; it is printed.
    pub(crate) fn seeded(name: &str, default: u64) -> Self {
        let seed = std::env::var("PUMICE_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(default);
        println!("{name}: seed {seed} (set PUMICE_SEED for another)");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One of some things.
    pub(crate) fn pick<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }
}
