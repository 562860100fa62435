//! The runner is killed at any point: nothing runs on, the journal tells what happened up to then,
//! and what is left is given back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{BOOT, Finished, Lab, OVERLAY, Run, Running, demo_images, deploy, inline, job};
use rustix::process::Signal;
use std::{
    hash::{BuildHasher, RandomState},
    path::Path,
    time::{Duration, Instant},
};

/// How many points of a job are tried.
const POINTS: u32 = 20;

#[test]
fn killed_at_any_point_leaves_what_can_be_recovered() {
    let mut random = Random::new();
    let whole = Instant::now();
    let finished = run(&Lab::new()).finish();
    assert_eq!(finished.code, 0, "{}", finished.output);
    // The clean-up of a job that is over may be hit, too.
    let longest = whole.elapsed();
    let mut recovered = 0;
    for _ in 0..POINTS {
        let lab = Lab::new();
        let mut running = run(&lab).start();
        running.run_for(random.below(longest));
        recovered += u32::from(kill_and_recover(&lab, running));
        // A job runs again, with the same board.
        // It may have been killed before it made one.
        let _ = fs_err::remove_dir_all(lab.path("output"));
        let again = run(&lab).finish();
        assert_eq!(again.code, 0, "{}", again.output);
        assert_eq!(again.cases("0_board").len(), 4);
        assert_eq!(lab.leftovers(&again.directory), [""; 0]);
    }
    assert!(
        recovered > 0,
        "the job was over each time: {longest:?} is too long"
    );
}

#[test]
fn canceled_at_any_point_leaves_nothing() {
    let mut random = Random::new();
    let whole = Instant::now();
    let finished = run(&Lab::new()).finish();
    assert_eq!(finished.code, 0, "{}", finished.output);
    let longest = whole.elapsed();
    for _ in 0..POINTS {
        let lab = Lab::new();
        let mut running = run(&lab).start();
        running.run_for(random.below(longest));
        running.signal(Signal::INT);
        let finished = running.finish();
        // Before it reads the job it ends as every program does, and at its end it is complete.
        assert!([-1, 0, 130].contains(&finished.code), "{}", finished.output);
        assert_eq!(lab.leftovers(&finished.directory), [""; 0]);
        if finished.code == -1 {
            assert!(!finished.directory.join("journal").exists());
        }
    }
}

#[test]
fn killed_qemu_job_takes_its_machine_along() {
    let Some(images) = demo_images() else {
        return;
    };
    for text in ["Boot command:", "Linux version", "STARTRUN"] {
        let lab = Lab::new();
        let mut running = qemu(&lab, &images).start();
        running.wait_for(text);
        assert!(kill_and_recover(&lab, running), "killed at {text:?}");
    }
}

#[test]
fn what_a_power_command_started_is_ended_by_recovery() {
    let lab = Lab::new();
    let mut device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    let power = lab.path("power");
    let script = format!(
        "echo on >>{}; sleep 1000 & echo started; wait",
        power.display()
    );
    device["commands"]["hard_reset"] = format!("sh -c '{script}'").into();
    let run = lab.run(&job(&[OVERLAY, BOOT]), &device);
    let mut running = run.args(["--format", "lava"]).start();
    running.wait_for(">> started");
    running.signal(Signal::KILL);
    let killed = running.finish();
    // The kernel ends the command itself, not what that started in the background.
    let recovered = lab.command("recover", &killed.directory).finish();
    assert_eq!(recovered.code, 0, "{}", recovered.output);
    assert_eq!(lab.leftovers(&killed.directory), [""; 0]);
}

#[test]
fn canceled_while_unpacking_leaves_nothing() {
    let mut random = Random::new();
    let mut archive = tar::Builder::new(Vec::new());
    for number in 0..5000 {
        let mut header = tar::Header::new_gnu();
        header.set_size(9);
        header.set_mode(0o644);
        let name = format!("some/directory/file-{number}");
        archive
            .append_data(&mut header, name, &b"something"[..])
            .unwrap();
    }
    let archive = archive.into_inner().unwrap();
    for _ in 0..5 {
        let lab = Lab::new();
        lab.file("rootfs.tar", &archive);
        let image = format!("url: '{}', archive: tar", lab.url("rootfs.tar"));
        let device = lab.device("true");
        let mut running = lab
            .run(&job(&[&deploy(&[("rootfs", &image)])]), &device)
            .start();
        running.wait_for("download-retry");
        running.run_for(random.below(Duration::from_millis(200)));
        running.signal(Signal::INT);
        let finished = running.finish();
        assert!([0, 130].contains(&finished.code), "{}", finished.output);
        assert_eq!(lab.leftovers(&finished.directory), [""; 0]);
    }
}

#[test]
fn recovering_a_running_job_is_refused() {
    let lab = Lab::new();
    let device = lab.device(&lab.board_of_the_rack("silent.board", ""));
    let mut running = lab.run(&job(&[OVERLAY, BOOT]), &device).start();
    running.wait_for("Parsing kernel messages");
    let refused = lab.command("recover", &lab.path("output")).finish();
    assert_eq!(refused.code, 5, "{}", refused.output);
    assert!(
        refused.output.contains("still running"),
        "{}",
        refused.output
    );
    assert_eq!(lab.noted("power"), ["on"]);
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(finished.code, 130);
    assert_eq!(lab.leftovers(&finished.directory), [""; 0]);
}

