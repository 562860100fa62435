//! Faults planted in a job and a device that have none, each with the message it must give.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use job::schema::{InFile, check_device, check_job};
use proptest::prelude::*;

const JOB: &str = r#"job_name: everything
device_type: qemu
visibility: public
priority: medium
timeouts:
  job: {minutes: 30}
  action: {minutes: 10}
  actions:
    http-download: {minutes: 5}
context:
  arch: amd64
  memory: 1024
secrets:
  token: abc
notify:
  criteria: {status: finished}
  callbacks:
  - url: https://example.org/done
actions:
- deploy:
    namespace: target
    to: tmpfs
    os: debian
    images:
      kernel:
        url: https://example.org/bzImage
        sha256sum: 0000000000000000000000000000000000000000000000000000000000000000
      rootfs:
        url: https://example.org/rootfs.ext4.xz
        compression: xz
        format: ext4
        overlays:
          lava: true
          modules:
            url: https://example.org/modules.tar
            format: tar
            path: /usr
- boot:
    namespace: target
    method: qemu
    media: tmpfs
    timeout: {minutes: 5}
    auto_login:
      login_prompt: 'login:'
      username: root
    prompts: ['root@']
- test:
    namespace: target
    definitions:
    - from: git
      name: smoke
      repository: https://example.org/tests.git
      path: smoke.yaml
      revision: abcdef
    - from: inline
      name: here
      path: here.yaml
      repository:
        metadata: {name: here}
        run:
          steps: [echo hello]
- test:
    namespace: target
    interactive:
    - name: shell
      prompts: ['=> ']
      script:
      - command: version
        name: version
        failures:
        - message: error
          exception: JobError
- command:
    namespace: target
    name: power_off
"#;

const MULTINODE: &str = r#"job_name: two
visibility: public
timeouts:
  job: {minutes: 30}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client: {device_type: qemu, count: 2}
actions:
- boot:
    role: [server, client]
    method: minimal
"#;

const DEVICE: &str = r#"hostname: board
constants: {failure_retry: 1}
commands:
  connect: telnet localhost 7000
  hard_reset: [pdu off, pdu on]
  users:
    greet: {do: echo hello}
parameters:
actions:
  deploy:
    methods: {ssh: {host: ''}}
  boot:
    methods: {minimal: null}
timeouts:
  actions: {power-off: {seconds: 10}}
  connections: {}
character_delays: {boot: 10}
"#;

/// Replaces the first `from` by `to` and tells what is found.
#[track_caller]
fn plant(
    text: &str,
    from: &str,
    to: &str,
    check: fn(&yaml::Node) -> Vec<job::Problem>,
) -> Vec<String> {
    assert!(text.contains(from), "{from:?} is not in the text");
    let text = text.replacen(from, to, 1);
    let node = yaml::load(&text, &yaml::Limits::default()).unwrap();
    let problems = check(&node);
    problems
        .iter()
        .map(|problem| InFile { file: "f", problem }.to_string())
        .collect()
}

/// What to replace, by what, and what is found.
type Case = (&'static str, &'static str, &'static [&'static str]);

