//! No document makes planning panic.

mod support;

use job::{Definition, Device, JobId};
use plan::Facts;
use proptest::prelude::*;
use yaml::{Map, Node, Value};

const JOBS: [&str; 3] = [
    include_str!("fixtures/board.job.yaml"),
    include_str!("fixtures/emulator.job.yaml"),
    include_str!("fixtures/tftp.job.yaml"),
];
const DEVICES: [&str; 3] = [
    include_str!("fixtures/board.device.yaml"),
    include_str!("fixtures/emulator.device.yaml"),
    include_str!("fixtures/tftp.device.yaml"),
];
const METHODS: [&str; 46] = [
    "avh",
    "barebox",
    "bootloader",
    "cmsis-dap",
    "depthcharge",
    "dfu",
    "docker",
    "download",
    "downloads",
    "fastboot",
    "flasher",
    "fvp",
    "gdb",
    "grub",
    "grub-efi",
    "ipxe",
    "iso-installer",
    "jlink",
    "kexec",
    "minimal",
    "mps",
    "musca",
    "nbd",
    "new_connection",
    "nfs",
    "nodebooter",
    "openocd",
    "overlay",
    "pyocd",
    "qdl",
    "qemu",
    "qemu-iso",
    "qemu-nfs",
    "recovery",
    "sata",
    "schroot",
    "ssh",
    "tftp",
    "tmpfs",
    "u-boot",
    "u-boot-ums",
    "uefi",
    "uefi-menu",
    "usbg-ms",
    "uuu",
    "vemsd",
];
const KEYS: [&str; 24] = [
    "to",
    "method",
    "images",
    "commands",
    "kernel",
    "image",
    "device",
    "connection",
    "bootloader",
    "recovery_image",
    "definitions",
    "interactive",
    "monitors",
    "services",
    "docker",
    "timeout",
    "timeouts",
    "failure_retry",
    "repeat",
    "namespace",
    "overlays",
    "url",
    "prompts",
    "command",
];

/// One change: where (counted through the tree), and what comes there.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Insert(&'static str, Value),
    Empty,
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(METHODS.as_slice()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("https://example.com/x")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(KEYS.as_slice()), inner), 0..4)
                .prop_map(|entries| {
                    let mut map = Map::new();
                    for (key, value) in entries {
                        map.insert(key, value);
                    }
                    Value::from(map)
                }),
        ]
    })
}

fn change() -> impl Strategy<Value = (usize, Change)> {
    let what = prop_oneof![
        value().prop_map(Change::Replace),
        (proptest::sample::select(KEYS.as_slice()), value())
            .prop_map(|(key, value)| Change::Insert(key, value)),
        Just(Change::Empty),
    ];
    (0_usize..150, what)
}

/// Makes a change at the node that `place` counts to; nodes are counted from the root down.
fn apply(node: &Node, place: &mut usize, change: &Change) -> Node {
    if *place == 0 {
        *place = usize::MAX;
        return changed(node, change).into();
    }
    *place -= 1;
    let value = match &node.value {
        Value::Sequence(items) => Value::Sequence(
            items
                .iter()
                .map(|item| apply(item, place, change))
                .collect(),
        ),
        Value::Mapping(map) => {
            let mut out = Map::new();
            for (key, value) in map.iter() {
                out.insert(key.clone(), apply(value, place, change));
            }
            Value::Mapping(out)
        }
        other => other.clone(),
    };
    value.into()
}

fn changed(node: &Node, change: &Change) -> Value {
    match (change, &node.value) {
        (Change::Replace(value), _) => value.clone(),
        (Change::Insert(key, value), Value::Mapping(map)) => {
            let mut map = map.clone();
            map.insert(*key, value.clone());
            Value::Mapping(map)
        }
        (Change::Insert(..) | Change::Empty, _) => Value::Null,
    }
}

/// A device that has every method there is.
fn with_every_method(device: &Node) -> Node {
    let mut methods = Map::new();
    for method in METHODS {
        methods.insert(method, Value::from(Map::new()));
    }
    let mut kinds = Map::new();
    for kind in ["deploy", "boot"] {
        let mut map = Map::new();
        map.insert("methods", Value::from(methods.clone()));
        kinds.insert(kind, Value::from(map));
    }
    let mut map = device.as_map().cloned().unwrap_or_default();
    map.insert("actions", Value::from(kinds));
    Value::Mapping(map).into()
}

fn plan_and_show(job: &Node, device: &Node) {
    let device = Device::from_node(device);
    let (Ok(definition), Ok(device)) = (Definition::from_node(job), device) else {
        return;
    };
    let planned = plan::plan(&definition, &device, &Facts::new(JobId::new("1")));
    if let Ok(plan) = planned {
        plan::describe(&plan);
        plan::description(&plan);
        plan::render_tree(&plan);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn changed_documents_do_not_panic(
        which in 0_usize..3,
        every_method in any::<bool>(),
        of_job in proptest::collection::vec(change(), 0..6),
        of_device in proptest::collection::vec(change(), 0..3),
    ) {
        let mut job = support::load(JOBS[which]);
        for (mut place, change) in of_job {
            job = apply(&job, &mut place, &change);
        }
        let mut device = support::load(DEVICES[which]);
        if every_method {
            device = with_every_method(&device);
        }
        for (mut place, change) in of_device {
            device = apply(&device, &mut place, &change);
        }
        plan_and_show(&job, &device);
    }

    #[test]
    fn any_block_on_a_device_with_every_method_does_not_panic(
        method in proptest::sample::select(METHODS.as_slice()),
        keyword in proptest::sample::select(vec!["deploy", "boot", "test", "command"]),
        entries in proptest::collection::vec(
            (proptest::sample::select(KEYS.as_slice()), value()),
            0..8
        ),
    ) {
        let mut block = Map::new();
        for (key, value) in entries {
            block.insert(key, value);
        }
        block.insert("to", Value::from(method));
        block.insert("method", Value::from(method));
        let mut action = Map::new();
        action.insert(keyword, Value::from(block));
        let mut job = support::load("timeouts: {job: {minutes: 1}}\nactions: []\n")
            .as_map()
            .cloned()
            .unwrap_or_default();
        job.insert("actions", Value::from(vec![Value::from(action)]));
        let device = with_every_method(&support::load(DEVICES[0]));
        plan_and_show(&Value::Mapping(job).into(), &device);
    }
}
