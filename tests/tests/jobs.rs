//! Whole jobs of every kind that runs today, on scripted boards and in QEMU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use flate2::{Compression, write::GzEncoder};
use integration::{
    Answer, BOOT, Finished, Lab, OVERLAY, Run, Server, definition, demo_images, deploy, inline, job,
};
use std::path::{Path, PathBuf};

#[test]
fn minimal_boot_reports_what_the_board_reports() {
    let lab = Lab::new();
    let finished = on_linux(&lab, &[OVERLAY, BOOT, &inline("")]);
    assert_complete(&lab, &finished);
    let cases = finished.cases("0_board");
    assert_eq!(names(&cases), ["case-0", "case-1", "case-2", "measured"]);
    assert_eq!(lab.noted("power"), ["on", "off"]);
    let results = finished.results().unwrap();
    let measured = &results["suites"][1]["cases"][3];
    assert_eq!(
        (&measured["measurement"], &measured["units"]),
        (&1.5.into(), &"s".into())
    );
}

#[test]
fn interactive_commands_are_judged_by_what_comes_back() {
    let lab = Lab::new();
    let board = "print \"[ 0.0] Linux version 6.1\\nboard login: \"\nread\nshell \"root@board:~# \"\n\
         on \"version\"\nprint \"release=6.1 build=7\\n\"\nend\n\
         on \"fetch 6.1\"\nprint \"fetched 6.1\\n\"\nend\n\
         on \"break\"\nprint \"Oops: it broke\\n\"\nend\nend\n";
    let interactive = "\
- test:
    interactive:
    - name: shell
      prompts: ['root@board:~# ']
      expected: [version, fetch, never-run]
      script:
      - {command: version, name: version, successes: [{message: 'release=(?P<release>[0-9.]+)'}]}
      - {command: 'fetch {release}', name: fetch, successes: [{message: 'fetched 6.1'}]}
      - {command: break, name: unexpected, successes: [{message: fine}], failures: [{message: Oops}]}
      - {command: version}
";
    let device = lab.device(&lab.board(board));
    let finished = lab
        .run(&job(&[OVERLAY, BOOT, interactive]), &device)
        .finish();
    assert_complete(&lab, &finished);
    let cases = [
        ("version", "pass"),
        ("fetch", "pass"),
        ("unexpected", "fail"),
        ("never-run", "fail"),
    ];
    assert_eq!(finished.cases("0_shell"), cases.map(owned));
    assert!(finished.cases("lava").contains(&owned(("0_shell", "pass"))));
}

#[test]
fn interactive_failure_with_an_exception_ends_the_job() {
    let lab = Lab::new();
    let board = "print \"[ 0.0] Linux version 6.1\\nboard login: \"\nread\nshell \"root@board:~# \"\n\
         on \"dhcp\"\nprint \"no link\\n\"\nend\nend\n";
    let interactive = "\
- test:
    interactive:
    - name: network
      prompts: ['root@board:~# ']
      script:
      - command: dhcp
        name: dhcp
        failures: [{message: no link, exception: InfrastructureError, error: the cable is out}]
";
    let device = lab.device(&lab.board(board));
    let finished = lab
        .run(&job(&[OVERLAY, BOOT, interactive]), &device)
        .finish();
    assert_eq!(finished.code, 5, "{}", finished.output);
    assert_eq!(finished.fault("message"), "the cable is out");
    assert_eq!(finished.cases("0_network"), [owned(("dhcp", "fail"))]);
    assert_eq!(lab.leftovers(&finished.directory), [""; 0]);
}

#[test]
fn monitors_read_results_from_a_board_that_has_no_shell() {
    let lab = Lab::new();
    let board = "print \"[ 0.0] booting\\nBEGIN tests\\n\"\n\
         print \"check clock: ok\\ncheck flash speed: ok 12.5 MB/s\\ncheck radio: bad\\n\"\n\
         print \"check extra: ok\\nEND of tests\\n\"\nhang\n";
    let monitor = r"
- test:
    monitors:
    - name: Self Test
      start: BEGIN tests
      end: END of tests
      pattern: 'check (?P<test_case_id>[a-z ]+): (?P<result>ok|bad)( (?P<measurement>[0-9.]+) (?P<units>\S+))?\r'
      fixupdict: {ok: pass, bad: fail}
      expected: [clock, flash_speed, radio, battery]
";
    let boot = "- boot: {method: minimal}\n";
    let device = lab.device(&lab.board(board));
    let finished = lab
        .run(&job(&[boot, monitor.trim_start()]), &device)
        .finish();
    assert_complete(&lab, &finished);
    let cases = [
        ("clock", "pass"),
        ("flash_speed", "pass"),
        ("radio", "fail"),
        // What was not expected fails, and so does what was and did not come.
        ("extra", "fail"),
        ("battery", "fail"),
    ];
    assert_eq!(finished.cases("self-test"), cases.map(owned));
    let results = finished.results().unwrap();
    let speed = &results["suites"][1]["cases"][1];
    assert_eq!(
        (&speed["measurement"], &speed["units"]),
        (&12.5.into(), &"MB/s".into())
    );
}

