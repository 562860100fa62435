//! Jobs that a real LAVA was recorded with, run here: the same cases with the same results.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{Finished, Run, board_images, demo_images, skipped};
use reference_data::reference_data;
use std::{collections::BTreeMap, path::Path};
use yaml::{Limits, Node};

#[test]
fn recorded_qemu_job_gives_the_recorded_results() {
    let (Some(reference), Some(images)) = (reference_data(""), demo_images()) else {
        return;
    };
    let golden = reference.join("golden/peer/qemu");
    let directory = tempfile::tempdir().unwrap();
    let Some(ramdisk) = ramdisk_named(&images, "lavavm", directory.path()) else {
        return;
    };
    let definitions = directory.path().join("testdefs");
    commit(
        &definitions,
        "defs/parsed.yaml",
        &golden.join("testdefs/parsed.yaml"),
    );

    let job = fs_err::read_to_string(golden.join("job.yaml"))
        .unwrap()
        .replace(
            "/srv/peer/img/vmlinuz",
            &images.join("vmlinuz").display().to_string(),
        )
        .replace(
            "/srv/peer/img/ramdisk.cpio.gz",
            &ramdisk.display().to_string(),
        )
        .replace("/srv/peer/testdefs", &definitions.display().to_string());
    let job_file = directory.path().join("job.yaml");
    fs_err::write(&job_file, job).unwrap();

    let run = Run::new(&job_file, directory.path())
        .arg("--device")
        .arg(golden.join("device.yaml"))
        .arg("--env-dut")
        .arg(golden.join("env.yaml"))
        .args(["--job-id", "1003"])
        .env("PUMICE_LOCK_DIR", directory.path().join("locks"))
        .finish();
    compare(&run, &golden);
}

#[test]
fn recorded_uboot_job_gives_the_recorded_results() {
    let (Some(reference), Some(images)) = (reference_data(""), board_images("arm64")) else {
        return;
    };
    let golden = reference.join("golden/peer/uboot");
    let directory = tempfile::tempdir().unwrap();
    let served = directory.path().join("served");
    fs_err::create_dir(&served).unwrap();
    let Some(ramdisk) = ramdisk_named(&images, "lavavm", directory.path()) else {
        return;
    };
    // The recorded board: QEMU with a TFTP server of its own, which serves this directory.
    let device = fs_err::read_to_string(golden.join("device.yaml")).unwrap();
    let device = device.replace("/srv/tftp", &served.display().to_string());
    let job = fs_err::read_to_string(golden.join("job.yaml"))
        .unwrap()
        .replace(
            "/srv/peer/arm/Image",
            &images.join("kernel").display().to_string(),
        )
        .replace(
            "/srv/peer/arm/ramdisk.cpio.gz",
            &ramdisk.display().to_string(),
        );
    let [device_file, job_file] =
        ["device.yaml", "job.yaml"].map(|name| directory.path().join(name));
    fs_err::write(&device_file, device).unwrap();
    fs_err::write(&job_file, job).unwrap();

    let run = Run::new(&job_file, directory.path())
        .arg("--device")
        .arg(&device_file)
        .args(["--job-id", "5002", "--dispatcher-ip", "10.0.2.2", "--tftp"])
        .arg(&served)
        .env("PUMICE_LOCK_DIR", directory.path().join("locks"))
        .finish();
    let [ours, recorded] = compare(&run, &golden);
    let addresses = |results: &[Node]| {
        let mut results = results.iter();
        let overlay = results.find(|result| text(result, "case") == "bootloader-overlay");
        let extra = overlay.unwrap().get("extra").unwrap();
        ["kernel_addr", "dtb_addr", "ramdisk_addr", "tee_addr"].map(|key| text(extra, key))
    };
    assert_eq!(addresses(&ours), addresses(&recorded));
}

/// Compares what a run and the recorded one report, and gives the results of both.
fn compare(run: &Finished, golden: &Path) -> [Vec<Node>; 2] {
    assert_eq!(run.code, 0, "{}", run.output);
    let recorded = results(&golden.join("logs.yaml"));
    let ours = results(&run.directory.join("logs.yaml"));
    assert_eq!(cases(&ours), cases(&recorded));
    assert_eq!(names_in_suite_lava(&ours), names_in_suite_lava(&recorded));
    [ours, recorded]
}

/// The `results` records of a LAVA log.
fn results(log: &Path) -> Vec<Node> {
    let text = fs_err::read_to_string(log).unwrap();
    let records = yaml::load(&text, &Limits::default()).unwrap();
    let records = records.as_sequence().unwrap().iter();
    records
        .filter(|record| record.get("lvl").and_then(Node::as_str) == Some("results"))
        .map(|record| record.get("msg").unwrap().clone())
        .collect()
}

/// What a test reported, in order: suite, case, result, set, measurement, units, reference.
fn cases(results: &[Node]) -> Vec<Vec<String>> {
    let fields = [
        "definition",
        "case",
        "result",
        "set",
        "measurement",
        "units",
        "reference",
    ];
    results
        .iter()
        .filter(|result| text(result, "definition") != "lava")
        .map(|result| fields.iter().map(|field| text(result, field)).collect())
        .collect()
}

/// How often each case of the suite `lava` came, with its result.
fn names_in_suite_lava(results: &[Node]) -> BTreeMap<(String, String), usize> {
    let mut names = BTreeMap::new();
    for result in results
        .iter()
        .filter(|result| text(result, "definition") == "lava")
    {
        *names
            .entry((text(result, "case"), text(result, "result")))
            .or_default() += 1;
    }
    names
}

fn text(result: &Node, field: &str) -> String {
    result
        .get(field)
        .map(|value| format!("{:?}", value.value))
        .unwrap_or_default()
        .trim_start_matches("String(\"")
        .trim_end_matches("\")")
        .to_owned()
}

/// The demo's ramdisk with another host name: a second archive behind the first one.
fn ramdisk_named(images: &Path, name: &str, directory: &Path) -> Option<std::path::PathBuf> {
    let extra = directory.join("extra");
    fs_err::create_dir_all(extra.join("etc")).unwrap();
    fs_err::write(extra.join("etc/hostname"), format!("{name}\n")).unwrap();
    let archive = integration::shell(
        "cd \"$1\" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -9n",
        &extra,
    );
    let Some(archive) = archive else {
        skipped("cpio is not installed");
        return None;
    };
    let mut ramdisk = fs_err::read(images.join("ramdisk.cpio.gz")).unwrap();
    ramdisk.extend(archive);
    let path = directory.join("ramdisk.cpio.gz");
    fs_err::write(&path, ramdisk).unwrap();
    Some(path)
}

/// A git repository with one file, on branch main.
fn commit(repository: &Path, name: &str, content: &Path) {
    let file = repository.join(name);
    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
    fs_err::copy(content, &file).unwrap();
    let script = "cd \"$1\" && git init -q -b main && git add . && \
         git -c user.name=test -c user.email=test@localhost commit -q -m definitions";
    assert!(
        integration::shell(script, repository).is_some(),
        "git failed"
    );
}
