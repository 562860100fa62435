//! Jobs run by `pumice run` for Debian's lava-server, which has to take their logs and results and
//! show the same as the files that were written here. Skipped unless `PUMICE_INTEROP` is set; see
//! docs/interop.md.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "what was compared is worth seeing")]

mod compare;
mod http;
mod server;
mod worker;

use integration::{demo_images, root, skipped};
use server::{Server, wait_until};
use std::{path::PathBuf, time::Instant};
use worker::{Meanwhile, Worker};

/// A job and how it has to end.
struct Case {
    /// Its file in `tests/interop/jobs`.
    job: &'static str,
    meanwhile: Meanwhile,
    is_public: bool,
    /// What its tests report is within the limits of the server.
    is_within_limits: bool,
    code: i32,
    health: &'static str,
    error_type: &'static str,
    /// A fault of the lab makes the server doubt the device.
    device_health: &'static str,
}

const COMPLETE: Case = Case {
    job: "reports",
    meanwhile: Meanwhile::Wait,
    is_public: true,
    is_within_limits: true,
    code: 0,
    health: "Complete",
    error_type: "",
    device_health: "Good",
};

const CASES: [Case; 6] = [
    COMPLETE,
    Case {
        job: "limits",
        is_within_limits: false,
        ..COMPLETE
    },
    Case {
        job: "prompt",
        code: 4,
        health: "Incomplete",
        error_type: "Job",
        ..COMPLETE
    },
    Case {
        job: "broken",
        code: 5,
        health: "Incomplete",
        error_type: "Infrastructure",
        device_health: "Unknown",
        ..COMPLETE
    },
    Case {
        job: "canceled",
        meanwhile: Meanwhile::Cancel("board login"),
        is_public: false,
        code: 130,
        health: "Canceled",
        error_type: "Canceled",
        ..COMPLETE
    },
    Case {
        job: "qemu",
        ..COMPLETE
    },
];

#[test]
fn a_lava_server_takes_logs_and_results() {
    if std::env::var_os("PUMICE_INTEROP").is_none() {
        skipped("PUMICE_INTEROP is not set; see docs/interop.md");
        return;
    }
    let started = Instant::now();
    let Some(server) = Server::start() else {
        return;
    };
    let version = server.lavacli(&["system", "version"]);
    eprintln!(
        "lava-server {} is up after {:.1?}",
        version.trim(),
        started.elapsed()
    );
    let worker = Worker::register(&server);
    server.add_devices(&["scripted", "limits", "broken", "qemu"]);
    for case in CASES {
        if let Some(job) = job_file(&server, case.job) {
            run(&server, &worker, &case, &job);
        }
    }
    eprintln!("all jobs after {:.1?}", started.elapsed());
}

fn run(server: &Server, worker: &Worker<'_>, case: &Case, job: &std::path::Path) {
    let started = Instant::now();
    let report = worker.run(job, case.meanwhile);
    assert_eq!(
        report.code,
        case.code,
        "{}: {}",
        case.job,
        report.directory.display()
    );

    let status = server.rest(&format!("jobs/{}/", report.id));
    assert_eq!(status["state"], "Finished", "{}", case.job);
    assert_eq!(status["health"], case.health, "{}", case.job);
    // The server notes here what it could not make sense of.
    assert_eq!(
        status["failure_comment"],
        serde_json::Value::Null,
        "{}",
        case.job
    );
    let name = status["actual_device"].as_str().unwrap();
    let device = wait_until("an idle device", || {
        Some(server.rest(&format!("devices/{name}/"))).filter(|device| device["state"] == "Idle")
    });
    assert_eq!(device["health"], case.device_health, "{}", case.job);

    let result = fs_err::read_to_string(report.directory.join("result.yaml")).unwrap();
    let result = yaml::load(&result, &yaml::Limits::default()).unwrap();
    let error_type = result.get("error_type").and_then(yaml::Node::as_str);
    assert_eq!(
        error_type.unwrap_or_default(),
        case.error_type,
        "{}",
        case.job
    );

    // The secret of the job that is not public, which its board prints.
    let shows = |text| report.lines.iter().any(|line| line.contains(text));
    assert!(
        case.is_public || !shows("Scripted Linux 1.0"),
        "a secret shows"
    );
    assert!(case.is_public || shows("[MASKED] board"), "none was hidden");

    let compared = compare::all(server, &report, case.is_public, case.is_within_limits);
    eprintln!(
        "{}: {} in {:.1?}; {} lines in {} requests ({} sent again); {} cases, {} measurements, {} \
         in sets; {} rows of exports",
        case.job,
        case.health,
        started.elapsed(),
        report.lines.len(),
        report.requests,
        report.repeated,
        compared.cases,
        compared.measurements,
        compared.sets,
        compared.export_rows,
    );
}

/// The definition, with the paths of this machine.
fn job_file(server: &Server, name: &str) -> Option<PathBuf> {
    let file = root().join(format!("tests/interop/jobs/{name}.yaml"));
    let mut text = fs_err::read_to_string(file).unwrap();
    if text.contains("{images}") {
        text = text.replace("{images}", &demo_images()?.display().to_string());
    }
    let file = server.directory().join(format!("{name}.yaml"));
    fs_err::write(&file, text).unwrap();
    Some(file)
}
