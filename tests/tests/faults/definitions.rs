//! Jobs, devices and command lines that are refused before anything is touched.

use crate::table::{CommandLine, Definition, JOB, TEST, section};
use integration::{BOOT, Finished, Lab, OVERLAY, inline, job};
use serde_json::Value;

section! {
    "Definitions";

    yaml_bomb: "a YAML bomb of aliases"
        => Definition, "aliases add more than 100000 nodes", "",
        |lab| refused_job(lab, &bomb());
    yaml_deep_nesting: "YAML nested 100,000 deep"
        => Definition, "collections are nested deeper than 128 levels", "",
        |lab| refused_job(lab, &format!("actions: {}", "[".repeat(100_000)));
    yaml_broken: "a file that is not YAML"
        => Definition, "job.yaml:2:8: did not find expected ',' or ']'", "",
        |lab| refused_job(lab, "job_name: [a\nactions: }\n");
    yaml_huge: "a job of 20 MB"
        => Definition, "job.yaml is larger than 16 MiB", "",
        |lab| refused_job(lab, &"# comment\n".repeat(2_000_000));
    yaml_endless: "a job that never ends (`/dev/zero`)"
        => Definition, "/dev/zero is larger than 16 MiB", "",
        |lab| {
            let device = lab.file("device.yaml", lab.device("true").to_string());
            Some(lab.run_files("/dev/zero".as_ref(), &device).finish())
        };
    yaml_not_text: "a job that is not UTF-8"
        => Definition, "job.yaml:1: this is not UTF-8", "",
        |lab| refused_bytes(lab, b"job_name: \xff\xfe\n");
    yaml_empty: "an empty job"
        => Definition, "job.yaml: expected a map, found nothing", "",
        |lab| refused_job(lab, "");
    unknown_key: "an unknown key"
        => Definition, "job.yaml:3:1: unknown key \"timeuts\"", "did you mean \"timeouts\"",
        |lab| refused_job(lab, &complete_job().replace("timeouts:", "timeuts:"));
    unknown_method: "an unknown method"
        => Definition, "there is no deploy method \"overlya\"", "did you mean \"overlay\"",
        |lab| refused_job(lab, &complete_job().replace("to: overlay", "to: overlya"));
    several_problems: "several problems at once"
        => Definition, "unknown key \"jobname\"", "visibility",
        |lab| {
            let text = complete_job().replace("job_name:", "jobname:");
            refused_job(lab, &text.replace("visibility: public", "visibility: nobody"))
        };
    negative_timeout: "a time that is negative"
        => Definition, "timeouts.job.minutes: expected an integer of at least 1, found -2", "",
        |lab| refused_job(lab, &complete_job().replace("{minutes: 2}", "{minutes: -2}"));
    job_missing: "a job that is not there"
        => Definition, "nowhere.yaml`: No such file or directory", "",
        |lab| {
            let device = lab.file("device.yaml", lab.device("true").to_string());
            Some(lab.run_files(&lab.path("nowhere.yaml"), &device).finish())
        };
    job_is_directory: "a job that is a directory"
        => Definition, "Is a directory", "",
        |lab| {
            let device = lab.file("device.yaml", lab.device("true").to_string());
            Some(lab.run_files(&lab.path("home"), &device).finish())
        };
    bad_prompt: "a prompt that is no regular expression"
        => TEST, "Invalid regular expression 'root@(board'", "",
        |lab| refused_job(lab, &complete_job().replace("'root@board:'", "'root@(board'"));

    device_is_no_map: "a device that is a list"
        => Definition, "device.yaml:1:1: expected a map, found a list", "",
        |lab| refused_device(lab, &serde_json::json!(["connect"]));
    device_without_actions: "a device without actions"
        => Definition, "device.yaml:1:1: \"actions\" is missing", "",
        |lab| {
            let mut device = lab.device("true");
            device.as_object_mut().unwrap().remove("actions");
            refused_device(lab, &device)
        };
    device_lacks_method: "a method that the device does not have"
        => Definition, "cannot boot with `minimal`", "",
        |lab| {
            let mut device = lab.device("true");
            device["actions"]["boot"]["methods"] = serde_json::json!({"qemu": null});
            refused_device(lab, &device)
        };
    device_type_unknown: "a device type that nobody knows"
        => Definition, "there is no template \"no-such-type.jinja2\"", "qemu, serial, ssh",
        |lab| {
            let job = lab.file("job.yaml", complete_job());
            let run = lab.own(integration::Run::new(&job, &lab.path("")));
            Some(run.args(["--device-type", "no-such-type"]).finish())
        };
    device_template_broken: "a device template with a mistake"
        => Definition, "board.jinja2:2: unexpected end of block", "",
        |lab| {
            let job = lab.file("job.yaml", complete_job());
            let device = lab.file("board.jinja2", "{% extends 'serial.jinja2' %}\n{% set x = %}\n");
            Some(lab.run_files(&job, &device).finish())
        };

    option_unknown: "an unknown option"
        => CommandLine, "unexpected argument '--no-such-option'", "",
        |lab| with_arguments(lab, &["--no-such-option"]);
    definition_of_nothing: "`-D` without a value"
        => CommandLine, "-D nonsense: expected KEY=VALUE", "",
        |lab| {
            let job = lab.file("job.yaml", complete_job());
            let run = lab.own(integration::Run::new(&job, &lab.path("")));
            Some(run.args(["--device-type", "serial", "-D", "nonsense"]).finish())
        };

    unsupported_deploy: "a method that Pumice cannot run yet (deploy to fastboot)"
        => JOB, "cannot run deploy to: fastboot", "pumice plan",
        |lab| {
            let deploy = "- deploy: {to: fastboot, os: oe, images: {boot: {url: 'http://127.0.0.1:1/boot'}}}\n";
            let job = job(&[deploy, BOOT, &inline("")]);
            untouched(lab, &job)
        };
    unsupported_transfer_nfs: "a way to transfer the overlay that Pumice does not have (nfs)"
        => JOB, "cannot run transfer_overlay by nfs", "pumice plan",
        |lab| untouched(lab, &transferring("download_command: mount, transfer_method: nfs"));
    unsupported_transfer_zmodem: "a way to transfer the overlay that Pumice does not have (zmodem)"
        => JOB, "cannot run transfer_overlay by zmodem", "pumice plan",
        |lab| untouched(lab, &transferring("transfer_method: zmodem"));
    transfer_without_command: "transfer_overlay by http without a download_command"
        => Definition, "needs a command that fetches a URL", "download_command",
        |lab| untouched(lab, &transferring("transfer_method: http"));
}

