//! What boards print: too much, or nonsense. None of it is a fault by itself.

use crate::table::{Complete, JOB, section};
use integration::{BOOT, Finished, Lab, OVERLAY, Run, inline, job};

/// More than this may a job not take, however much the board prints: 24 MiB, measured with an
/// optimised build. What a debug build needs beside it is code: several times as much, most of it
/// of libraries.
const MOST_KIB: u64 = if cfg!(debug_assertions) { 32 } else { 24 } << 10;

section! {
    "What boards print";

    flood_while_booting: "200 MB while booting"
        => Complete, "", "",
        |lab| bounded(lab, "linux.board", "flood_boot=2500000");
    flood_while_testing: "200 MB while testing"
        => Complete, "", "",
        |lab| bounded(lab, "linux.board", "flood_test=2500000");
    flood_without_end: "a flood without end instead of a prompt"
        => JOB, "login-action timed out after", "",
        |lab| {
            let device = lab.device(&lab.board_of_the_rack("endless.board", "lines=1000000000"));
            let boot = format!("{BOOT}    timeout: {{seconds: 2}}\n");
            limited(lab.run(&job(&[OVERLAY, &boot, &inline("")]), &device))
        };
    bytes_without_meaning: "NUL bytes, invalid UTF-8 and other noise"
        => Complete, "", "",
        |lab| {
            let finished = bounded(lab, "linux.board", "noise=1000000")?;
            let console = fs_err::read(finished.directory.join("console.log")).unwrap();
            assert!(console.len() > 1_000_000, "the raw console has {} bytes", console.len());
            let log = fs_err::read(finished.directory.join("logs.yaml")).unwrap();
            assert!(!log.contains(&0), "the log has a NUL byte");
            assert!(std::str::from_utf8(&log).is_ok(), "the log is not UTF-8");
            Some(finished)
        };
    one_long_line: "a line of 20,000,000 characters"
        => Complete, "", "",
        |lab| bounded(lab, "linux.board", "long_line=20000000");
    long_line_while_testing: "a line of 20,000,000 characters in a test"
        => Complete, "", "",
        |lab| {
            let script = testing("fill 20000000 \"x\"");
            let device = lab.device(&lab.board(&script));
            limited(lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device))
        };
    late_panic: "a kernel panic 30 ms after the last prompt"
        => Complete, "", "",
        |lab| {
            let finished = bounded(lab, "linux.board", "late_panic=1")?;
            assert!(finished.file("logs.yaml").contains("Kernel panic - not syncing"));
            Some(finished)
        };
}

#[test]
#[ignore = "takes minutes"]
fn a_gigabyte_is_bounded() {
    let lab = Lab::new();
    let finished = bounded(&lab, "linux.board", "flood_boot=12500000").unwrap();
    assert_eq!(finished.code, 0);
}

#[test]
#[ignore = "takes minutes"]
fn a_line_of_a_hundred_million_characters_is_bounded() {
    let lab = Lab::new();
    let finished = bounded(&lab, "linux.board", "long_line=100000000").unwrap();
    assert_eq!(finished.code, 0);
}

fn bounded(lab: &Lab, board: &str, settings: &str) -> Option<Finished> {
    let device = lab.device(&lab.board_of_the_rack(board, settings));
    limited(lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device))
}

/// Runs a job and looks at its memory.
fn limited(run: Run) -> Option<Finished> {
    // What it prints for people is as much as the board prints; that is not what is measured.
    let finished = run.finish();
    assert!(
        finished.peak_kib <= MOST_KIB,
        "it took {} KiB, more than {MOST_KIB}",
        finished.peak_kib
    );
    Some(finished)
}

/// A board that boots and plays statements while it tests.
fn testing(statements: &str) -> String {
    format!(
        "print \"[ 0.0] Linux version 6.1\\nboard login: \"\nread\nshell \"root@board:~# \"\n\
         on \"*LAVA_SIGNAL_RETRUNCODE*\"\nprint \"<LAVA_SIGNAL_RETRUNCODE 0>\\n\"\nend\n\
         on \"/lava-*/bin/lava-test-runner *\"\n\
         print \"<LAVA_SIGNAL_STARTRUN 0_board ${{1}}_1.2.1>\\n\"\n{statements}\n\
         print \"\\n<LAVA_SIGNAL_ENDRUN 0_board ${{1}}_1.2.1>\\n<LAVA_TEST_RUNNER EXIT>\\n\"\n\
         end\nend\n"
    )
}
