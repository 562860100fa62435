//! A made-up job with everything that a journal can hold, and all that makes its views hard:
//! chunks that cut lines, characters and secrets; feedback; a line that is too long; rubbish.

use job::{CaseResult, Fault, JobId, Level, Namespace, TestResult};
use serde_json::json;
use std::time::Duration;
use wire::journal::{
    ConnectionId, Entry, Epoch, FORMAT, Header, LogLevel, Record, Signal, Undo, UndoId,
};

/// Texts that must not be in any view.
pub const SECRETS: [&str; 2] = [
    "hunter2\"äöü",
    "-----BEGIN-----\nQUJDREVGRw==\n-----END-----",
];

const BOARD: ConnectionId = ConnectionId(0);
const OTHER: ConnectionId = ConnectionId(3);

fn output(connection: ConnectionId, bytes: &[u8]) -> Record {
    let (epoch, bytes) = (Epoch(1), bytes.to_vec());
    Record::Output {
        connection,
        epoch,
        bytes,
    }
}

fn log(level: LogLevel, message: &str) -> Record {
    Record::Log {
        level,
        message: message.into(),
    }
}

fn signal(name: &str, arguments: &str, repaired: bool) -> Record {
    let (name, arguments) = (name.into(), arguments.into());
    Record::Signal(Signal {
        name,
        arguments,
        repaired,
    })
}

fn start(level: &str, name: &str) -> Record {
    Record::ActionStart {
        level: Level::new(level),
        name: name.into(),
        namespace: Namespace::common(),
        timeout: Duration::from_secs(180),
    }
}

fn end(level: &str, name: &str, ok: bool) -> Record {
    Record::ActionEnd {
        level: Level::new(level),
        name: name.into(),
        namespace: Namespace::common(),
        duration: Duration::from_millis(1500),
        ok,
    }
}

fn progress(done: u64, total: Option<u64>) -> Record {
    let (level, label) = (Level::new("1.1"), "kernel".into());
    Record::Progress {
        level,
        label,
        done,
        total,
    }
}

fn case(definition: &str, case: &str, result: TestResult) -> CaseResult {
    let (definition, case) = (definition.into(), case.into());
    CaseResult {
        definition,
        case,
        result,
        ..CaseResult::default()
    }
}

/// The first records: the header, secrets, a download that is tried twice.
fn beginning() -> Vec<Record> {
    vec![
        Record::Header(Header {
            format: FORMAT,
            version: "0.1.0".into(),
            job_id: JobId::new("42"),
            job_name: "a <job> & more".into(),
            device: "board-1".into(),
            device_type: "board".into(),
            started_unix_micros: 1_795_174_391_314_152,
        }),
        Record::Secrets(SECRETS.map(str::to_owned).to_vec()),
        Record::Description(
            json!({"pipeline": [{"name": "deploy", "level": "1", "key": SECRETS[0]}]}),
        ),
        log(LogLevel::Info, "start: 0 validate"),
        Record::Result(case("lava", "validate", TestResult::Pass)),
        start("1", "deploy"),
        Record::Undo {
            id: UndoId(1),
            undo: Undo::RemovePath {
                path: "/tmp/x".into(),
            },
        },
        start("1.1", "http-download"),
        progress(0, Some(100 << 20)),
        progress(26 << 20, Some(100 << 20)),
        progress(27 << 20, Some(100 << 20)),
        log(LogLevel::Error, "no route\nto hunter2\"äöü"),
        Record::ActionRetry {
            level: Level::new("1.1"),
            name: "http-download".into(),
            attempt: 1,
            attempts: 2,
            reason: "no route".into(),
        },
        progress(100 << 20, Some(100 << 20)),
        progress(40 << 20, None),
        end("1.1", "http-download", true),
        Record::Result(CaseResult {
            namespace: Some(Namespace::common()),
            level: Some(Level::new("1.1")),
            duration: Some(Duration::from_millis(1500)),
            extra: [
                ("size".to_owned(), json!(104_857_600)),
                ("tiny".to_owned(), json!(1e-7)),
            ]
            .into_iter()
            .collect(),
            ..case("lava", "http-download", TestResult::Pass)
        }),
        end("1", "deploy", true),
    ]
}

