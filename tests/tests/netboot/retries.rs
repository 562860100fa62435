//! Faults that a second attempt survives: the board loses its power or resets while it loads, or
//! its console loses bytes.

use super::{
    bench::{ARM64, Bench},
    uboot::smoke,
};
use rack::BoardFault;
use std::time::Duration;

/// Runs the U-Boot job with two attempts, does `fault` to the board while it loads its kernel, and
/// expects the second attempt to succeed.
async fn survives(fault: BoardFault, reason: &str) {
    let bench = Bench::new("arm64", &ARM64, |network, _, lab| {
        fs_err::create_dir(lab.path("served")).unwrap();
        let served = lab.path("served").display().to_string();
        network.options.push(format!("tftp={served}"));
    });
    let Some(bench) = bench.await else { return };
    let job = bench
        .job(&ARM64)
        .replace(
            "connection: {minutes: 2}}",
            "connection: {minutes: 2}, actions: {bootloader-commands: {seconds: 12}}}",
        )
        .replace(
            "    method: u-boot\n",
            "    method: u-boot\n    failure_retry: 2\n",
        );
    let served = bench.lab.path("served").display().to_string();
    let options = ["--dispatcher-ip", "10.0.2.2", "--tftp", &served];
    let device = bench.device(&ARM64);
    let mut running = bench.lab.run(&job, &device).args(options).start();
    let running = tokio::task::spawn_blocking(move || {
        running.wait_for("Loading: ###");
        running
    });
    let running = running.await.unwrap();
    let board = bench.rack.board("arm64").unwrap();
    board.fault(fault).await.unwrap();
    let ended = tokio::task::spawn_blocking(move || running.finish());
    let run = tokio::time::timeout(Duration::from_secs(100), ended).await;
    let run = run.expect("the job ends").unwrap();
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.cases("0_smoke"), smoke());
    assert!(run.output.contains(reason), "{}", run.output);
    assert!(!bench.has_power().await, "the board was left with power");
    bench.rack.stop().await.unwrap();
}

#[tokio::test]
async fn a_board_whose_power_goes_while_it_loads_boots_at_the_second_attempt() {
    survives(BoardFault::Cut, "bootloader-commands timed out").await;
}

#[tokio::test]
async fn a_board_that_resets_by_itself_while_it_loads_boots_at_the_second_attempt() {
    survives(
        BoardFault::Reset,
        "reset loop: the board began to boot 2 times",
    )
    .await;
}
