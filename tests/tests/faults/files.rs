//! Output directories that cannot be written, and disks that are full.

use crate::table::{CommandLine, Host, INFRASTRUCTURE, Unwritten, section};
use integration::{BOOT, Finished, Lab, OVERLAY, Run, deploy, inline, is_root, job};
use std::path::Path;

section! {
    "Files of this host";

    output_is_file: "an output directory that is a file"
        => Host, "File exists", "",
        |lab| {
            lab.file("output", "");
            Some(run(lab).finish())
        };
    output_not_writable: "an output directory that may not be written"
        => Host, "failed to create directory `/proc/pumice`", "",
        |lab| {
            let job = lab.file("job.yaml", job(&[OVERLAY, BOOT, &inline("")]));
            let device = lab.file("device.yaml", lab.device("true").to_string());
            let run = lab.own(Run::bare("run", Path::new("/proc/pumice"))).arg(job);
            Some(run.arg("--device").arg(device).args(["-o", "/proc/pumice"]).finish())
        };
    job_id_used: "an output directory that has a job already"
        => CommandLine, "holds a job already", "--output-dir",
        |lab| {
            let first = run(lab).finish();
            assert_eq!(first.code, 0, "{}", first.output);
            let log = first.file("logs.yaml");
            let second = run(lab).finish();
            assert_eq!(second.file("logs.yaml"), log, "the first job's log was touched");
            // The rest of the row is about the second job, which must not have begun.
            fs_err::remove_dir_all(&second.directory).unwrap();
            Some(second)
        };
    disk_full_while_downloading: "a disk that is full while downloading"
        => INFRASTRUCTURE, "No space left", "make room",
        |lab| {
            lab.file("kernel", vec![7; 8 << 20]);
            let keys = format!("url: '{}'", lab.url("kernel"));
            let job = job(&[&deploy(&[("kernel", &keys)]), BOOT]);
            on_small_disk(lab, &job, "")
        };
    disk_full_while_logging: "a disk that is full while the board prints"
        => Unwritten, "no space left", "room",
        |lab| on_small_disk(lab, &job(&[OVERLAY, BOOT, &inline("")]), "flood_boot=1000000000");
}

fn run(lab: &Lab) -> Run {
    let device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device)
}

/// Runs a job whose output directory is a file system of 4 MiB, which nobody else can see. What
/// it leaves is copied out of it.
fn on_small_disk(lab: &Lab, job: &str, settings: &str) -> Option<Finished> {
    if !is_root() {
        return None;
    }
    let device = lab.device(&lab.board_of_the_rack("linux.board", settings));
    let (job, device) = (
        lab.file("job.yaml", job),
        lab.file("device.yaml", device.to_string()),
    );
    let script = "mkdir small && mount -t tmpfs -o size=4m none small || exit 99\n\
        \"$1\" run \"$2\" --device \"$3\" --output-dir small/job --cache-dir cache --format plain\n\
        code=$?\ncp -r small/job output\nexit $code\n";
    let script = lab.file(
        "small.sh",
        format!("cd {} || exit 99\n{script}", lab.path("").display()),
    );
    let unshare = Path::new("unshare");
    let run = lab.own(Run::of(unshare, &lab.path("output")));
    let run = run.args(["--mount", "sh"]).arg(script);
    let finished = run.arg(integration::pumice()).arg(job).arg(device).finish();
    if finished.code == 99 {
        integration::skipped("this host does not let us mount a file system");
        return None;
    }
    Some(finished)
}
