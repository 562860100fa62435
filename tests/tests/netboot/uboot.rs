//! U-Boot, TFTP and a ramdisk.

use super::bench::{ARM64, ARMHF, Bench, Kernel};
use integration::{say, skipped};
use std::time::Instant;

/// The job on a board whose network has a TFTP server of its own, QEMU's: no privileged port, and
/// Debian's U-Boot as it is.
async fn boots(board: &str, kernel: &Kernel) {
    let bench = Bench::new(board, kernel, |network, _, lab| {
        fs_err::create_dir(lab.path("served")).unwrap();
        let served = lab.path("served");
        network.options.push(format!("tftp={}", served.display()));
    });
    let Some(bench) = bench.await else { return };
    let served = bench.lab.path("served");
    let options = [
        "--dispatcher-ip",
        "10.0.2.2",
        "--tftp",
        &served.display().to_string(),
    ];
    let begun = Instant::now();
    let run = bench
        .run(&bench.job(kernel), &bench.device(kernel), &options)
        .await;
    say(&format!(
        "{board}: {:.1?} from deploy to power off",
        begun.elapsed()
    ));
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.cases("0_smoke"), smoke());
    assert!(!bench.has_power().await, "the board was left with power");
    let left: Vec<_> = fs_err::read_dir(&served).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    bench.rack.stop().await.unwrap();
}

pub(crate) fn smoke() -> Vec<(String, String)> {
    [("uname", "pass"), ("memory", "pass"), ("nothing", "fail")]
        .map(|(name, result)| (name.to_owned(), result.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn arm64_boots_from_the_directory_of_another_server() {
    boots("arm64", &ARM64).await;
}

#[tokio::test]
async fn armhf_boots_from_the_directory_of_another_server() {
    boots("armhf", &ARMHF).await;
}

#[tokio::test]
async fn arm64_boots_from_our_own_server_and_the_log_tells_what_was_loaded() {
    let Ok(firmware) = rack::uboot::firmware() else {
        skipped("our own U-Boot is not here; tools/uboot builds it");
        return;
    };
    let bench = Bench::new("arm64", &ARM64, |_, of_board, _| *of_board = Some(firmware)).await;
    let Some(bench) = bench else { return };
    let options = ["--dispatcher-ip", "10.0.2.2", "--tftp", "127.0.0.1:0"];
    let run = bench
        .run(&bench.job(&ARM64), &bench.device(&ARM64), &options)
        .await;
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.cases("0_smoke"), smoke());
    let log = fs_err::read_to_string(run.directory.join("logs.yaml")).unwrap();
    for file in ["kernel/kernel", "ramdisk/ramdisk.cpio.gz.uboot"] {
        let told = log
            .lines()
            .find(|line| line.contains("TFTP") && line.contains(file));
        let told = told.unwrap_or_else(|| panic!("no transfer of {file} in {log}"));
        assert!(told.contains(" bytes in "), "{told}");
    }
    bench.rack.stop().await.unwrap();
}
