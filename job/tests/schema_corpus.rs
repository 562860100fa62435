//! Jobs and devices of real labs pass the checks.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use job::schema::{InFile, check_device, check_job};
use reference_data::reference_data;
use std::path::{Path, PathBuf};

/// What `check` finds in the files of a folder.
fn problems(folder: &Path, check: fn(&yaml::Node) -> Vec<job::Problem>) -> (usize, Vec<String>) {
    let mut files: Vec<PathBuf> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in &files {
        let text = fs_err::read_to_string(file).unwrap();
        let node = yaml::load(&text, &yaml::Limits::default()).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        for problem in check(&node) {
            found.push(
                InFile {
                    file: &name,
                    problem: &problem,
                }
                .to_string(),
            );
        }
    }
    (files.len(), found)
}

#[test]
fn jobs_that_lava_accepts_have_no_problems() {
    let Some(jobs) = reference_data("corpus/jobs") else {
        return;
    };
    let (count, found) = problems(&jobs, check_job);
    assert!(count > 0);
    assert!(
        found.is_empty(),
        "{} problems:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn jobs_that_lava_ran_have_no_problems() {
    for folder in ["qemu", "fake", "uboot"] {
        let Some(folder) = reference_data(&format!("golden/peer/{folder}")) else {
            return;
        };
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let check: fn(&yaml::Node) -> Vec<job::Problem> = match name.as_str() {
                job if job.starts_with("job") && job.ends_with(".yaml") => check_job,
                device if device.starts_with("device") && device.ends_with(".yaml") => check_device,
                _ => continue,
            };
            let text = fs_err::read_to_string(&path).unwrap();
            let node = yaml::load(&text, &yaml::Limits::default()).unwrap();
            assert_eq!(check(&node), [], "{}", path.display());
        }
    }
}

#[test]
fn devices_that_lava_renders_have_no_problems() {
    let Some(devices) = reference_data("corpus/rendered") else {
        return;
    };
    let (count, found) = problems(&devices, check_device);
    assert!(count > 0);
    assert!(
        found.is_empty(),
        "{} problems:\n{}",
        found.len(),
        found.join("\n")
    );
}
