//! The dumper against PyYAML's, byte by byte, on generated values; and against itself.

mod support;

use std::fmt::Write as _;

use support::{Oracle, Random, canonical, hex, json, unhex};
use yaml::{DumpOptions, Int, Limits, Map, Node, Value, dump, load};

/// How many values are tried, unless `PUMICE_DUMPS` says otherwise.
const COUNT: usize = 5_000;

/// Pieces of strings: what a dumper has to quote, fold or escape.
const PIECES: &[&str] = &[
    "a",
    "b",
    "word",
    " ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    ":",
    ": ",
    " #",
    "#",
    "-",
    "- ",
    "---",
    "...",
    "?",
    "? ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "&",
    "*",
    "!",
    "|",
    ">",
    "'",
    "\"",
    "\\",
    "%",
    "@",
    "`",
    "=",
    "<<",
    "~",
    "null",
    "true",
    "no",
    "12",
    "1_0",
    "0x1",
    "1.5",
    "1e3",
    ".inf",
    "1:30",
    "2001-01-01",
    "é",
    "中",
    "😀",
    "\u{85}",
    "\u{A0}",
    "\u{2028}",
    "\u{FEFF}",
    "\0",
    "\x07",
    "\x1b",
    "\x7f",
    "\u{9f}",
    "a rather long piece of text that makes lines fold when it is repeated",
    "longwordwithoutaspace",
    "http://example.org/path?query=1#fragment",
    "one two three four five six seven eight nine ten ",
];

fn text(random: &mut Random) -> String {
    (0..random.below(7)).map(|_| *random.pick(PIECES)).collect()
}

fn scalar(random: &mut Random) -> Value {
    match random.below(14) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => Value::from(random.below(2000) as i64 - 1000),
        3 => Value::Int(Int::from(-num_bigint::BigInt::from(random.next()).pow(3))),
        4 => Value::Float(f64::from_bits(random.next() << 11 | random.next())),
        5 => Value::Float(random.below(100_000) as f64 / 10_f64.powi(random.below(30) as i32 - 8)),
        6 => Value::Binary((0..random.below(90)).map(|_| random.next() as u8).collect()),
        7 => {
            let dates = [
                "2001-12-14",
                "0999-01-02",
                "2001-12-14 21:59:43",
                "2001-12-14 21:59:43.100000-05:00",
                "2001-12-14 21:59:43+00:00",
            ];
            Value::Timestamp((*random.pick(&dates)).to_owned())
        }
        _ => Value::from(text(random)),
    }
}

fn value(random: &mut Random, depth: usize) -> Value {
    let kind = if depth == 0 { 9 } else { random.below(10) };
    let count = random.below(5);
    match kind {
        0..=2 => (0..count)
            .map(|_| value(random, depth - 1))
            .collect::<Vec<_>>()
            .into(),
        3..=6 => {
            let mut map = Map::new();
            for _ in 0..count {
                map.insert(key(random), value(random, depth - 1));
            }
            map.into()
        }
        // Python does not keep the order of a set.
        7 => Value::Set(vec![scalar(random).into()]),
        _ => scalar(random),
    }
}

fn key(random: &mut Random) -> Value {
    match random.below(4) {
        // NaN is not equal to itself in Python.
        0 => match scalar(random) {
            Value::Float(number) if number.is_nan() => Value::Null,
            other => other,
        },
        _ => Value::from(text(random)),
    }
}

/// A Python expression for a value.
fn python(value: &Value) -> String {
    let list = |items: &[Node]| {
        let items: Vec<_> = items.iter().map(|item| python(&item.value)).collect();
        items.join(", ")
    };
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(Int::Small(number)) => number.to_string(),
        Value::Int(Int::Big(number)) => number.to_string(),
        Value::Float(number) => format!("float('{number:e}')"),
        Value::String(text) => {
            text.chars().fold("'".to_owned(), |mut literal, character| {
                let _ = write!(literal, "\\U{:08x}", u32::from(character));
                literal
            }) + "'"
        }
        Value::Binary(bytes) => format!("bytes.fromhex('{}')", hex(bytes)),
        Value::Timestamp(text) if text.contains(' ') => {
            format!("datetime.datetime.fromisoformat('{text}')")
        }
        Value::Timestamp(text) => format!("datetime.date.fromisoformat('{text}')"),
        Value::Sequence(items) => format!("[{}]", list(items)),
        Value::Set(members) => format!("set([{}])", list(members)),
        Value::Mapping(map) => {
            let pairs = map.iter().map(|(key, value)| {
                let (key, value) = (python(&key.value), python(&value.value));
                format!("{key}: {value}")
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn options(random: &mut Random) -> DumpOptions {
    DumpOptions {
        sort_keys: random.below(2) == 0,
        width: *random.pick(&[80, 80, 20, 3, 1_000_000]),
        indent: *random.pick(&[2, 2, 4, 9, 1, 12]),
        allow_unicode: random.below(2) == 0,
        flow: random.below(4) == 0,
        double_quoted: random.below(6) == 0,
    }
}

/// The same options as JSON without blanks, for PyYAML.
fn keywords(options: &DumpOptions) -> String {
    let style = if options.double_quoted {
        r#""\"""#
    } else {
        "null"
    };
    format!(
        r#"{{"sort_keys":{},"width":{},"indent":{},"allow_unicode":{},"default_flow_style":{},"default_style":{style}}}"#,
        options.sort_keys, options.width, options.indent, options.allow_unicode, options.flow,
    )
}

#[test]
fn generated_values_are_written_as_by_pyyaml() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut random = Random::seeded("generated values", 20_260_103);
    let count = std::env::var("PUMICE_DUMPS").ok();
    let count = count.and_then(|count| count.parse().ok()).unwrap_or(COUNT);
    let mut wrong = 0;
    for _ in 0..count {
        let (value, options) = (value(&mut random, 4), options(&mut random));
        let ours = dump(&value, &options);
        let expression = hex(python(&value).as_bytes());
        let request = format!("dump {} {expression}", keywords(&options));
        let theirs = unhex(&oracle.ask(&[request]).remove(0));
        let theirs = String::from_utf8(theirs).expect("PyYAML writes UTF-8");
        if ours != theirs {
            wrong += 1;
            println!(
                "{}\n  PyYAML {}\n  ours   {}",
                canonical(&value),
                json(&theirs),
                json(&ours)
            );
        }
        // What was written is read back. Sorting changes the order, which counts here.
        if !options.sort_keys {
            let read = load(&ours, &Limits::default()).expect("own output loads");
            assert_eq!(
                canonical(&read.value),
                canonical(&value),
                "after writing {ours}"
            );
        }
    }
    assert_eq!(wrong, 0, "of {count} values");
}
