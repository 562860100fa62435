//! The benchmark works. What it measures is not judged here: a machine that runs tests is busy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program is started as a user would"
)]
fn a_quick_run_gives_every_figure() {
    let bench = Path::new(env!("CARGO_BIN_EXE_bench"));
    let [pumice, rack] = ["pumice", "rack"].map(|name| bench.with_file_name(name));
    if !(pumice.is_file() && rack.is_file()) {
        eprintln!("SKIPPED: build the programs first: cargo build -p pumice -p rack");
        return;
    }
    let output = std::process::Command::new(bench)
        .args(["--quick", "--json", "--pumice"])
        .arg(pumice)
        .arg("--rack")
        .arg(rack)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = |case: usize| report["cases"][case]["rows"].as_array().unwrap().len();
    let rows: Vec<usize> = (0..8).map(rows).collect();
    assert_eq!(rows, [5, 6, 6, 6, 6, 5, 5, 7], "{report}");
    let memory = &report["cases"][0]["rows"][3]["pumice"]["median"];
    assert!(memory.as_f64().unwrap() > 1.0, "{report}");
}
