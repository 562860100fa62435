//! The frames of a journal: what is written is read, and nothing else is.

use job::{CaseResult, Fault, JobId, Level, Namespace, TestResult};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;
use wire::journal::{
    ConnectionId, Entry, Epoch, Header, LogLevel, Record, Signal, Undo, UndoId,
    frame::{self, DecodeError, EncodeError},
};

fn encoded(at_micros: u64, record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(at_micros, record, &mut bytes).expect("the record can be written");
    bytes
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

fn connection() -> impl Strategy<Value = ConnectionId> {
    any::<u16>().prop_map(ConnectionId)
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u32>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s.into(), n))
}

fn level() -> impl Strategy<Value = Level> {
    "[1-9](\\.[1-9]){0,3}".prop_map(Level::new)
}

fn namespace() -> impl Strategy<Value = Namespace> {
    ".{0,8}".prop_map(Namespace::new)
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_filter_map("JSON has no such number", |value| {
            serde_json::Number::from_f64(value).map(serde_json::Value::Number)
        }),
        ".{0,12}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items)),
            prop::collection::hash_map(".{0,4}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn result() -> impl Strategy<Value = Record> {
    (
        (".{0,8}", ".{0,8}", prop::option::of(any::<f64>())),
        (prop::option::of(level()), prop::option::of(duration())),
        prop::collection::vec((".{0,4}", value()), 0..3),
        prop::collection::hash_map(".{0,4}", value(), 0..3),
    )
        .prop_filter("JSON has no such number", |((_, _, number), ..)| {
            number.is_none_or(f64::is_finite)
        })
        .prop_map(
            |((definition, case, measurement), (level, duration), fields, extra)| {
                Record::Result(CaseResult {
                    definition,
                    case,
                    measurement,
                    level,
                    duration,
                    fields,
                    result: TestResult::Skip,
                    extra: extra.into_iter().collect(),
                    ..CaseResult::default()
                })
            },
        )
}

fn fault() -> impl Strategy<Value = Record> {
    (
        prop::option::of(level()),
        ".{0,20}",
        prop::collection::vec(".{0,20}", 0..3),
    )
        .prop_map(|(level, text, console)| Record::Fault {
            action: level.as_ref().map(|_| text.clone()),
            level,
            fault: Fault {
                console,
                ..Fault::test(text.clone())
                    .with_hint(text)
                    .with_timeout(Duration::from_millis(1))
            },
        })
}

fn record() -> impl Strategy<Value = Record> {
    let text = || ".{0,20}";
    prop_oneof![
        (connection(), any::<u32>(), bytes()).prop_map(|(connection, epoch, bytes)| {
            Record::Output {
                connection,
                epoch: Epoch(epoch),
                bytes,
            }
        }),
        (connection(), bytes()).prop_map(|(connection, bytes)| Record::Input { connection, bytes }),
        connection().prop_map(|connection| Record::FlushLine { connection }),
        (connection(), any::<bool>())
            .prop_map(|(connection, on)| Record::Feedback { connection, on }),
        (text(), text(), any::<u64>()).prop_map(|(id, version, started_unix_micros)| {
            Record::Header(Header {
                format: 1,
                job_id: JobId::new(id.clone()),
                job_name: id.clone(),
                device: id.clone(),
                device_type: id,
                version,
                started_unix_micros,
            })
        }),
        prop::collection::vec(text(), 0..3).prop_map(Record::Secrets),
        value().prop_map(Record::Description),
        (connection(), namespace(), text()).prop_map(|(connection, namespace, name)| {
            Record::ConnectionOpened {
                connection,
                namespace,
                name,
            }
        }),
        (connection(), text())
            .prop_map(|(connection, reason)| Record::ConnectionClosed { connection, reason }),
        text().prop_map(|message| Record::Log {
            level: LogLevel::Event,
            message
        }),
        (level(), text(), namespace(), duration()).prop_map(|(level, name, namespace, timeout)| {
            Record::ActionStart {
                level,
                name,
                namespace,
                timeout,
            }
        }),
        (level(), text(), namespace(), duration()).prop_map(
            |(level, name, namespace, duration)| {
                Record::ActionEnd {
                    level,
                    name,
                    namespace,
                    duration,
                    ok: false,
                }
            }
        ),
        (level(), text(), any::<u32>()).prop_map(|(level, name, attempt)| Record::ActionRetry {
            level,
            reason: name.clone(),
            name,
            attempt,
            attempts: attempt,
        }),
        (text(), text(), any::<bool>()).prop_map(|(name, arguments, repaired)| {
            Record::Signal(Signal {
                name,
                arguments,
                repaired,
            })
        }),
        result(),
        (
            level(),
            text(),
            any::<u64>(),
            prop::option::of(any::<u64>())
        )
            .prop_map(|(level, label, done, total)| Record::Progress {
                level,
                label,
                done,
                total
            }),
        (text(), any::<bool>()).prop_map(|(operation, ok)| Record::Power { operation, ok }),
        (any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(id, pid, start_time)| {
            Record::Undo {
                id: UndoId(id),
                undo: Undo::KillGroup { pid, start_time },
            }
        }),
        any::<u32>().prop_map(|id| Record::UndoDone { id: UndoId(id) }),
        fault(),
        any::<bool>().prop_map(|ok| Record::End { ok }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(at_micros in any::<u64>(), record in record()) {
        let mut bytes = encoded(at_micros, &record);
        let length = bytes.len();
        bytes.extend_from_slice(b"the next frame");
        let (entry, taken) = frame::decode(&bytes).expect("it is whole").expect("it is all there");
        prop_assert_eq!(taken, length);
        prop_assert_eq!(entry, Entry { at_micros, record });
    }

    #[test]
    fn a_torn_frame_is_incomplete_wherever_it_was_torn(record in record()) {
        let bytes = encoded(7, &record);
        for length in 0..bytes.len() {
            prop_assert!(matches!(frame::decode(&bytes[..length]), Ok(None)));
        }
    }

    #[test]
    fn a_changed_bit_never_gives_a_record(record in record(), bit in any::<prop::sample::Index>()) {
        let mut bytes = encoded(7, &record);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!matches!(frame::decode(&bytes), Ok(Some(_))));
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in bytes()) {
        let _ = frame::decode(&bytes);
        let _ = frame::check_prelude(&bytes);
        // The same with the right length and checksum, so that the payload is reached.
        let mut framed = u32::try_from(bytes.len()).expect("short").to_le_bytes().to_vec();
        framed.push(bytes.first().map_or(0, |byte| byte % 6));
        framed.extend_from_slice(&[0; 8]);
        framed.extend_from_slice(&bytes);
        framed.extend_from_slice(&crc32fast::hash(&framed).to_le_bytes());
        let _ = frame::decode(&framed);
    }
}

#[test]
fn the_prelude_tells_journals_versions_and_rubbish_apart() {
    let prelude = frame::prelude();
    assert!(matches!(
        frame::check_prelude(&prelude),
        Ok(Some(frame::PRELUDE_LEN))
    ));
    for length in 0..prelude.len() {
        assert!(matches!(frame::check_prelude(&prelude[..length]), Ok(None)));
    }
    assert!(matches!(
        frame::check_prelude(b"- {\"dt\""),
        Err(DecodeError::NotAJournal)
    ));
    let mut damaged = prelude;
    damaged[9] = 1;
    assert!(matches!(
        frame::check_prelude(&damaged),
        Err(DecodeError::Checksum)
    ));
    let mut newer = prelude;
    newer[8] = 2;
    let checksum = crc32fast::hash(&newer[..12]);
    newer[12..].copy_from_slice(&checksum.to_le_bytes());
    let error = frame::check_prelude(&newer).expect_err("nobody knows version 2");
    assert!(matches!(error, DecodeError::UnknownVersion { found: 2 }));
    assert!(
        error
            .to_string()
            .contains("use the version of pumice that wrote it"),
        "{error}"
    );
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let mut bytes = b"before".to_vec();
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let record = Record::Description(deep);
    let error = frame::encode(0, &record, &mut bytes).expect_err("too deep");
    assert!(matches!(error, EncodeError::TooDeep));
    let record = Record::Output {
        connection: ConnectionId(0),
        epoch: Epoch(0),
        bytes: vec![0; frame::MAX_PAYLOAD],
    };
    let error = frame::encode(0, &record, &mut bytes).expect_err("too long");
    assert!(matches!(error, EncodeError::TooLong { .. }));
    assert_eq!(bytes, b"before");
}

#[test]
fn the_deepest_value_that_is_written_is_read() {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let record = Record::Result(CaseResult {
        fields: vec![("repository".to_owned(), deep)],
        ..CaseResult::default()
    });
    let bytes = encoded(0, &record);
    assert!(matches!(frame::decode(&bytes), Ok(Some((entry, _))) if entry.record == record));
}

#[test]
fn console_output_is_stored_as_it_came() {
    let record = Record::Output {
        connection: ConnectionId(1),
        epoch: Epoch(2),
        bytes: b"\x00\xff\r\n".to_vec(),
    };
    let bytes = encoded(3, &record);
    assert_eq!(bytes.len(), frame::OVERHEAD + 6 + 4);
    assert!(bytes.windows(4).any(|window| window == b"\x00\xff\r\n"));
}
