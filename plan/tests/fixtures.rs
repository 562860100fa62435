//! Plans of jobs of our own: what users see of them, and what the runner is told.

mod support;

use job::{Definition, Device, JobId, Problem};
use plan::{
    Action, DispatcherConfig, Facts, Plan, Step,
    step::{DefinitionSource, ShellDefinition, netboot::Placeholder},
};

const BOARD: (&str, &str) = (
    include_str!("fixtures/board.job.yaml"),
    include_str!("fixtures/board.device.yaml"),
);
const EMULATOR: (&str, &str) = (
    include_str!("fixtures/emulator.job.yaml"),
    include_str!("fixtures/emulator.device.yaml"),
);
const TFTP: (&str, &str) = (
    include_str!("fixtures/tftp.job.yaml"),
    include_str!("fixtures/tftp.device.yaml"),
);

fn try_plan(job: &str, device: &str) -> Result<Plan, Vec<Problem>> {
    let facts = Facts {
        dispatcher_ip: "10.0.0.1".to_owned(),
        prefix: "lab-".to_owned(),
        env_dut: Some(vec![("LANG".to_owned(), "C.UTF-8".to_owned())]),
        dispatcher: DispatcherConfig {
            http_url_format_string: Some("http://cache/?url=%s".to_owned()),
        },
        ..Facts::new(JobId::new("4212"))
    };
    let definition = Definition::from_node(&support::load(job))?;
    let device = Device::from_node(&support::load(device))?;
    plan::plan(&definition, &device, &facts)
}

fn planned((job, device): (&str, &str)) -> Plan {
    try_plan(job, device).expect("the job has a tree")
}

/// Everything the runner is told, action by action.
fn told(plan: &Plan) -> String {
    fn write(actions: &[Action], out: &mut String) {
        for action in actions {
            let Action { level, name, .. } = action;
            let Action {
                namespace, section, ..
            } = action;
            let times = (action.timeout, action.connection_timeout, action.on_timeout);
            out.push_str(&format!(
                "{level} {name} in {namespace}, {section:?}\n  {times:?}\n"
            ));
            if let Some(retry) = action.retry {
                out.push_str(&format!("  {retry:?}\n"));
            }
            out.push_str(&step(&action.step));
            out.push('\n');
            write(&action.children, out);
        }
    }
    let mut out = String::new();
    write(&plan.actions, &mut out);
    out
}

/// A step without what another step has said already, and without places in the text.
fn step(step: &Step) -> String {
    match step {
        Step::FetchDefinition(definition) => {
            let mut definition = ShellDefinition::clone(definition);
            if let DefinitionSource::Inline { document } = &mut definition.source {
                *document = yaml::Value::Null;
            }
            format!("{definition:#?}")
        }
        Step::TestOverlay(definition)
        | Step::TestInstall(definition)
        | Step::TestRunScript(definition) => definition.uuid.clone(),
        Step::TestShell(test) => {
            let uuids: Vec<_> = test.definitions.iter().map(|one| &one.uuid).collect();
            let (stage, delay) = (test.stage, test.character_delay);
            format!("{uuids:?} stage {stage} in {}, {delay:?}", test.results_dir)
        }
        other => format!("{other:#?}"),
    }
}

#[test]
fn the_tree_of_a_board() {
    let plan = planned(BOARD);
    insta::assert_snapshot!(plan::render_tree(&plan));
    insta::assert_snapshot!("what_a_board_is_told", told(&plan));
}

#[test]
fn the_tree_of_an_emulator() {
    let plan = planned(EMULATOR);
    insta::assert_snapshot!(plan::render_tree(&plan));
    insta::assert_snapshot!("what_an_emulator_is_told", told(&plan));
}

#[test]
fn the_tree_of_methods_that_cannot_run_yet() {
    insta::assert_snapshot!(plan::render_tree(&planned(TFTP)));
}

#[test]
fn the_description_has_what_web_pages_show() {
    let text = serde_json::to_string_pretty(&plan::description(&planned(EMULATOR)));
    insta::assert_snapshot!(text.expect("a tree is JSON"));
}