#[test]
fn user_commands_are_undone_after_the_job() {
    let lab = Lab::new();
    let mut device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    device["commands"]["users"] = serde_json::json!({
        "attach": {"do": lab.note("relay", "attached"), "undo": lab.note("relay", "detached")},
    });
    let command = "- command: {name: attach}\n";
    let finished = lab
        .run(&job(&[OVERLAY, command, BOOT, &inline("")]), &device)
        .finish();
    assert_complete(&lab, &finished);
    assert_eq!(lab.noted("relay"), ["attached", "detached"]);
}

#[test]
fn expected_cases_of_a_definition_decide_what_fails() {
    let lab = Lab::new();
    let test = definition(
        "from: inline, expected: [case-0, case-1, missing], \
         repository: {metadata: {format: Lava-Test Test Definition 1.0, name: board, \
         description: none}, run: {steps: ['true']}}, path: inline/board.yaml",
        "",
    );
    let finished = on_linux(&lab, &[OVERLAY, BOOT, &test]);
    assert_complete(&lab, &finished);
    let cases = [
        ("case-0", "pass"),
        ("case-1", "pass"),
        ("case-2", "fail"),
        ("measured", "fail"),
        ("missing", "fail"),
    ];
    assert_eq!(finished.cases("0_board"), cases.map(owned));
}

#[test]
fn reset_of_a_job_that_wants_none_leaves_the_power_alone() {
    let lab = Lab::new();
    let boot = format!("{BOOT}    reset: false\n");
    let finished = on_linux(&lab, &[OVERLAY, &boot, &inline("")]);
    assert_complete(&lab, &finished);
    assert_eq!(lab.noted("power"), ["off"]);
}

/// A board that prompts once more as its power goes, and takes a second to boot when it comes.
const DYING_WORDS: &str = "\
exec 3<>power
while read -r switch <&3; do
  case $switch in
  off) printf 'Linux version 5: last words\\nboard login: '; echo said >said ;;
  on) exec RACK board life.board ;;
  esac
done
";

const LIFE: &str = "print \"[ 0.0] Linux version 6.1\\n\"\n\
interrupt 1s\n  print \"typed before the prompt\\n\"\n  hang\nend\n\
print \"board login: \"\nread\n\
shell \"root@board:~# \"\nend\n";

#[test]
fn prompt_of_a_life_before_is_recorded_and_not_answered() {
    let lab = Lab::new();
    let (power, said) = (lab.path("power-wire"), lab.path("said-wire"));
    for wire in [&power, &said] {
        integration::shell("mkfifo \"$1\"", wire).unwrap();
    }
    let play = lab.board(LIFE);
    let script = DYING_WORDS
        .replace("<>power", &format!("<>{}", power.display()))
        .replace(">said ;;", &format!(">{} ;;", said.display()))
        .replace("RACK board life.board", &play);
    let script = lab.file("board.sh", script);
    let mut device = lab.device(&format!("sh {}", script.display()));
    let (power, said) = (power.display(), said.display());
    device["commands"]["hard_reset"] = serde_json::json!([
        format!("sh -c 'echo off >{power}; read -r heard <{said}'"),
        format!("sh -c 'echo on >{power}'"),
    ]);
    let finished = lab.run(&job(&[OVERLAY, BOOT]), &device).finish();
    assert_complete(&lab, &finished);
    let log = finished.file("logs.yaml");
    assert!(log.contains("last words"), "{log}");
    assert!(!log.contains("typed before the prompt"), "{log}");
}

