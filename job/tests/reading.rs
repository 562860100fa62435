//! Jobs and devices, read from text.

use job::{
    Definition, Device, Namespace,
    definition::{BlockKind, BootMethod, DefinitionSource, DeployMethod, OverlayEntry, TestKind},
    document::Cursor,
    timeout::{self, BlockTimeouts, JobTimeouts, Layers, Parent},
};
use std::time::Duration;
use yaml::{Limits, Node};

fn load(text: &str) -> Node {
    yaml::load(text, &Limits::default()).expect("the text is YAML")
}

fn definition(actions: &str) -> Definition {
    let text = format!("timeouts: {{job: {{minutes: 5}}}}\nactions:\n{actions}");
    Definition::from_node(&load(&text)).expect("a job")
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn time_limits_add_up_their_units() {
    for (text, expected) in [
        ("{seconds: 5}", Some(5)),
        ("{days: 1, hours: 1, minutes: 1, seconds: 1}", Some(90_061)),
        ("{minutes: 1.5}", Some(90)),
        ("{seconds: 0.9}", Some(30)),
        ("{}", Some(30)),
        ("{skip: true}", Some(30)),
        ("{minutes: 0}", Some(30)),
        ("{minutes: -1}", None),
        ("{minutes: one}", None),
        ("{days: 1000000}", None),
        ("{days: .inf}", None),
        ("{days: .nan}", None),
        ("5", None),
        ("null", None),
        ("[]", None),
    ] {
        let mut problems = Vec::new();
        let node = load(text);
        let limit = timeout::read(&Cursor::new(&node, "timeout"), &mut problems);
        assert_eq!(limit, expected.map(seconds), "{text}");
        assert_eq!(problems.len(), usize::from(expected.is_none()), "{text}");
    }
}

#[test]
fn the_last_time_limit_that_is_set_counts() {
    let job = |text: &str| {
        let node = load(text);
        let mut problems = Vec::new();
        JobTimeouts::read(&Cursor::root(&node), &mut problems).expect("limits")
    };
    let device = Device::from_node(&load("timeouts: {actions: {boot: {seconds: 3}}}"))
        .expect("a device")
        .timeouts;
    let block = |text: &str| BlockTimeouts::read(&Cursor::root(&load(text)), &mut Vec::new());
    let plain = job("job: {minutes: 9}");
    let all = job("{job: {minutes: 9}, action: {seconds: 2}}");
    let named = job("{job: {minutes: 9}, action: {seconds: 2}, actions: {boot: {seconds: 6}}}");
    let (none, whole, own) = (
        block("{}"),
        block("timeout: {seconds: 4}"),
        block("{timeout: {seconds: 4}, timeouts: {boot: {seconds: 7}}}"),
    );
    let once = Some(Parent {
        timeout: seconds(50),
        attempts: 1,
    });
    let thrice = Some(Parent {
        timeout: seconds(50),
        attempts: 3,
    });
    for (job, block, name, parent, expected) in [
        (&plain, &none, "other", None, 1),
        (&all, &none, "other", None, 2),
        (&all, &none, "boot", None, 3),
        (&all, &whole, "boot", once, 4),
        (&all, &whole, "boot", thrice, 16),
        (&named, &whole, "boot", thrice, 6),
        (&named, &own, "boot", thrice, 7),
        (&named, &own, "other", None, 4),
    ] {
        let layers = Layers {
            job,
            device: &device,
            block: Some(block),
        };
        assert_eq!(layers.action(name, seconds(1), parent), seconds(expected));
    }
}

#[test]
fn waits_have_limits_of_their_own() {
    let device = Device::from_node(&load("timeouts: {connections: {boot: {seconds: 3}}}"))
        .expect("a device")
        .timeouts;
    for (job, name, expected) in [
        ("job: {minutes: 9}", "other", 30),
        ("{job: {minutes: 9}, connection: {seconds: 2}}", "other", 2),
        ("{job: {minutes: 9}, connection: {seconds: 2}}", "boot", 3),
        (
            "{job: {minutes: 9}, connections: {boot: {seconds: 4}}}",
            "boot",
            4,
        ),
    ] {
        let node = load(job);
        let job = JobTimeouts::read(&Cursor::root(&node), &mut Vec::new()).expect("limits");
        let layers = Layers {
            job: &job,
            device: &device,
            block: None,
        };
        assert_eq!(layers.connection(name), seconds(expected));
    }
}

#[test]
fn blocks_carry_what_any_block_may() {
    let job = definition(
        "- test: {namespace: a, connection-namespace: b, failure_retry: 3,
  failure_retry_interval: 0.5, timeout: {minutes: 1, skip: yes}, monitors: []}
- test: {monitors: []}
",
    );
    let [first, second] = job.actions.as_slice() else {
        panic!("two blocks, not {:?}", job.actions);
    };
    assert_eq!(first.path, "actions[0].test");
    assert_eq!(first.namespace(), Namespace::new("a"));
    assert_eq!(first.common.connection_namespace, Some(Namespace::new("b")));
    assert_eq!(first.common.failure_retry, Some(3));
    assert_eq!(first.common.retry_interval, Duration::from_millis(500));
    assert!(first.common.timeouts.skip);
    assert_eq!(first.common.timeouts.block, Some(seconds(60)));
    assert_eq!(second.namespace(), Namespace::common());
    assert_eq!(second.common.retry_interval, seconds(1));
    assert!(!second.common.timeouts.skip);
}

