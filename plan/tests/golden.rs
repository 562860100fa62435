//! The description that LAVA recorded for real jobs, and what such a plan tells the runner.

mod support;

use plan::{Action, Step};
use reference_data::reference_data;
use serde_json::{Value, json};
use std::path::Path;
use yaml::{Int, Node};

fn planned(folder: &Path, job: &str) -> plan::Plan {
    let read = |name: &str| {
        let text = fs_err::read_to_string(folder.join(name)).expect("a golden file");
        support::load(&text)
    };
    support::plan_nodes(&read(job), &read("device.yaml")).expect("the job has a tree")
}

/// The part of LAVA's description that others may depend on.
fn contract(list: &Node) -> Value {
    let entry = |action: &Node| {
        let text = |key: &str| action.get(key).and_then(Node::as_str).map(str::to_owned);
        let number = |key: &str| match action.get(key).map(|node| &node.value) {
            Some(yaml::Value::Int(Int::Small(number))) => *number,
            other => panic!("{key} is {other:?}"),
        };
        let mut out = json!({
            "level": text("level"),
            "name": text("name"),
            "max_retries": number("max_retries"),
            "timeout": number("timeout"),
        });
        if let Some(url) = text("url") {
            out["url"] = url.into();
        }
        if let Some(children) = action.get("pipeline") {
            out["pipeline"] = contract(children);
        }
        out
    };
    list.as_sequence()
        .expect("a list")
        .iter()
        .map(entry)
        .collect()
}

#[test]
fn descriptions_are_those_lava_recorded() {
    let Some(shared) = reference_data("") else {
        return;
    };
    for board in ["qemu", "uboot"] {
        let folder = shared.join("golden/peer").join(board);
        let text = fs_err::read_to_string(folder.join("description.yaml")).expect("a file");
        let expected = contract(support::load(&text).get("pipeline").expect("a pipeline"));
        let plan = planned(&folder, "job.yaml");
        assert_eq!(plan::describe(&plan), expected, "{board}");
        assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    }
}

#[test]
fn recorded_jobs_need_nothing_that_is_missing() {
    let Some(shared) = reference_data("") else {
        return;
    };
    let peer = shared.join("golden/peer");
    for (board, job) in [
        ("qemu", "job.yaml"),
        ("qemu", "job-bad-url.yaml"),
        ("qemu", "job-login-timeout.yaml"),
        ("fake", "job.yaml"),
        ("fake", "job-quick.yaml"),
    ] {
        let plan = planned(&peer.join(board), job);
        assert!(plan.problems.is_empty(), "{board}: {:?}", plan.problems);
        each(&plan.actions, &mut |action| {
            assert!(
                !matches!(action.step, Step::Unsupported { .. }),
                "{board}/{job}: {action:?}"
            );
        });
    }
}

fn each(actions: &[Action], look: &mut impl FnMut(&Action)) {
    for action in actions {
        look(action);
        each(&action.children, look);
    }
}

#[test]
fn the_emulator_gets_what_the_recorded_command_line_had() {
    let Some(shared) = reference_data("") else {
        return;
    };
    let plan = planned(&shared.join("golden/peer/qemu"), "job.yaml");
    let mut found = None;
    each(&plan.actions, &mut |action| {
        if let Step::ExecuteQemu(qemu) = &action.step {
            found = Some(qemu.clone());
        }
    });
    let qemu = found.expect("there is an emulator");
    assert_eq!(qemu.command, "qemu-system-x86_64");
    assert_eq!(qemu.architecture, "amd64");
    assert_eq!(qemu.guest, None, "the ramdisk carries the overlay");
    let arguments: Vec<&str> = qemu
        .options
        .iter()
        .chain(qemu.images.iter().map(|(_, argument)| argument))
        .map(String::as_str)
        .collect();
    assert_eq!(
        arguments,
        [
            "-nographic",
            "-net none",
            "-m 512",
            "-monitor none",
            "-machine q35,accel=tcg",
            "-cpu max",
            "-kernel {kernel} -append \"console=ttyS0,115200 panic=-1\"",
            "-initrd {ramdisk}",
        ]
    );
}