#[test]
fn new_connection_is_a_second_console_beside_a_boot_loader() {
    let lab = Lab::new();
    // The first one says which keys it was left with; it is in U-Boot and stays there.
    let first = lab.board(
        "raw\nprint \"U-Boot 2026.01\\nHit any key\"\nwait \" \"\nprint \"\\n=> \"\nwait \"version\"\n\
         print \"version\\nU-Boot 2026.01\\n=> \"\nhang\n",
    );
    lab.file("second.board", "read\nshell \"root@board:~# \"\nend\n");
    let second = first.replace("scripted.board", "second.board");
    let mut device = lab.device(&first);
    device["commands"]
        .as_object_mut()
        .unwrap()
        .remove("connect");
    device["commands"]["connections"] = serde_json::json!({
        "first": { "connect": first, "tags": ["primary", "shell"] },
        "second": { "connect": second },
    });
    device["constants"]["u-boot"] = serde_json::json!({ "interrupt-character": " " });
    device["actions"]["boot"]["methods"]["u-boot"] = serde_json::json!({
        "parameters": { "bootloader_prompt": "=>", "interrupt_prompt": "Hit any key" },
    });
    let interactive = "\
- test:
    namespace: two
    interactive:
    - {name: shell, prompts: ['root@board:~# '], script: [{command: nothing, name: answers}]}
";
    let blocks = [
        "- boot: {namespace: one, method: bootloader, bootloader: u-boot, commands: [version], \
         prompts: ['=>']}\n",
        "- boot: {namespace: two, method: new_connection, connection: second, \
         prompts: ['root@board:~# ']}\n",
        interactive,
    ];
    let finished = lab.run(&job(&blocks), &device).finish();
    assert_complete(&lab, &finished);
    assert_eq!(finished.cases("0_shell"), [owned(("answers", "pass"))]);
    let log = finished.file("logs.yaml");
    assert!(log.contains("Connecting to device using"), "{log}");
}

#[test]
fn secrets_of_a_job_stay_in_its_journal() {
    let lab = Lab::new();
    let mut device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    device["commands"]["hard_reset"] = format!(
        "sh -c 'echo on >>{}; echo token=$TOKEN'",
        lab.path("power").display()
    )
    .into();
    let text = job(&[OVERLAY, BOOT, &inline("")]);
    let text = text.replace("actions:", "secrets: {TOKEN: verysecret}\nactions:");
    let finished = lab.run(&text, &device).finish();
    assert_complete(&lab, &finished);
    assert!(finished.file("logs.yaml").contains("token=[MASKED]"));
    assert!(
        !finished.output.contains("verysecret"),
        "{}",
        finished.output
    );
    for entry in fs_err::read_dir(&finished.directory).unwrap() {
        let path = entry.unwrap().path();
        let content = fs_err::read(&path).unwrap();
        let is_told = content.windows(10).any(|window| window == b"verysecret");
        assert_eq!(is_told, path.ends_with("journal"), "{}", path.display());
    }
}