#[test]
fn recovering_again_tries_what_failed() {
    let lab = Lab::new();
    let mut device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    let works = lab.path("works");
    let script = lab.file(
        "off.sh",
        format!(
            "[ -e {} ] && echo off >>{}",
            works.display(),
            lab.path("power").display()
        ),
    );
    device["commands"]["power_off"] = format!("sh {}", script.display()).into();
    let finished = lab.run(&job(&[OVERLAY, BOOT]), &device).finish();
    assert_eq!(finished.code, 5, "{}", finished.output);
    assert_eq!(lab.noted("power"), ["on"], "the outlet does not work");

    fs_err::write(works, "").unwrap();
    let recovered = lab.command("recover", &finished.directory).finish();
    assert_eq!(recovered.code, 0, "{}", recovered.output);
    assert_eq!(lab.noted("power"), ["on", "off"]);
    let nothing = lab.command("recover", &finished.directory).finish();
    assert_eq!(nothing.code, 0, "{}", nothing.output);
    assert_eq!(lab.noted("power"), ["on", "off"]);
}

#[test]
fn a_directory_without_a_job_is_refused() {
    let lab = Lab::new();
    for subcommand in ["recover", "report"] {
        let refused = lab.command(subcommand, &lab.path("home")).finish();
        assert_eq!(refused.code, 5, "{}", refused.output);
        assert!(refused.output.contains("journal"), "{}", refused.output);
        assert_eq!(lab.leftovers(&lab.path("home")), [""; 0]);
    }
    lab.file("empty/journal", "");
    let refused = lab.command("recover", &lab.path("empty")).finish();
    assert_eq!(refused.code, 5, "{}", refused.output);
}

fn run(lab: &Lab) -> Run {
    lab.file("kernel", vec![7; 1 << 20]);
    let settings = "flood_boot=2000 hold=20ms level=2.2.1";
    let device = lab.device(&lab.board_of_the_rack("linux.board", settings));
    let image = format!("url: '{}'", lab.url("kernel"));
    let deploy = deploy(&[("kernel", &image)]).replace("to: tmpfs", "to: tmpfs\n    namespace: x");
    let [boot, test] =
        [BOOT, &inline("")].map(|block| block.replacen(":\n", ":\n    namespace: y\n", 1));
    let overlay = "- deploy: {to: overlay, os: oe, namespace: y}\n";
    let blocks = [&deploy, overlay, &boot, &test];
    lab.run(&job(&blocks), &device)
}

fn qemu(lab: &Lab, images: &Path) -> Run {
    let template = fs_err::read_to_string(integration::root().join("demo/job.yaml")).unwrap();
    let text = template.replace("{images}", &images.display().to_string());
    let job = lab.file("job.yaml", text);
    let run = lab.own(Run::new(&job, &lab.path("")));
    run.args(["--device-type", "qemu"])
}

/// Kills a run with all checks of what is left. Says whether there was anything to recover.
fn kill_and_recover(lab: &Lab, running: Running) -> bool {
    running.signal(Signal::KILL);
    let killed = running.finish();
    assert_eq!(lab.processes().left(), [""; 0], "something runs on");
    if !killed.directory.join("journal").exists() {
        assert_eq!(lab.leftovers(&killed.directory), [""; 0]);
        return false;
    }
    let log = killed.file("logs.yaml");
    let rebuilt = report(lab, &killed.directory, "rebuilt");
    assert_continues(&rebuilt.file("logs.yaml"), &log);

    let recovered = lab.command("recover", &killed.directory).finish();
    if recovered.code != 0 {
        // It was killed before it began.
        assert!(
            recovered.output.contains("never began"),
            "{}",
            recovered.output
        );
        return false;
    }
    assert_eq!(lab.leftovers(&killed.directory), [""; 0]);
    let whole = recovered.file("logs.yaml");
    assert_continues(&whole, &rebuilt.file("logs.yaml"));
    assert!(
        whole.ends_with('\n'),
        "the log ends in the middle of a line"
    );
    assert_eq!(
        report(lab, &killed.directory, "again").file("logs.yaml"),
        whole
    );
    let results = recovered.results().unwrap();
    let is_over = results["verdict"]["state"] != "unfinished";
    assert!(is_over, "the job is {}", results["verdict"]);
    recovered.output.contains("gave back")
}

/// Makes the views of a job anew, elsewhere.
fn report(lab: &Lab, directory: &Path, name: &str) -> Finished {
    let target = lab.path(name);
    let run = lab.own(Run::bare("report", &target)).arg(directory);
    let finished = run.arg("--output-dir").arg(&target).finish();
    let is_none = finished.output.contains("never began");
    assert!(finished.code == 0 || is_none, "{}", finished.output);
    finished
}

/// Whether a log begins with all whole lines of another.
fn assert_continues(log: &str, earlier: &str) {
    let whole = earlier.rfind('\n').map_or("", |end| &earlier[..=end]);
    assert!(
        log.starts_with(whole),
        "the log changed; before:\n{whole}\nnow:\n{log}"
    );
}

/// Random durations from a seed that a failure shows (splitmix64).
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = match std::env::var("PUMICE_TEST_SEED") {
            Ok(seed) => seed.parse().expect("PUMICE_TEST_SEED is a number"),
            Err(_) => RandomState::new().hash_one(0),
        };
        integration::say(&format!("PUMICE_TEST_SEED={seed}"));
        Self(seed)
    }

    fn below(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let parts = u32::try_from(mixed % 10_000).expect("it is below 10,000");
        most * parts / 10_000
    }
}
