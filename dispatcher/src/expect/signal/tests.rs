use super::*;

fn runs() -> Vec<Run> {
    ["0_smoke", "1_other"]
        .into_iter()
        .enumerate()
        .map(|(index, name)| Run {
            name: name.to_owned(),
            uuid: format!("77_1.1.2.{index}"),
        })
        .collect()
}

fn events(console: &str) -> Vec<SignalEvent> {
    let mut events = Vec::new();
    let mut decoder = SignalDecoder::new(runs());
    decoder.push(console.as_bytes(), &mut |event| events.push(event));
    decoder.flush(&mut |event| events.push(event));
    events
}

/// What a console says, one word or two per event.
fn told(console: &str) -> Vec<String> {
    let events = events(console).into_iter().map(|event| match event {
        SignalEvent::Decoded(Decoded {
            signal, repaired, ..
        }) => {
            let mark = if repaired { "*" } else { "" };
            match signal {
                Signal::StartRun(run) | Signal::EndRun(run) => format!("{mark}run {}", run.name),
                Signal::Case(case) => {
                    let measured = case.measurement.map(|number| format!(" {number}"));
                    let units = case.units.map(|units| format!(" {units}"));
                    let further = measured.unwrap_or_default() + &units.unwrap_or_default();
                    format!("{mark}{}={}{further}", case.id, case.result)
                }
                Signal::StartCase(id) => format!("{mark}start {id}"),
                Signal::EndCase(id) => format!("{mark}end {id}"),
                other => format!("{mark}{other:?}"),
            }
        }
        SignalEvent::Lost(Lost { name, case, .. }) => {
            format!(
                "lost {} {}",
                name.unwrap_or("?"),
                case.as_deref().unwrap_or("?")
            )
        }
        SignalEvent::Malformed { reason, .. } => format!("malformed: {reason}"),
    });
    events.collect()
}

const CASE: &str = "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foo RESULT=pass>\r\n";

#[test]
fn whole_signals_are_read() {
    assert_eq!(told(CASE), ["foo=pass"]);
    let all = "<LAVA_SIGNAL_STARTRUN 0_smoke 77_1.1.2.0>\r\nprogress <LAVA_SIGNAL_STARTTC foo>\r\n\
        <LAVA_SIGNAL_ENDTC foo>\r\n\
        <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foo RESULT=fail UNITS=MB/s MEASUREMENT=42.5>\r\n\
        <LAVA_SIGNAL_TESTSET START a><LAVA_SIGNAL_TESTSET STOP>\n\
        <LAVA_SIGNAL_TESTREFERENCE x pass https://example.org/a>\r\n\
        <LAVA_SIGNAL_RETRUNCODE 127>\r\n<LAVA_TEST_RUNNER INSTALL_FAIL>\r\n\
        <LAVA_MULTI_NODE> <LAVA_SEND ready ip=1.2.3.4>\r\n<LAVA_TEST_RUNNER EXIT>\r\n";
    assert_eq!(
        told(all),
        [
            "run 0_smoke",
            "start foo",
            "end foo",
            "foo=fail 42.5 MB/s",
            "StartSet(\"a\")",
            "StopSet",
            "Reference { id: \"x\", result: \"pass\", reference: \"https://example.org/a\" }",
            "ReturnCode(127)",
            "InstallFail",
            "MultiNode { request: \"SEND\", arguments: [\"ready\", \"ip=1.2.3.4\"] }",
            "RunnerExit",
        ]
    );
}

#[test]
fn the_three_interleavings_that_lose_results_in_lava_are_repaired() {
    // The kernel writes right after `<`.
    let start =
        "<[   12.345678] usb 1-1: new device\r\nLAVA_SIGNAL_STARTRUN 0_smoke 77_1.1.2.0>\r\n";
    assert_eq!(told(start), ["*run 0_smoke"]);
    // It writes into a word.
    let word =
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foo RESU[   12.345678] usb 1-1: new\r\nLT=pass>\r\n";
    assert_eq!(told(word), ["*foo=pass"]);
    // What it writes contains `>`.
    let arrow =
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=f[   12.345678] link a -> b\r\noo RESULT=pass>\r\n";
    assert_eq!(told(arrow), ["*foo=pass"]);
}

#[test]
fn every_place_of_a_cut_with_a_time_stamp_is_repaired() {
    for kernel in [
        "[   12.345678] usb 1-1: new high-speed device\r\n",
        "\x1b[32m[   12.345678] \x1b[0m\x1b[33musb\x1b[0m: <up> -> RESULT=fail>\r\n",
        "<6>[   12.345678][    T1] a\r\n[   12.345679][    T1] b > c\r\n",
        "[   12.345678] a\r\r\n[12345.345679] <LAVA\r\n",
    ] {
        for at in 1..CASE.len() - 2 {
            let console = format!("{}{kernel}{}", &CASE[..at], &CASE[at..]);
            let told = told(&console);
            assert!(
                told == ["*foo=pass"] || told == ["foo=pass"],
                "{console:?}: {told:?}"
            );
        }
    }
}

#[test]
fn without_a_time_stamp_a_cut_outside_of_free_text_is_repaired() {
    let id = CASE.find("foo").unwrap();
    for at in 1..CASE.len() - 2 {
        let console = format!("{}usb 1-1: new -> device\r\n{}", &CASE[..at], &CASE[at..]);
        let told = told(&console);
        if (id..=id + 3).contains(&at) {
            assert_eq!(told, ["lost TESTCASE ?"], "{console:?}");
        } else {
            assert!(
                told == ["*foo=pass"] || told == ["foo=pass"],
                "{console:?}: {told:?}"
            );
        }
    }
}

