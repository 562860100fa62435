//! Tests that go wrong on a board that booted.

use crate::table::{Complete, INFRASTRUCTURE, JOB, TEST, TestFailed, section};
use integration::{BOOT, Finished, Lab, OVERLAY, inline, job};

section! {
    "Tests";

    test_raises: "a test that gives up (`lava-test-raise`)"
        => TEST, "no network here", "",
        |lab| testing(lab, "print \"<LAVA_SIGNAL_TESTRAISE no network here>\\n\"", "");
    test_never_ends: "a test that never ends"
        => TEST, "lava-test-shell timed out after", "",
        |lab| {
            let script = "print \"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=one RESULT=pass>\\n\"\nhang";
            let finished = testing(lab, script, "    timeout: {seconds: 1}\n")?;
            assert_eq!(finished.cases("0_board"), [("one".into(), "pass".into())]);
            assert!(
                finished.cases("lava").contains(&("0_board".into(), "fail".into())),
                "the run did not fail: {:?}", finished.cases("lava")
            );
            Some(finished)
        };
    expected_case_missing: "a test that never ends, with expected cases"
        => TEST, "lava-test-shell timed out after", "",
        |lab| {
            let script = "print \"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=one RESULT=pass>\\n\"\nhang";
            let expected = job(&[OVERLAY, BOOT, &inline("    timeout: {seconds: 1}\n")])
                .replace("{name: board, from", "{name: board, expected: [one, two], from");
            let finished = lab.run(&expected, &lab.device(&lab.board(&board(script)))).finish();
            let cases = [("one".to_owned(), "pass".to_owned()), ("two".into(), "fail".into())];
            assert_eq!(finished.cases("0_board"), cases);
            Some(finished)
        };
    test_skipped_when_late: "a test that never ends, with `timeout: {skip: true}`"
        => Complete, "", "",
        |lab| testing(lab, "hang", "    timeout: {seconds: 1, skip: true}\n");
    console_closes_while_testing: "a console that closes in the middle of a test"
        => INFRASTRUCTURE, "ended with exit status 3", "last lines",
        |lab| {
            let script = "print \"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=one RESULT=pass>\\n\"\nexit 3";
            let finished = testing(lab, script, "")?;
            assert_eq!(finished.cases("0_board"), [("one".into(), "pass".into())]);
            Some(finished)
        };
    runner_missing: "a board without the overlay"
        => JOB, "'. /lava-1/environment' failed with return code 127!", "overlay",
        |lab| {
            let script = "print \"[ 0.0] Linux version 6.1\\nboard login: \"\nread\n\
                shell \"root@board:~# \"\non \"*LAVA_SIGNAL_RETRUNCODE*\"\n\
                print \"sh: /lava-1/environment: not found\\n<LAVA_SIGNAL_RETRUNCODE 127>\\n\"\n\
                end\nend\n";
            let device = lab.device(&lab.board(script));
            Some(lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device).finish())
        };
    installation_fails: "a test definition that cannot be installed"
        => TEST, "could not be installed", "console",
        |lab| testing(lab, "print \"<LAVA_TEST_RUNNER INSTALL_FAIL>\\n\"", "");
    measurement_is_no_number: "a measurement that is no number"
        => TEST, "Invalid measurement 'much'", "",
        |lab| testing(
            lab,
            "print \"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=one RESULT=pass MEASUREMENT=much>\\n\"",
            "",
        );
    result_before_run: "a result of a test that has not begun"
        => TEST, "was reported before any test started", "",
        |lab| {
            let script = board("").replace("STARTRUN 0_board ${1}_1.2.1", "TESTCASE TEST_CASE_ID=a RESULT=pass");
            let device = lab.device(&lab.board(&script));
            Some(lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device).finish())
        };
    case_fails: "a test case that fails"
        => Complete, "", "",
        |lab| testing(lab, FAILED, "");
    case_fails_for_ci: "a test case that fails, with `--fail-on-test`"
        => TestFailed, "", "",
        |lab| {
            let device = lab.device(&lab.board(&board(FAILED)));
            let run = lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device);
            Some(run.arg("--fail-on-test").finish())
        };
}

const FAILED: &str = "print \"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=one RESULT=fail>\\n\"";

fn testing(lab: &Lab, statements: &str, extra: &str) -> Option<Finished> {
    let device = lab.device(&lab.board(&board(statements)));
    Some(
        lab.run(&job(&[OVERLAY, BOOT, &inline(extra)]), &device)
            .finish(),
    )
}

/// A board that boots and plays statements while it tests.
fn board(statements: &str) -> String {
    format!(
        "print \"[ 0.0] Linux version 6.1\\nboard login: \"\nread\nshell \"root@board:~# \"\n\
         on \"*LAVA_SIGNAL_RETRUNCODE*\"\nprint \"<LAVA_SIGNAL_RETRUNCODE 0>\\n\"\nend\n\
         on \"/lava-*/bin/lava-test-runner *\"\n\
         print \"<LAVA_SIGNAL_STARTRUN 0_board ${{1}}_1.2.1>\\n\"\n{statements}\n\
         print \"\\n<LAVA_SIGNAL_ENDRUN 0_board ${{1}}_1.2.1>\\n<LAVA_TEST_RUNNER EXIT>\\n\"\n\
         end\nend\n"
    )
}