/// A job that transfers its overlay with these keys.
fn transferring(keys: &str) -> String {
    let boot = format!("{BOOT}    transfer_overlay: {{unpack_command: tar -xzf, {keys}}}\n");
    job(&[OVERLAY, &boot, &inline("")])
}

/// Runs a job that is refused before the board has power.
fn untouched(lab: &Lab, job: &str) -> Option<Finished> {
    let finished = lab.run(job, &lab.device("true")).finish();
    assert!(lab.noted("power").is_empty(), "the board was touched");
    Some(finished)
}

/// A job that would run.
fn complete_job() -> String {
    job(&[OVERLAY, BOOT, &inline("")])
}

fn refused_job(lab: &Lab, text: &str) -> Option<Finished> {
    refused_bytes(lab, text.as_bytes())
}

fn refused_bytes(lab: &Lab, text: &[u8]) -> Option<Finished> {
    let job = lab.file("job.yaml", text);
    let device = lab.file("device.yaml", lab.device("true").to_string());
    Some(lab.run_files(&job, &device).finish())
}

fn refused_device(lab: &Lab, device: &Value) -> Option<Finished> {
    Some(lab.run(&complete_job(), device).finish())
}

fn with_arguments(lab: &Lab, arguments: &[&str]) -> Option<Finished> {
    let run = lab.run(&complete_job(), &lab.device("true"));
    Some(run.args(arguments).finish())
}

/// Nine levels of nine references each: a third of a billion nodes.
fn bomb() -> String {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..10 {
        let reference = format!("*a{}", level - 1);
        let references = vec![reference; 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{references}]\n"));
    }
    text
}
