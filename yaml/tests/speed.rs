//! How long a load takes, beside PyYAML's C loader on the same machine.
//!
//! `cargo test --release -p yaml --test speed -- --ignored --nocapture`

mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use support::{Oracle, hex};
use yaml::{Limits, load};

/// What a job costs to load decides how long a server with a thousand of them takes to start.
const LEAST_RATIO: f64 = 5.0;

/// A job definition with many actions.
fn job() -> String {
    let mut text = "job_name: many actions\ntimeouts:\n  job: {minutes: 10}\nactions:\n".to_owned();
    for number in 0..200 {
        let _ = write!(
            text,
            "- deploy:\n    to: tmpfs\n    timeout: {{minutes: {number}}}\n    images:\n      rootfs:\n        \
             url: https://example.org/images/{number}/rootfs.img.gz\n        compression: gz\n\
             - test:\n    definitions:\n    - from: inline\n      name: smoke-{number}\n      path: inline/smoke.yaml\n      \
             repository:\n        metadata: {{format: Lava-Test Test Definition 1.0, name: smoke}}\n        run:\n          \
             steps:\n          - lava-test-case uname --shell uname -a\n          - |\n            for i in 1 2 3; do\n              \
             echo \"step $i\"\n            done\n"
        );
    }
    text
}

/// A log of results, one flow mapping a line.
fn log() -> String {
    (0..5000).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "- {{\"dt\": \"2026-01-02T03:04:05.678901+00:00\", \"lvl\": \"target\", \"msg\": \"[    {number}.123456] usb 1-1: new \
             high-speed USB device number {number} using xhci_hcd\"}}"
        );
        text
    })
}

/// The best of some runs.
fn best_time(text: &str) -> f64 {
    let limits = Limits::default();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        let node = load(text, &limits).expect("a document");
        best = best.min(start.elapsed().as_secs_f64());
        drop(node);
    }
    best
}

#[test]
#[ignore = "measures: wants an optimised build and an idle machine"]
fn loads_faster_than_pyyaml() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut documents = vec![("job".to_owned(), job()), ("log".to_owned(), log())];
    if let Some(shared) = reference_data::reference_data("") {
        let folder = fs_err::read_dir(shared.join("corpus/rendered")).expect("rendered devices");
        let mut paths: Vec<_> = folder
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        for path in paths.iter().step_by(20) {
            let text = fs_err::read_to_string(path).expect("text");
            documents.push((
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into(),
                text,
            ));
        }
    }
    let mut least = f64::INFINITY;
    for (name, text) in documents {
        let ours = best_time(&text);
        let theirs = oracle
            .ask(&[format!("time {}", hex(text.as_bytes()))])
            .remove(0);
        let theirs: f64 = theirs.parse().expect("seconds");
        let ratio = theirs / ours;
        least = least.min(ratio);
        println!(
            "{name:40} {:8} bytes  {:9.1} µs, PyYAML {:9.1} µs: {ratio:.1} times, {:.0} MB/s",
            text.len(),
            ours * 1e6,
            theirs * 1e6,
            text.len() as f64 / ours / 1e6,
        );
    }
    assert!(
        least >= LEAST_RATIO,
        "only {least:.1} times as fast as PyYAML"
    );
}