#[test]
fn the_test_case_that_just_ended_tells_how_to_read_its_result() {
    let cut = "<LAVA_SIGNAL_STARTTC foobar>\r\n<LAVA_SIGNAL_ENDTC fousb: x\r\nobar>\r\n\
        <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foousb: x\r\nbar RESULT=pass>\r\n";
    assert_eq!(told(cut), ["start foobar", "*end foobar", "*foobar=pass"]);
    let other = "<LAVA_SIGNAL_STARTTC foobar>\r\n<LAVA_SIGNAL_ENDTC foobar>\r\n\
        <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x[   12.345678] y\r\ny RESULT=pass>\r\n";
    assert_eq!(
        told(other),
        ["start foobar", "end foobar", "lost TESTCASE ?"]
    );
}

#[test]
fn the_command_that_the_shell_printed_tells_how_to_read_its_result() {
    let cut = "+ lava-test-case foobar --result pass --units MB/s --measurement 4.25\r\n\
        <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foousb: x\r\nbar RESULT=pass UNITS=MB/s MEASUREMENT=4virt: y\r\n.25>\r\n";
    assert_eq!(told(cut), ["*foobar=pass 4.25 MB/s"]);
    // The inner test case is not the one the shell announced.
    let nested = "+ lava-test-case ab --shell ./inner.sh\r\n<LAVA_SIGNAL_STARTTC ab>\r\n\
        <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=ausb: x\r\nbc RESULT=pass>\r\n";
    assert_eq!(told(nested), ["start ab", "lost TESTCASE ?"]);
}

#[test]
fn what_reads_in_several_ways_is_lost() {
    let units = "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foo RESULT=pass UNITS=MBdev->x\r\n/s>\r\n";
    assert_eq!(told(units), ["lost TESTCASE foo"]);
    let number =
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foo RESULT=pass MEASUREMENT=422 links\r\n.5>\r\n";
    assert_eq!(told(number), ["lost TESTCASE foo"]);
}

#[test]
fn a_signal_whose_rest_never_comes_is_lost_and_the_next_one_is_read() {
    let cut = "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=foo RES[   12.345678] usb\r\n\
        <LAVA_SIGNAL_TESTCASE TEST_CASE_ID=bar RESULT=pass>\r\n";
    assert_eq!(told(cut), ["lost TESTCASE foo", "bar=pass"]);
}

#[test]
fn signals_through_the_kernel_log_are_read() {
    let kmsg = "[   12.345678] <LAVA_SIGNAL_STARTTC foo>\r\n\
        [   12.345678][  T123] <0><LAVA_SIGNAL_ENDTC foo>\r\n<0><LAVA_TEST_RUNNER EXIT>\r\n";
    assert_eq!(told(kmsg), ["start foo", "end foo", "RunnerExit"]);
}

#[test]
fn the_echo_of_commands_is_no_signal() {
    for echo in [
        "root@x:/# . /e ; printf \"<LAVA_SIGNAL_RETRUNCODE $?>\\n\"\r\n",
        "\x1b[6n. /lava-1003/environment ; printf \"<LAVA_SIGNAL_RETRUNCODE $?\r\r\n>\\n\"\r\n",
        "+ echo '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>'\r\n",
        "++ echo <LAVA_SIGNAL_ENDTC a>\r\n",
        "    signal \"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=$1 RESULT=$2>\"\r\n",
        "a <b> c\r\n<LAVA\r\n",
    ] {
        assert!(told(echo).is_empty(), "{echo:?}: {:?}", told(echo));
    }
    let echoed =
        "printf \"<LAVA_SIGNAL_RETRUNCODE $?\r\r\n>\\n\"\r\n<LAVA_SIGNAL_RETRUNCODE 0>\r\n";
    assert_eq!(told(echoed), ["ReturnCode(0)"]);
}

#[test]
fn kernel_output_after_the_end_does_no_harm() {
    for tail in [
        "[   12.345678] usb\r\n\r\n",
        "usb 1-1: new\r\n\r\n",
        "\rusb -> x\r\n\n",
    ] {
        let console = format!("<LAVA_SIGNAL_STARTTC foo>{tail}{CASE}");
        assert_eq!(told(&console), ["start foo", "foo=pass"], "{console:?}");
    }
}

#[test]
fn malformed_signals_are_told_with_the_reason() {
    assert_eq!(
        told(
            "<LAVA_SIGNAL_TESTCASE foo>\r\n<LAVA_SIGNAL_TESTCASE RESULT=pass>\r\n<LAVA_SIGNAL_ENDRUN a>\r\n"
        ),
        [
            "malformed: an argument has no value",
            "malformed: it has no test case id",
            "malformed: it must have a name and a uuid",
        ]
    );
    assert_eq!(
        told("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=maybe>\r\n"),
        ["a=maybe"]
    );
}

#[test]
fn a_run_is_read_only_when_the_job_has_it() {
    let cut = "<LAVA_SIGNAL_STARTRUN 0_smusb: x\r\noke 77_1.1.2.0>\r\n";
    assert_eq!(told(cut), ["*run 0_smoke"]);
    let unknown = "<LAVA_SIGNAL_STARTRUN 0_x[   12.345678] usb\r\ny 77_1.1.2.0>\r\n";
    assert_eq!(told(unknown), ["lost STARTRUN ?"]);
}

#[test]
fn a_signal_on_a_line_without_end_is_read() {
    let long = format!("{}{CASE}", "\r 10 %".repeat(10_000));
    assert_eq!(told(&long), ["foo=pass"]);
    for length in 16_000..16_500 {
        let long = format!("{}{CASE}", "x".repeat(length));
        assert_eq!(told(&long), ["foo=pass"], "{length}");
    }
}