#[test]
fn all_refusals_come_at_once() {
    let job = "
timeouts: {job: {minutes: 1}}
actions:
- deploy: {to: fastboot, images: {boot: {url: 'https://example.com/boot'}}}
- deploy: {to: tftp, kernel: {url: 'gopher://example.com/kernel'}}
- boot: {method: grub, commands: []}
- test: {nothing: 1}
- deploy: {to: moon}
";
    let (_, device) = BOARD;
    let problems = try_plan(job, device).expect_err("nothing of this works");
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn all_misunderstandings_come_at_once() {
    let job = "
job_name: [1]
timeouts: {action: 5, connection: {minutes: -1}}
actions:
- deploy: {to: tmpfs, images: {kernel: {sha256sum: 1}, ramdisk: x}}
- boot: {method: minimal, auto_login: {username: root, password_prompt: x}}
- test:
    failure_retry: 0
    definitions: [{from: moon}, {from: git, name: x}]
- test: {interactive: [{name: x, prompts: [], script: [{}]}]}
- repeat: {count: 2}
- {}
- deploy:
";
    let problems = Definition::from_node(&support::load(job)).expect_err("none of this is right");
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_cannot_succeed_is_told_beside_the_tree() {
    let job = "
timeouts: {job: {minutes: 1}}
actions:
- deploy: {to: overlay}
- boot: {method: minimal}
- command: {name: dance}
- test:
    definitions:
    - {from: git, name: a b, path: x, repository: 'https://example.com'}
    - {from: git, name: lava, path: x, repository: 'https://example.com'}
    - {from: git, name: same, path: x, repository: 'https://example.com'}
    - {from: git, name: same, path: x, repository: 'https://example.com'}
- test:
    namespace: elsewhere
    definitions:
    - {from: git, name: x, path: x, repository: 'https://example.com'}
";
    let device = "
actions: {deploy: {methods: {overlay: }}, boot: {methods: {minimal: }}}
";
    let plan = try_plan(job, device).expect("LAVA makes a tree of it");
    let lines: Vec<_> = plan.problems.iter().map(Problem::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn faults_of_the_device_are_not_placed_in_the_job() {
    let job = "
timeouts: {job: {minutes: 1}}
actions:
- boot: {method: fastboot}
- boot: {method: qemu}
";
    let device = "
actions: {boot: {methods: {fastboot: [boot, dance], qemu: {parameters: {}}}}}
";
    let problems = try_plan(job, device).expect_err("the device is wrong");
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// A job that deploys to NBD, with these protocols.
fn nbd(protocols: &str) -> Plan {
    let job = format!(
        "
timeouts: {{job: {{minutes: 1}}}}
protocols: {protocols}
actions:
- deploy:
    to: nbd
    os: debian
    kernel: {{url: 'http://files/Image', type: image}}
    initrd: {{url: 'http://files/initrd'}}
    nbdroot: {{url: 'http://files/root'}}
- boot: {{method: u-boot, commands: nbd}}
"
    );
    let device = "
commands: {connect: console, hard_reset: reset}
parameters: {booti: {kernel: '0x1', ramdisk: '0x2', dtb: '0x3'}}
actions:
  deploy: {methods: {nbd: }}
  boot:
    methods:
      u-boot:
        parameters: {bootloader_prompt: '=>', interrupt_prompt: stop autoboot}
        nbd: {commands: ['{BOOTX}']}
";
    try_plan(&job, device).expect("the job has a tree")
}

fn find<'p>(actions: &'p [Action], name: &str) -> &'p Step {
    fn search<'p>(actions: &'p [Action], name: &str) -> Option<&'p Step> {
        actions.iter().find_map(|action| {
            let own = (action.name == name).then_some(&action.step);
            own.or_else(|| search(&action.children, name))
        })
    }
    search(actions, name).expect("the action is there")
}

#[test]
fn an_image_is_served_at_the_port_of_the_protocol() {
    for (protocols, expected) in [
        ("{}", None),
        ("{lava-xnbd: {port: auto}}", None),
        ("{lava-xnbd: {port: 10810}}", Some(10810)),
        ("{lava-xnbd: {port: '10810'}}", Some(10810)),
    ] {
        let plan = nbd(protocols);
        assert!(plan.problems.is_empty(), "{:?}", plan.problems);
        let Step::NbdServer(server) = find(&plan.actions, "xnbd-server-deploy") else {
            panic!("nobody serves the image");
        };
        assert_eq!((server.label.as_str(), server.port), ("nbdroot", expected));
    }
    for port in ["0", "70000", "any", "-1"] {
        let plan = nbd(&format!("{{lava-xnbd: {{port: {port}}}}}"));
        let told = plan.problems.first().map(Problem::to_string);
        assert!(
            told.is_some_and(|text| text.contains("is no port")),
            "{port}"
        );
    }
}

#[test]
fn boot_commands_know_the_image_and_the_size_of_the_ramdisk() {
    let plan = nbd("{}");
    let Step::BootloaderOverlay(overlay) = find(&plan.actions, "bootloader-overlay") else {
        panic!("there are no boot commands");
    };
    let value = |wanted: &str| {
        let mut all = overlay.placeholders.iter();
        all.find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let text = |text: &str| Placeholder::Text(text.to_owned());
    assert_eq!(value("NBDSERVERIP"), Some(&text("10.0.0.1")));
    assert_eq!(value("NBDSERVERPORT"), Some(&Placeholder::NbdPort));
    let initrd = Placeholder::File("initrd".to_owned());
    assert_eq!(value("INITRD"), Some(&initrd));
    let boot = text("booti 0x1 0x2:${initrd_size} 0x3");
    assert_eq!(value("BOOTX"), Some(&boot));
}
