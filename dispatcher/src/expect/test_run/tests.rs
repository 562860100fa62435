use super::*;

fn definition(index: usize, name: &str) -> RunDefinition {
    RunDefinition {
        run: Run {
            name: format!("{index}_{name}"),
            uuid: format!("7_1.1.2.{}", 1 + 4 * index),
        },
        pattern: None,
        fixups: Vec::new(),
        expected: None,
        fields: vec![("path".to_owned(), Value::String("inline/x.yaml".to_owned()))],
    }
}

fn run(definitions: Vec<RunDefinition>, console: &str) -> Vec<TestEvent> {
    let mut whole = Vec::new();
    let mut tests = TestRun::new(definitions.clone());
    tests.push(console.as_bytes(), &mut |event| whole.push(event));
    tests.finish(&mut |event| whole.push(event));
    let mut pieces = Vec::new();
    let mut tests = TestRun::new(definitions);
    for chunk in console.as_bytes().chunks(7) {
        tests.push(chunk, &mut |event| pieces.push(event));
    }
    tests.finish(&mut |event| pieces.push(event));
    assert_eq!(whole, pieces);
    whole
}

/// `suite/case=result` of all results.
fn results(definitions: Vec<RunDefinition>, console: &str) -> Vec<String> {
    let events = run(definitions, console).into_iter();
    let results = events.filter_map(|event| match event {
        TestEvent::Result(result) | TestEvent::RunEnded { result, .. } => {
            let set = result.set.map(|set| format!("{set}:")).unwrap_or_default();
            Some(format!(
                "{}/{set}{}={}",
                result.definition, result.case, result.result
            ))
        }
        TestEvent::Raise(fault) => Some(format!("raise {}", fault.message)),
        _ => None,
    });
    results.collect()
}

const START: &str = "<LAVA_SIGNAL_STARTRUN 0_a 7_1.1.2.1>\r\n";
const END: &str = "<LAVA_SIGNAL_ENDRUN 0_a 7_1.1.2.1>\r\n";
const ONE: &str = "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=one RESULT=pass>\r\n";

#[test]
fn results_go_to_the_open_run_and_set() {
    let console = format!(
        "{START}{ONE}<LAVA_SIGNAL_TESTSET START s>\r\n{ONE}<LAVA_SIGNAL_TESTSET STOP>\r\n\
        <LAVA_SIGNAL_TESTREFERENCE ref fail https://example.org/x>\r\n{END}<LAVA_TEST_RUNNER EXIT>\r\n"
    );
    assert_eq!(
        results(vec![definition(0, "a")], &console),
        [
            "0_a/one=pass",
            "0_a/s:one=pass",
            "0_a/ref=fail",
            "lava/0_a=pass"
        ]
    );
    let events = run(vec![definition(0, "a")], &console);
    assert!(events.contains(&TestEvent::Finished));
    assert!(events.contains(&TestEvent::Note(
        NoteLevel::Info,
        "Starting test lava.0_a (7_1.1.2.1)".to_owned()
    )));
}

#[test]
fn the_record_of_a_run_has_its_uuid_and_fields() {
    let events = run(vec![definition(0, "a")], &format!("{START}{END}"));
    let Some(TestEvent::RunEnded { result, .. }) = events.last() else {
        panic!("{events:?}");
    };
    let keys: Vec<&str> = result.fields.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["uuid", "path"]);
}

#[test]
fn a_result_before_any_run_stops_the_test() {
    let told = results(vec![definition(0, "a")], ONE);
    assert_eq!(
        told,
        ["raise Test case one was reported before any test started"]
    );
}

#[test]
fn a_run_without_end_has_failed() {
    assert_eq!(
        results(vec![definition(0, "a")], &format!("{START}{ONE}")),
        ["0_a/one=pass", "lava/0_a=fail"]
    );
}

#[test]
fn a_lost_result_is_unknown_in_the_right_suite() {
    let cut = "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=two RES[   12.345678] usb\r\n";
    let console = format!("{START}{cut}{ONE}{END}");
    assert_eq!(
        results(vec![definition(0, "a")], &console),
        ["0_a/two=unknown", "0_a/one=pass", "lava/0_a=pass"]
    );
}

