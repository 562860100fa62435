//! Every case on every board: those of the rack, or, with `PUMICE_SUITE=suite.toml`, real ones.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and shows each case"
)]

use rack::{PduConfig, Rack, RackConfig};
use std::{path::Path, time::Instant};
use suite::{CASES, Outcome, Report, Suite};

fn judge(reports: &[Report], begun: Instant) {
    let wrong: Vec<String> = reports
        .iter()
        .filter(|report| !report.is_fine())
        .map(ToString::to_string)
        .collect();
    eprintln!("{} cases in {:.1?}", reports.len(), begun.elapsed());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_case_holds_on_every_board() {
    let begun = Instant::now();
    let show = |report: &Report| eprintln!("{report}");
    if let Some(file) = std::env::var_os("PUMICE_SUITE") {
        let suite = Suite::from_file(Path::new(&file)).unwrap();
        return judge(&suite.run(show).await, begun);
    }
    let boards = ["arm64", "armhf", "riscv64"];
    let mut config = RackConfig::built_in().unwrap().only(&boards).unwrap();
    config.pdu = PduConfig::default();
    let directory = tempfile::tempdir().unwrap();
    let rack = Rack::start(config, &directory.path().join("rack"))
        .await
        .unwrap();
    for (board, why) in rack.left_out() {
        eprintln!("SKIPPED: board {board} cannot run here: {why} (see `tools/packages rack`)");
    }
    let suite = suite::of_rack(&rack).unwrap();
    let reports = suite.run(show).await;
    assert_eq!(reports.len(), rack.boards().count() * CASES.len());
    judge(&reports, begun);
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn a_board_whose_serial_number_is_not_listed_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let switched = path("switched");
    let lab = format!(
        "[board.server]\nconsole = \"exec:touch {}\"\n",
        switched.display()
    );
    fs_err::write(path("lab.toml"), lab).unwrap();
    let text = "lab = \"lab.toml\"\nserials = [\"A50285BI\"]\n\
                [board.server]\ninterrupt = \"autoboot\"\nprompt = \"=> \"\n";
    fs_err::write(path("suite.toml"), text).unwrap();
    let suite = Suite::from_file(&path("suite.toml")).unwrap();
    let reports = suite.run(|_| ()).await;
    let [
        Report {
            outcome: Outcome::Refused(why),
            ..
        },
    ] = &reports[..]
    else {
        panic!("{reports:?}");
    };
    assert!(why.contains("no USB adapter with a serial number"), "{why}");
    assert!(!switched.exists(), "its console was opened");
    let error = Suite::from_file(&path("lab.toml")).unwrap_err();
    assert!(error.to_string().contains("lab.toml"), "{error}");
}