/// A boot: two consoles, output that is cut wherever it hurts.
fn boot() -> Vec<Record> {
    let opened = |connection, namespace: &str, name: &str| Record::ConnectionOpened {
        connection,
        namespace: Namespace::new(namespace),
        name: name.into(),
    };
    let long: Vec<u8> = "long ä ".bytes().cycle().take(250_000).collect();
    vec![
        start("2", "boot"),
        Record::Power {
            operation: "on".into(),
            ok: true,
        },
        opened(BOARD, "common", "ser2net"),
        opened(OTHER, "other", "second"),
        output(BOARD, b"U-Boot 2026.01\r\nHit any key"),
        output(BOARD, b": 2 \x08\x08\x08 1\r\r"),
        output(
            BOARD,
            b"\n\x1b[1;32mgreen\x1b[0m \x00\x07\x0b\x0c\x1c\x85\xc2\x85\xe2\x80\xa8\r\n",
        ),
        output(BOARD, b"cut \xc3"),
        output(BOARD, b"\xa4 and broken \xff\xc3(\r\npassword hunt"),
        output(BOARD, b"er2\"\xc3\xa4\xc3"),
        output(BOARD, b"\xb6\xc3\xbc!\n"),
        output(OTHER, b"QUJDREVGRw==\nfrom elsewhere"),
        Record::Feedback {
            connection: OTHER,
            on: true,
        },
        output(OTHER, b" too\n\n"),
        output(BOARD, &long[..130_000]),
        output(BOARD, &long[130_000..]),
        output(
            BOARD,
            b" hun\x1bter2\"\xc3\xa4\xc3\xb6\xc3\xbc end\nboard login: ",
        ),
        Record::FlushLine { connection: BOARD },
        Record::Input {
            connection: BOARD,
            bytes: b"root\n".to_vec(),
        },
        output(BOARD, b"root\r\n# "),
        Record::ConnectionClosed {
            connection: OTHER,
            reason: "end of file".into(),
        },
        Record::Result(CaseResult {
            namespace: Some(Namespace::common()),
            level: Some(Level::new("2")),
            extra: [(
                "extra".to_owned(),
                json!([{"kind": "warning", "message": "WARNING: at \u{1b}x hunter2\"äöü"}]),
            )]
            .into_iter()
            .collect(),
            ..case("lava", "kernel-messages", TestResult::Fail)
        }),
        end("2", "boot", true),
    ]
}

/// A test whose runner then loses its board.
fn tests() -> Vec<Record> {
    let test = |name: &str, result| CaseResult {
        has_lines: true,
        ..case("0_smoke <&>", name, result)
    };
    vec![
        start("3", "lava-test-retry"),
        signal("STARTRUN", "0_smoke 42_1.1", false),
        output(BOARD, b"<LAVA_SIGNAL_STARTTC one>\r\n"),
        signal("STARTTC", "one", false),
        output(BOARD, b"a\x01 <b> ]]> \"c\"\r\nnext\r\n"),
        signal("ENDTC", "one", true),
        signal("TESTCASE", "TEST_CASE_ID=one RESULT=fail", false),
        Record::Result(test("one", TestResult::Fail)),
        Record::Result(CaseResult {
            set: Some("set # 1".into()),
            measurement: Some(1e-7),
            units: Some("s".into()),
            ..test("two\u{1b}\n# SKIP", TestResult::Skip)
        }),
        Record::Result(CaseResult {
            measurement: Some(f64::NAN),
            ..test("nan", TestResult::Pass)
        }),
        Record::Result(CaseResult {
            reason: Some("its signal was cut".into()),
            ..test("lost", TestResult::Unknown)
        }),
        Record::Result(CaseResult {
            reference: Some("https://example.org/?a=1&b=2".into()),
            ..case("0_smoke <&>", "referring", TestResult::Pass)
        }),
        Record::Result(CaseResult {
            duration: Some(Duration::from_millis(250)),
            fields: vec![
                ("uuid".into(), json!("42_1.1")),
                (
                    "repository".into(),
                    json!({"run": {"steps": ["echo hunter2\"äöü"]}}),
                ),
                ("path".into(), json!("x".repeat(120_000))),
            ],
            ..case("lava", "0_smoke <&>", TestResult::Pass)
        }),
        log(LogLevel::Exception, "Connection closed"),
        Record::Fault {
            level: Some(Level::new("3")),
            action: Some("lava-test-retry".into()),
            fault: Fault {
                console: vec!["# hunter2\"äöü".into()],
                ..Fault::infrastructure("the board is gone, hunter2\"äöü")
                    .with_hint("look at its power supply")
                    .with_waited_for("a prompt")
            },
        },
        end("3", "lava-test-retry", false),
        Record::Power {
            operation: "off".into(),
            ok: false,
        },
        Record::UndoDone { id: UndoId(1) },
        output(BOARD, b"last words"),
        Record::End { ok: false },
    ]
}

/// The entries of the job, one each 10.1 ms.
pub fn entries() -> Vec<Entry> {
    let records = beginning().into_iter().chain(boot()).chain(tests());
    let times = (0..).map(|number| number * 10_100);
    times
        .zip(records)
        .map(|(at_micros, record)| Entry { at_micros, record })
        .collect()
}