#[test]
fn images_may_carry_overlays() {
    let job = definition(
        "- deploy:
    to: tmpfs
    images:
      rootfs:
        url: https://example.com/rootfs
        format: ext4
        use_cache: no
        overlays: {lava: true, extra: {url: 'https://example.com/x', format: tar, path: /}}
",
    );
    let BlockKind::Deploy(deploy) = &job.actions[0].kind else {
        panic!("a deploy");
    };
    let DeployMethod::Tmpfs(tmpfs) = &deploy.method else {
        panic!("to tmpfs");
    };
    let (label, image) = &tmpfs.images[0];
    assert_eq!((label.as_str(), image.use_cache), ("rootfs", false));
    let injection = image.injection.as_ref().expect("something to put in");
    assert_eq!(injection.overlays[0].1, OverlayEntry::Lava);
    assert!(matches!(&injection.overlays[1].1, OverlayEntry::File(file) if file.format == "tar"));
}

#[test]
fn prompts_may_be_one_text_or_a_list() {
    let job = definition(
        "- boot: {method: minimal, prompts: 'a b', reset: false}
- boot: {method: qemu, prompts: [a, 1]}
- boot: {method: moon}
",
    );
    let prompts: Vec<_> = job
        .actions
        .iter()
        .map(|block| match &block.kind {
            BlockKind::Boot(boot) => boot.prompts.clone(),
            other => panic!("a boot, not {other:?}"),
        })
        .collect();
    let owned = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(prompts, [owned(&["a b"]), owned(&["a", "1"]), None]);
    let BlockKind::Boot(boot) = &job.actions[2].kind else {
        panic!("a boot");
    };
    assert_eq!(
        (boot.method.as_str(), &boot.kind),
        ("moon", &BootMethod::Other)
    );
}

#[test]
fn a_given_revision_needs_the_history() {
    let job = definition(
        "- test:
    definitions:
    - {from: git, name: a, path: a, repository: r}
    - {from: git, name: b, path: b, repository: r, revision: 12345678}
    - {from: git, name: c, path: c, repository: r, revision: 1e5, shallow: true}
",
    );
    let BlockKind::Test(test) = &job.actions[0].kind else {
        panic!("a test");
    };
    let TestKind::Shell(definitions) = &test.kind else {
        panic!("in a shell");
    };
    let found: Vec<_> = definitions
        .iter()
        .map(|definition| match &definition.source {
            DefinitionSource::Git(git) => (git.revision.as_deref(), git.shallow),
            other => panic!("git, not {other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [(None, true), (Some("12345678"), false), (Some("1e5"), true)]
    );
}

#[test]
fn devices_have_one_primary_console() {
    let primary = |text: &str| {
        Device::from_node(&load(text))
            .expect("a device")
            .commands
            .primary_connection()
            .map(|connection| (connection.name, connection.connect))
    };
    let owned = |name: &str, connect: &str| Some((name.to_owned(), connect.to_owned()));
    assert_eq!(primary("commands: {connect: a}"), owned("", "a"));
    assert_eq!(
        primary("commands: {connections: {x: {connect: b}, y: {connect: c, tags: [primary]}}}"),
        owned("y", "c")
    );
    assert_eq!(primary("commands: {connections: {x: {connect: b}}}"), None);
    assert_eq!(primary("commands:"), None);
}

#[test]
fn commands_may_be_one_text_or_a_list() {
    let device = Device::from_node(&load(
        "commands: {power_on: a b, power_off: [c, [d, null]], hard_reset: , soft_reboot: ''}
actions: {deploy: {methods: {image: }}, boot: {methods: {qemu: {x: 1}}}}
constants: {posix: {a: 1}, b: }
",
    ))
    .expect("a device");
    let get = |key: &str| device.commands.get(key).map(|lines| lines.join("|"));
    assert_eq!(get("power_on").as_deref(), Some("a b"));
    assert_eq!(get("power_off").as_deref(), Some("c|d"));
    assert_eq!(get("hard_reset"), None);
    assert_eq!(get("soft_reboot"), None, "an empty command is none");
    assert_eq!(get("moon"), None);
    assert!(device.deploy_method("image").is_some(), "null is there");
    assert!(device.boot_method("image").is_none());
    assert_eq!(device.boot_methods(), ["qemu"]);
    let constant = |prefix: &str, key: &str| device.constant(prefix, key).and_then(Node::as_i64);
    assert_eq!(constant("posix", "a"), Some(1));
    assert!(device.constant("", "b").is_some_and(Node::is_null));
    assert!(device.constant("moon", "a").is_none());
}