#[test]
fn definitions_of_every_kind_run_in_qemu() {
    let Some(images) = demo_images() else {
        return;
    };
    let lab = Lab::new();
    let server = Server::start([("/tests.tar.gz", Answer::File(archive()))]);
    let test = format!(
        "\
- test:
    definitions:
    - from: inline
      name: loud
      path: inline/loud.yaml
      lava-signal: kmsg
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: loud, description: signals by kmsg}}
        run:
          steps:
          - lava-test-case through-the-kernel --shell true
          - lava-test-case measured --result pass --measurement 3 --units s
    - from: url
      name: packed
      path: suite/packed.yaml
      repository: {url}
      compression: gz
      strip-components: 1
      expected: [packed-pass, packed-missing]
      parameters: {{WORD: from-the-job}}
    - from: inline
      name: parsed
      path: inline/parsed.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: parsed, description: a pattern}}
        run: {{steps: [\"echo MEMORY: GOOD | tr A-Z a-z\", \"echo RADIO: BAD | tr A-Z a-z\"]}}
        parse: {{pattern: '(?P<test_case_id>memory|radio): (?P<result>good|bad)', fixupdict: {{good: pass, bad: fail}}}}
- test:
    interactive:
    - name: kernel
      prompts: ['root@demo:.*# ']
      script:
      - {{command: 'uname -s', name: uname, successes: [{{message: Linux}}]}}
",
        url = server.url("/tests.tar.gz")
    );
    let finished = in_qemu(&lab, &images, "overlays: {lava: true}", &test, "").finish();
    assert_complete(&lab, &finished);
    let loud = [("through-the-kernel", "pass"), ("measured", "pass")];
    assert_eq!(finished.cases("0_loud"), loud.map(owned));
    let packed = [
        ("packed-pass", "pass"),
        ("word-is-from-the-job", "fail"),
        ("packed-missing", "fail"),
    ];
    assert_eq!(finished.cases("1_packed"), packed.map(owned));
    let parsed = [("memory", "pass"), ("radio", "fail")];
    assert_eq!(finished.cases("2_parsed"), parsed.map(owned));
    assert_eq!(finished.cases("1_kernel"), [owned(("uname", "pass"))]);
}

#[test]
fn guest_drive_carries_the_tests_in_qemu() {
    let Some(images) = demo_images() else {
        return;
    };
    if integration::shell("command -v mke2fs", Path::new("")).is_none() {
        integration::skipped("mke2fs is not installed");
        return;
    }
    let lab = Lab::new();
    let test = inline("").replace("lava-test-case one", "lava-test-case from-the-drive");
    let context = "guestfs_interface: virtio, guestfs_size: 16, ";
    let finished = in_qemu(&lab, &images, "", &test, context).finish();
    assert_complete(&lab, &finished);
    assert_eq!(
        finished.cases("0_board"),
        [owned(("from-the-drive", "pass"))]
    );
    let console = finished.file("console.log");
    assert!(
        console.contains("mount /dev/disk/by-uuid/"),
        "the drive was not mounted"
    );
}

/// A job on `hil/rack/boards/linux.board`.
fn on_linux(lab: &Lab, blocks: &[&str]) -> Finished {
    let device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    lab.run(&job(blocks), &device).finish()
}

/// A job on the demo's guest. `ramdisk` are keys of its image, `context` of the job's.
fn in_qemu(lab: &Lab, images: &Path, ramdisk: &str, test: &str, context: &str) -> Run {
    let url = |name: &str| format!("url: 'file://{}'", images.join(name).display());
    let kernel = format!(
        "{}, image_arg: '-kernel {{kernel}} -append \"console=ttyS0,115200 panic=-1\"'",
        url("vmlinuz")
    );
    let mut initrd = format!(
        "{}, image_arg: '-initrd {{ramdisk}}'",
        url("ramdisk.cpio.gz")
    );
    if !ramdisk.is_empty() {
        initrd.push_str(&format!(", compression: gz, format: cpio.newc, {ramdisk}"));
    }
    let boot = "\
- boot:
    method: qemu
    media: tmpfs
    timeout: {minutes: 2}
    prompts: ['root@demo:']
    auto_login: {login_prompt: 'demo login:', username: root}
";
    let deploy = deploy(&[("kernel", &kernel), ("ramdisk", &initrd)]);
    let context = format!(
        "context: {{{context}arch: amd64, no_kvm: true, no_network: true, memory: 256, \
         extra_options: [-machine q35, -cpu max]}}\nactions:"
    );
    let text = job(&[&deploy, boot, test]);
    let text = text.replace("device_type: board", "device_type: qemu");
    let text = text.replace("job: {minutes: 2}", "job: {minutes: 5}");
    let job: PathBuf = lab.file("job.yaml", text.replace("actions:", &context));
    let run = lab.own(Run::new(&job, &lab.path("")));
    run.args(["--device-type", "qemu"])
}

/// A suite as servers give it out: all of it below one directory.
fn archive() -> Vec<u8> {
    let definition = "\
metadata: {format: Lava-Test Test Definition 1.0, name: packed, description: from an archive}
params: {WORD: default}
run:
  steps:
  - ./suite/run.sh
  - lava-test-case word-is-$WORD --result pass
";
    let script = "#!/bin/sh\nlava-test-case packed-pass --shell true\n";
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, mode, content) in [
        ("tests-1.0/suite/packed.yaml", 0o644, definition),
        ("tests-1.0/suite/run.sh", 0o755, script),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn assert_complete(lab: &Lab, finished: &Finished) {
    assert_eq!(finished.code, 0, "{}", finished.output);
    let results = finished.results().unwrap();
    assert_eq!(results["verdict"]["state"], "complete");
    assert_eq!(lab.leftovers(&finished.directory), [""; 0]);
}

fn names(cases: &[(String, String)]) -> Vec<&str> {
    cases.iter().map(|(name, _)| name.as_str()).collect()
}

fn owned((name, result): (&str, &str)) -> (String, String) {
    (name.to_owned(), result.to_owned())
}
