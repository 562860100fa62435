//! Consoles that print anything: nothing panics, chunks do not matter, memory is bounded.

#![allow(clippy::unwrap_used, reason = "a test and its support: it may fail")]

use dispatcher::expect::{
    KernelMonitor, Matcher, PatternSet, SignalDecoder, TestRun,
    signal::Run,
    test_run::{ParsePattern, RunDefinition},
};
use proptest::prelude::*;

/// Bytes that look like a console on which everything goes wrong.
fn console() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "<",
        ">",
        "\n",
        "\r\n",
        "\r\r\n",
        "\r",
        " ",
        "=",
        "-",
        "\"",
        "+ ",
        "$",
        "<LAVA",
        "_SIGNAL_",
        "<LAVA_SIGNAL_",
        "STARTRUN 0_a u",
        "ENDRUN 0_a u>\n",
        "STARTTC a>",
        "ENDTC a>\n",
        "TESTCASE ",
        "TEST_CASE_ID=a",
        " RESULT=pass",
        "pa",
        "ss>\r\n",
        "UNITS=x",
        " MEASUREMENT=1.5",
        "<LAVA_TEST_RUNNER EXIT>\n",
        "<LAVA_MULTI_NODE> <LAVA_",
        "SEND a>",
        "\u{1b}[0m",
        "\u{1b}",
        "[   12.345678] ",
        "[  OK  ] ",
        "<6>",
        "usb 1-1: new\r\n",
        "a: pass\n",
        "Kernel panic - not syncing",
        "-[ cut here ]",
        "WARNING:",
        "end trace",
        "TESTSET START s>",
        "TESTSET STOP>",
        "TESTRAISE x>",
        "+ lava-test-case a --result pass\n",
        "<LAVA_SIGNAL_STARTRUN 0_a u>\n",
        "ö",
    ];
    let part = prop_oneof![
        8 => prop::sample::select(parts.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

fn tests() -> TestRun {
    TestRun::new(vec![RunDefinition {
        run: Run {
            name: "0_a".to_owned(),
            uuid: "u".to_owned(),
        },
        pattern: Some(ParsePattern::new(r"^(?P<test_case_id>\w+): (?P<result>\w+)$").unwrap()),
        fixups: Vec::new(),
        expected: None,
        fields: Vec::new(),
    }])
}

fn chunks<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

/// All that the console engine makes of a console.
fn all(chunks: &[&[u8]]) -> impl PartialEq + std::fmt::Debug + use<> {
    let (mut events, mut signals, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let mut tests = tests();
    let mut decoder = SignalDecoder::new(Vec::new());
    let mut monitor = KernelMonitor::new();
    for chunk in chunks {
        tests.push(chunk, &mut |event| events.push(event));
        decoder.push(chunk, &mut |event| signals.push(event));
        monitor.push(chunk, &mut |event| messages.push(event));
    }
    tests.finish(&mut |event| events.push(event));
    decoder.flush(&mut |event| signals.push(event));
    monitor.finish(&mut |event| messages.push(event));
    (events, signals, messages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn anything_is_read_the_same_in_any_chunks(
        bytes in console(),
        cuts in prop::collection::vec(0_usize..1_000, 0..10),
    ) {
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = all(&[&bytes]);
        prop_assert_eq!(&whole, &all(&chunks(&bytes, &cuts)));
        prop_assert_eq!(&whole, &all(&single));
    }
}

#[test]
fn a_console_that_prints_without_end_is_read_without_end() {
    let set = PatternSet::prompts(["login: ", "[a-z]+@[^:]*:# "]).unwrap();
    let mut matcher = Matcher::new();
    let mut tests = tests();
    let mut monitor = KernelMonitor::new();
    let beginning = b"<LAVA_SIGNAL_TESTRAISE ".repeat(3_000);
    for chunk in [
        vec![0; 65_536],
        vec![b'<'; 65_536],
        vec![b'x'; 65_536],
        beginning,
    ] {
        for _ in 0..10 {
            matcher.push(&chunk);
            assert_eq!(matcher.find(&set).unwrap(), None);
            assert!(matcher.pending().len() <= 4 * 65_536);
            tests.push(&chunk, &mut |_| {});
            monitor.push(&chunk, &mut |_| {});
        }
    }
    tests.finish(&mut |_| {});
}