const JOB_FAULTS: &[Case] = &[
    // LAVA 2023.01 adds it to what it hands out.
    (
        "visibility: public",
        "visibility: public\ncompatibility: 0",
        &[],
    ),
    // the job
    (
        "job_name: everything",
        "job_nam: everything",
        &[r#"f:1:1: unknown key "job_nam"; did you mean "job_name"?"#],
    ),
    (
        "job_name: everything",
        "job_name: ''",
        &["f:1:11: job_name: it is empty"],
    ),
    (
        "job_name: everything",
        "job_name: [a]",
        &["f:1:11: job_name: expected a string, found a list"],
    ),
    (
        "device_type: qemu\n",
        "",
        &[r#"f:1:1: "device_type" is missing"#],
    ),
    (
        "visibility: public\n",
        "",
        &[r#"f:1:1: "visibility" is missing"#],
    ),
    (
        "visibility: public",
        "visibility: publik",
        &[r#"f:3:13: visibility: "publik" is none of public, personal; did you mean "public"?"#],
    ),
    (
        "visibility: public",
        "visibility: {groups: [a]}",
        &[r#"f:3:14: visibility: unknown key "groups"; did you mean "group"?"#],
    ),
    (
        "priority: medium",
        "priority: 101",
        &["f:4:11: priority: a priority is high, medium, low, or a number from 0 to 100"],
    ),
    (
        "priority: medium",
        "priority: urgent",
        &["f:4:11: priority: a priority is high, medium, low, or a number from 0 to 100"],
    ),
    (
        "priority: medium",
        "priority: medium\nyes: 1",
        &["f:5:1: a key is a string, not a boolean"],
    ),
    // time limits
    (
        "  job: {minutes: 30}\n",
        "",
        &[r#"f:6:3: timeouts: "job" is missing"#],
    ),
    (
        "{minutes: 30}",
        "30",
        &["f:6:8: timeouts.job: expected a time limit, found 30; write it as `{minutes: 5}`"],
    ),
    (
        "{minutes: 30}",
        "{minute: 30}",
        &[r#"f:6:9: timeouts.job.minute: unknown unit "minute"; did you mean "minutes"?"#],
    ),
    (
        "{minutes: 30}",
        "{minutes: 30, seconds: 1}",
        &[
            "f:6:8: timeouts.job: a time limit has one of days, hours, minutes and seconds; \
         write it as `{minutes: 5}`",
        ],
    ),
    (
        "{minutes: 30}",
        "{minutes: 0}",
        &["f:6:18: timeouts.job.minutes: expected an integer of at least 1, found 0"],
    ),
    (
        "  action: {minutes: 10}",
        "  action: {hours: 1}",
        &[
            "f:7:11: timeouts.action: it is longer than the time limit of the job; \
         raise `timeouts.job`",
        ],
    ),
    (
        "http-download: {minutes: 5}",
        "http-download: {days: 1}",
        &[
            "f:9:20: timeouts.actions.http-download: it is longer than the time limit of the job; \
         raise `timeouts.job`",
        ],
    ),
    (
        "timeout: {minutes: 5}",
        "timeout: {minutes: 31}",
        &[
            "f:42:14: actions[1].boot.timeout: it is longer than the time limit of the job; \
         raise `timeouts.job`",
        ],
    ),
    // context, secrets, notifications
    (
        "  memory: 1024",
        "  memry: 1024",
        &[r#"f:12:3: context: unknown key "memry"; did you mean "memory"?"#],
    ),
    (
        "  memory: 1024",
        "  memory: {mb: 1024}",
        &["f:12:11: context.memory: expected a string, found a map"],
    ),
    (
        "token: abc",
        "token: yes",
        &[
            "f:14:10: secrets.token: expected a string, found a boolean; \
         put it in quotes: YAML reads yes, no, on and off as booleans",
        ],
    ),
    (
        "{status: finished}",
        "{status: done}",
        &[
            r#"f:16:22: notify.criteria.status: "done" is none of running, complete, incomplete, canceled, finished, all"#,
        ],
    ),
    (
        "notify:\n",
        "notify:\n  callback: {url: a}\n",
        &[r#"f:18:3: notify.callbacks: there is a "callback" too; keep one of them"#],
    ),
    // blocks
    (
        "- command:\n    namespace: target\n    name: power_off\n",
        "- comand: {name: power_off}\n",
        &[r#"f:73:3: actions[4]: unknown key "comand"; did you mean "command"?"#],
    ),
    (
        "- boot:",
        "  boot:",
        &["f:20:3: actions[0]: an action is a map with one key; begin each block with its own `-`"],
    ),
    (
        "- deploy:\n    namespace: target\n",
        "- deploy:\n",
        &[
            "f:20:3: actions[0].deploy: it names no namespace, but other blocks of the job do; \
         either all blocks have a namespace or none has",
        ],
    ),
    (
        "- deploy:\n    namespace: target\n",
        "- deploy:\n    namespace: common\n",
        &[r#"f:21:16: actions[0].deploy.namespace: the namespace "common" is reserved"#],
    ),
    // deploy
    (
        "to: tmpfs",
        "to: tempfs",
        &[
            r#"f:22:9: actions[0].deploy.to: there is no deploy method "tempfs"; did you mean "tmpfs"?"#,
        ],
    ),
    (
        "to: tmpfs",
        "to: [tmpfs]",
        &["f:22:9: actions[0].deploy.to: expected a string, found a list"],
    ),
    (
        "    images:",
        "    imagse:",
        &[r#"f:24:5: actions[0].deploy: unknown key "imagse"; did you mean "images"?"#],
    ),
    (
        "        url: https://example.org/bzImage\n",
        "",
        &[r#"f:26:9: actions[0].deploy.images.kernel: "url" is missing"#],
    ),
    (
        "sha256sum: 0000",
        "sha256sum: x0000",
        &["f:27:20: actions[0].deploy.images.kernel.sha256sum: \
         a SHA-256 digest has 64 hexadecimal digits"],
    ),
    (
        "compression: xz",
        "compression: lzma",
        &[
            r#"f:30:22: actions[0].deploy.images.rootfs.compression: "lzma" is none of bz2, gz, xz, zip, zstd"#,
        ],
    ),
    (
        "format: ext4",
        "format: ext3",
        &[
            r#"f:31:17: actions[0].deploy.images.rootfs.format: "ext3" is none of cpio.newc, ext4, tar; did you mean "ext4"?"#,
        ],
    ),
    (
        "            path: /usr",
        "            path: usr",
        &[
            "f:37:19: actions[0].deploy.images.rootfs.overlays.modules.path: \
         the path must begin with a slash",
        ],
    ),
    // boot
    (
        "method: qemu",
        "metod: qemu",
        &[r#"f:40:5: actions[1].boot: unknown key "metod"; did you mean "method"?"#],
    ),
    (
        "    method: qemu\n",
        "",
        &[
            "f:39:5: actions[1].boot: \"method\" is missing; it is one of avh, barebox, bootloader, \
         cmsis-dap, depthcharge, dfu, docker, fastboot, fvp, gdb, grub, grub-efi, ipxe, jlink, \
         kexec, minimal, monitor, musca, new_connection, nodebooter, openocd, pyocd, qdl, qemu, \
         qemu-iso, qemu-nfs, recovery, schroot, ssh, u-boot, uefi, uefi-menu, uuu",
        ],
    ),
    (
        "method: qemu",
        "method: uboot",
        &[
            r#"f:40:13: actions[1].boot.method: there is no boot method "uboot"; did you mean "u-boot"?"#,
        ],
    ),
    (
        "method: qemu",
        "method: u-boot",
        &[r#"f:39:5: actions[1].boot: "commands" is missing"#],
    ),
    (
        "    prompts: ['root@']",
        "    promts: ['root@']",
        &[r#"f:46:5: actions[1].boot: unknown key "promts"; did you mean "prompts"?"#],
    ),
    (
        "    prompts: ['root@']",
        "    prompts: {a: b}",
        &["f:46:14: actions[1].boot.prompts: expected a string, found a map"],
    ),
    (
        "      username: root",
        "      user: root",
        &[
            r#"f:44:7: actions[1].boot.auto_login: "username" is missing"#,
            r#"f:45:7: actions[1].boot.auto_login: unknown key "user""#,
        ],
    ),
    (
        "      username: root",
        "      username: root\n      password_prompt: 'Password:'",
        &[r#"f:44:7: actions[1].boot.auto_login: there is a "password_prompt" but no "password""#],
    ),
    (
        "    media: tmpfs",
        "    failure_retry: 0",
        &["f:41:20: actions[1].boot.failure_retry: expected an integer of at least 1, found 0"],
    ),
    (
        "    media: tmpfs",
        "    failure_retry: 2\n    repeat: 2",
        &[r#"f:42:5: actions[1].boot: "repeat" and "failure_retry" exclude each other"#],
    ),
    // test
    (
        "    definitions:",
        "    defintions:",
        &[
            "f:47:3: actions[2].test: it says nothing to test; \
         add definitions, interactive, monitors or services",
            r#"f:49:5: actions[2].test: unknown key "defintions"; did you mean "definitions"?"#,
        ],
    ),
    (
        "    definitions:",
        "    monitors: []\n    definitions:",
        &[
            "f:47:3: actions[2].test: definitions and monitors exclude each other; \
         make a test block of each",
        ],
    ),
    (
        "from: git",
        "from: file",
        &[r#"f:50:13: actions[2].test.definitions[0].from: "file" is none of git, url, inline"#],
    ),
    (
        "from: git",
        "from: inline",
        &[
            "f:52:19: actions[2].test.definitions[0].repository: an inline definition is a map; \
         write the definition itself here, with `metadata` and `run`",
        ],
    ),
    (
        "from: inline",
        "from: url",
        &[
            "f:59:9: actions[2].test.definitions[1].repository: it is written here, \
         but \"from\" says it is elsewhere; use `from: inline`",
        ],
    ),
    (
        "name: smoke",
        "name: smoke test",
        &["f:51:13: actions[2].test.definitions[0].name: \
         a name consists of letters, digits, `-`, `_` and `.`"],
    ),
    (
        "name: here\n      path",
        "name: smoke\n      path",
        &[
            "f:56:13: actions[2].test.definitions[1].name: definitions[0] has the same name; \
         results of both could not be told apart",
        ],
    ),
    (
        "revision: abcdef",
        "revision: abcdef\n      shallow: true",
        &["f:54:17: actions[2].test.definitions[0].revision: \
         a shallow clone may not have the revision; leave out `shallow`"],
    ),
    (
        "steps: [echo hello]",
        "steps: echo hello",
        &[
            "f:61:18: actions[2].test.definitions[1].repository.run.steps: \
         expected a list, found a string",
        ],
    ),
    (
        "exception: JobError",
        "exception: JobEror",
        &[
            "f:72:22: actions[3].test.interactive[0].script[0].failures[0].exception: \
         \"JobEror\" is none of InfrastructureError, JobError, TestError; did you mean \"JobError\"?",
        ],
    ),
    (
        "name: power_off",
        "nam: power_off",
        &[r#"f:75:5: actions[4].command: unknown key "nam"; did you mean "name"?"#],
    ),
    // a key of another method is let through, as in LAVA
    ("    media: tmpfs", "    extra_kernel_args: quiet", &[]),
];

const MULTINODE_FAULTS: &[Case] = &[
    (
        "visibility: public",
        "visibility: public\ndevice_type: qemu",
        &[
            "f:3:1: device_type: a MultiNode job has no \"device_type\" of its own; \
         move it to the roles below \"protocols.lava-multinode\"",
        ],
    ),
    (
        "    role: [server, client]\n",
        "",
        &[
            "f:11:3: actions[0].boot: it has no role, and the job is a MultiNode job; \
         add `role:` with some of server, client",
        ],
    ),
    (
        "[server, client]",
        "[server, guest]",
        &[r#"f:12:20: actions[0].boot.role: there is no role "guest"; the job has server, client"#],
    ),
    (
        "lava-multinode",
        "lava-multinod",
        &[
            r#"f:1:1: "device_type" is missing"#,
            r#"f:6:3: protocols: unknown key "lava-multinod"; did you mean "lava-multinode"?"#,
        ],
    ),
];

const DEVICE_FAULTS: &[Case] = &[
    (
        "constants:",
        "constant:",
        &[r#"f:1:1: "constants" is missing"#],
    ),
    (
        "  boot:",
        "  bot:",
        &[r#"f:10:3: actions: "boot" is missing"#],
    ),
    (
        "  connections: {}\n",
        "",
        &[r#"f:15:3: timeouts: "connections" is missing"#],
    ),
    (
        "[pdu off, pdu on]",
        "[[pdu off]]",
        &["f:5:16: commands.hard_reset[0]: expected a string, found a list"],
    ),
    (
        "{do: echo hello}",
        "{undo: echo hello}",
        &[r#"f:7:12: commands.users.greet: "do" is missing"#],
    ),
    (
        "{host: ''}",
        "{host: server}",
        &["f:5:3: commands.hard_reset: a device that is reached by ssh has no power commands"],
    ),
    (
        "{seconds: 10}",
        "{seconds: ten}",
        &["f:15:34: timeouts.actions.power-off.seconds: expected a number, found a string"],
    ),
    (
        "{boot: 10}",
        "{boot: fast}",
        &["f:17:26: character_delays.boot: expected an integer from 0 to 60000, found a string"],
    ),
    ("hostname: board", "hostname: board\nlab_shelf: 5", &[]),
];

fn check_all(text: &str, cases: &[Case], check: fn(&yaml::Node) -> Vec<job::Problem>) {
    assert_eq!(
        plant(text, "", "", check),
        Vec::<String>::new(),
        "the text has faults of its own"
    );
    let mut wrong = Vec::new();
    for (from, to, expected) in cases {
        let found = plant(text, from, to, check);
        if found != *expected {
            let (found, expected) = (found.join("\n  "), expected.join("\n  "));
            wrong.push(format!(
                "{from:?} -> {to:?}\n found:\n  {found}\n expected:\n  {expected}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn faults_of_jobs_are_found_where_they_are() {
    check_all(JOB, JOB_FAULTS, check_job);
}

#[test]
fn faults_of_multinode_jobs_are_found_where_they_are() {
    check_all(MULTINODE, MULTINODE_FAULTS, check_job);
}

#[test]
fn faults_of_devices_are_found_where_they_are() {
    check_all(DEVICE, DEVICE_FAULTS, check_device);
}

#[test]
fn all_problems_are_told_at_once() {
    let text = JOB
        .replace("visibility: public", "visibility: publik")
        .replace("to: tmpfs", "to: tempfs")
        .replace("prompts: ['root@']", "promts: ['root@']")
        .replace("from: git", "from: svn")
        .replace("name: power_off", "name: []");
    let node = yaml::load(&text, &yaml::Limits::default()).unwrap();
    let lines: Vec<u32> = check_job(&node)
        .iter()
        .map(|problem| problem.span.start.line + 1)
        .collect();
    assert_eq!(lines, [3, 22, 46, 50, 75]);
}

#[test]
fn what_is_no_map_is_one_problem() {
    for text in ["", "a", "[1, 2]", "5"] {
        let node = yaml::load(text, &yaml::Limits::default()).unwrap();
        assert_eq!(check_job(&node).len(), 1, "{text:?}");
        assert_eq!(check_device(&node).len(), 1, "{text:?}");
    }
}

#[test]
fn problems_beyond_measure_are_not_all_told() {
    let keys: String = (0..20_000)
        .map(|number| format!("key{number}: {{}}\n"))
        .collect();
    let node = yaml::load(&format!("{JOB}{keys}"), &yaml::Limits::default()).unwrap();
    let problems = check_job(&node);
    assert_eq!(problems.len(), 501);
    assert_eq!(
        problems[500].message,
        "there are more problems, which are not listed"
    );
}

proptest! {
    /// Whatever a job looks like, the checks come to an end without a panic.
    #[test]
    fn any_document_can_be_checked(
        start in 0..JOB.len(),
        length in 0..40_usize,
        insert in "[a-z0-9:{}\\[\\], \n'-]{0,12}",
    ) {
        let end = (start + length).min(JOB.len());
        let text = format!("{}{insert}{}", &JOB[..start], &JOB[end..]);
        if let Ok(node) = yaml::load(&text, &yaml::Limits::default()) {
            check_job(&node);
            check_device(&node);
        }
    }
}