#[test]
fn results_after_a_lost_start_wait_for_the_end_to_tell_whose_they_are() {
    let cut = "<LAVA_SIGNAL_STARTRUN 1_[   12.345678] usb\r\n";
    let console = format!(
        "{START}{ONE}{END}{cut}<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=two RESULT=fail>\r\n\
        <LAVA_SIGNAL_ENDRUN 1_b 7_1.1.2.5>\r\n"
    );
    assert_eq!(
        results(vec![definition(0, "a"), definition(1, "b")], &console),
        [
            "0_a/one=pass",
            "lava/0_a=pass",
            "1_b/two=fail",
            "lava/1_b=pass"
        ]
    );
    let never = format!("{cut}{ONE}<LAVA_TEST_RUNNER EXIT>\r\n");
    assert_eq!(results(vec![definition(0, "a")], &never), [""; 0]);
}

#[test]
fn results_after_a_lost_set_signal_are_in_no_set() {
    let cut = "<LAVA_SIGNAL_TESTSET START x[   12.345678] usb\r\n";
    let console = format!("{START}<LAVA_SIGNAL_TESTSET START s>\r\n{cut}{ONE}{END}");
    assert_eq!(
        results(vec![definition(0, "a")], &console),
        ["0_a/one=pass", "lava/0_a=pass"]
    );
}

#[test]
fn bad_values_are_told_and_not_recorded() {
    let console = format!("{START}<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=maybe>\r\n{END}");
    assert_eq!(
        results(vec![definition(0, "a")], &console),
        ["lava/0_a=pass"]
    );
    let console = format!(
        "{START}<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass MEASUREMENT=fast>\r\n{END}"
    );
    assert_eq!(
        results(vec![definition(0, "a")], &console),
        [
            "raise Invalid measurement 'fast' of test case a",
            "lava/0_a=pass"
        ]
    );
}

#[test]
fn a_parse_pattern_reads_whole_lines() {
    let mut parsed = definition(0, "a");
    let pattern = r"(?P<test_case_id>parsed-[a-z]+): (?P<result>\w+)( (?P<measurement>[\d.]+) (?P<units>\S+))?$";
    parsed.pattern = Some(ParsePattern::new(pattern).unwrap());
    parsed.fixups = vec![("PASSED".to_owned(), "pass".to_owned())];
    let console = format!(
        "parsed-x: pass\r\n{START}parsed-a: pass\r\nparsed-b: PASSED\nparsed-c: odd\r\n\
        parsed-d: fail 4.5 MB/s\r\n{END}parsed-y: pass\r\n"
    );
    assert_eq!(
        results(vec![parsed.clone()], &console),
        [
            "0_a/parsed-a=pass",
            "0_a/parsed-b=pass",
            "0_a/parsed-d=fail",
            "lava/0_a=pass"
        ]
    );
    let measured = run(vec![parsed], &console).into_iter().any(|event| {
        matches!(event, TestEvent::Result(result)
            if result.measurement == Some(4.5) && result.units.as_deref() == Some("MB/s"))
    });
    assert!(measured);
}

#[test]
fn expected_test_cases_fail_when_missing_and_others_when_present() {
    let mut first = definition(0, "a");
    first.expected = Some(Expected {
        cases: vec!["two".to_owned()],
        by_job: false,
    });
    let mut second = definition(1, "b");
    second.expected = Some(Expected {
        cases: vec!["three".to_owned()],
        by_job: true,
    });
    assert_eq!(
        results(vec![first, second], &format!("{START}{ONE}{END}")),
        [
            "0_a/one=fail",
            "0_a/two=fail",
            "lava/0_a=pass",
            "1_b/three=fail"
        ]
    );
}

#[test]
fn requests_of_the_test_are_passed_on() {
    let console = format!(
        "{START}<LAVA_MULTI_NODE> <LAVA_SYNC ready>\r\n<LAVA_SIGNAL_TESTFEEDBACK other>\r\n\
        <LAVA_SIGNAL_TESTEVENT hello there>\r\n<LAVA_TEST_RUNNER INSTALL_FAIL>\r\n\
        <LAVA_SIGNAL_TESTRAISE no disk left>\r\n"
    );
    let events = run(vec![definition(0, "a")], &console);
    for expected in [
        TestEvent::MultiNode {
            request: "SYNC".to_owned(),
            arguments: vec!["ready".to_owned()],
            suite: Some("0_a".to_owned()),
        },
        TestEvent::Feedback("other".to_owned()),
        TestEvent::Note(NoteLevel::Event, "hello there".to_owned()),
        TestEvent::InstallFailed,
        TestEvent::Raise(Fault::test("no disk left")),
    ] {
        assert!(events.contains(&expected), "{expected:?} in {events:?}");
    }
}
