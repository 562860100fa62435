//! Keys of the job itself.

use super::{
    boot::BOOT,
    common::TEXTS,
    deploy::DEPLOY,
    shape::{Field, Shape, optional, required},
    test::{COMMAND, TEST},
};

/// A job's definition.
pub(super) const JOB: Shape = Shape::Map(&[TOP, OF_ONE_ROLE, OF_SERVER]);

const TOP: &[Field] = &[
    required("job_name", Shape::ShortText(200)),
    optional("device_type", Shape::Text),
    optional("device", Shape::Text),
    optional("worker", Shape::Text),
    required(
        "visibility",
        Shape::MapOr(&Shape::Map(&[GROUP]), &Shape::Choice(VISIBILITIES)),
    ),
    optional("priority", Shape::Checked(is_priority)),
    optional("tags", Shape::List(&Shape::Text)),
    required("timeouts", Shape::Map(&[TIMEOUTS])),
    optional("context", Shape::Map(&[CONTEXT])),
    optional("metadata", Shape::Names(&Shape::Anything)),
    optional("secrets", Shape::Names(&Shape::Text)),
    optional("environment", Shape::Names(&Shape::Anything)),
    optional("protocols", Shape::Map(&[PROTOCOLS])),
    optional("notify", Shape::Map(&[NOTIFY])),
    optional("reboot_to_fastboot", Shape::Bool),
    required("actions", Shape::List(&ACTION)),
];

/// Keys of the job that a worker gets for one role of a MultiNode job.
const OF_ONE_ROLE: &[Field] = &[
    optional("connection", Shape::Text),
    optional("host_role", Shape::Text),
];

/// Keys that servers add when they hand a job out. LAVA 2023.01 says which of its pipelines the job
/// was written for; there is only one.
const OF_SERVER: &[Field] = &[optional("compatibility", Shape::Integer(0, i64::MAX))];

const VISIBILITIES: &[&str] = &["public", "personal"];

const GROUP: &[Field] = &[required("group", Shape::List(&Shape::Text))];

/// One block; that it is one is checked by the rules.
const ACTION: Shape = Shape::Map(&[ACTIONS]);

/// The kinds of blocks.
pub(super) const ACTIONS: &[Field] = &[
    optional("deploy", DEPLOY),
    optional("boot", BOOT),
    optional("test", TEST),
    optional("command", COMMAND),
];

const TIMEOUTS: &[Field] = &[
    required("job", Shape::Timeout),
    optional("action", Shape::Timeout),
    optional("connection", Shape::Timeout),
    optional("queue", Shape::Timeout),
    optional("actions", Shape::Names(&Shape::Timeout)),
    optional("connections", Shape::Names(&Shape::Timeout)),
];

/// An integer, a boolean, a string, or a list of them.
const SETTING: Shape = Shape::OneOrMore(&Shape::Checked(|_| Ok(())));

/// Variables that a job may set for the device's templates.
const CONTEXT: &[Field] = &[
    // virtual machines
    optional("arch", Shape::Text),
    optional("boot_console", SETTING),
    optional("boot_root", SETTING),
    optional("cpu", SETTING),
    optional("extra_options", SETTING),
    optional("guestfs_driveid", SETTING),
    optional("guestfs_interface", SETTING),
    optional("guestfs_size", SETTING),
    optional("machine", SETTING),
    optional("memory", SETTING),
    optional("model", SETTING),
    optional("monitor", SETTING),
    optional("netdevice", SETTING),
    optional("no_kvm", FLAG),
    optional("no_network", FLAG),
    optional("serial", SETTING),
    optional("vga", SETTING),
    // boards
    optional("booti_dtb_addr", SETTING),
    optional("booti_kernel_addr", SETTING),
    optional("booti_ramdisk_addr", SETTING),
    optional("bootm_dtb_addr", SETTING),
    optional("bootm_kernel_addr", SETTING),
    optional("bootm_ramdisk_addr", SETTING),
    optional("bootz_dtb_addr", SETTING),
    optional("bootz_kernel_addr", SETTING),
    optional("bootz_ramdisk_addr", SETTING),
    optional("bootloader_prompt", SETTING),
    optional("console_device", SETTING),
    optional("menu_interrupt_prompt", SETTING),
    optional("mustang_menu_list", SETTING),
    optional("tftp_mac_address", SETTING),
    optional("uboot_altbank", FLAG),
    optional("uboot_extra_error_message", SETTING),
    optional("uboot_needs_interrupt", FLAG),
    // any
    optional("boot_character_delay", SETTING),
    optional("deploy_character_delay", SETTING),
    optional("test_character_delay", SETTING),
    optional("boot_retry", SETTING),
    optional("failure_retry", SETTING),
    optional("custom_kernel_args", SETTING),
    optional("extra_kernel_args", SETTING),
    optional("extra_nfsroot_args", SETTING),
    optional("kernel_loglevel", SETTING),
    optional("kernel_start_message", SETTING),
    optional("lava_test_results_dir", SETTING),
];

/// Templates test these for truth, so anything will do.
const FLAG: Shape = Shape::Anything;

const PROTOCOLS: &[Field] = &[
    optional("lava-multinode", Shape::OpenMap(&[MULTINODE])),
    optional(
        "lava-xnbd",
        Shape::OpenMap(&[&[
            optional("port", Shape::Text),
            optional("timeout", Shape::Timeout),
        ]]),
    ),
];

const MULTINODE: &[Field] = &[
    optional(
        "roles",
        Shape::Names(&Shape::MapOr(&Shape::OpenMap(&[ROLE]), &Shape::Text)),
    ),
    optional("timeout", Shape::Timeout),
    optional("target_group", Shape::Text),
    optional("role", Shape::Text),
    optional("group_size", Shape::Integer(1, i64::MAX)),
    optional("sub_id", Shape::Integer(0, i64::MAX)),
    optional("request", Shape::Text),
    optional("expect_role", Shape::Text),
];

const ROLE: &[Field] = &[
    optional("count", Shape::Integer(1, i64::MAX)),
    optional("device_type", Shape::Text),
    optional("timeout", Shape::Timeout),
    optional("tags", Shape::List(&Shape::Text)),
    optional("context", Shape::Map(&[CONTEXT])),
    optional("environment", Shape::Names(&Shape::Anything)),
    optional("essential", Shape::Bool),
    optional("connection", Shape::Text),
    optional("host_role", Shape::Text),
    optional("expect_role", Shape::Text),
    optional("request", Shape::Text),
];

const NOTIFY: &[Field] = &[
    required(
        "criteria",
        Shape::Map(&[&[
            required("status", Shape::Choice(STATUSES)),
            optional("type", Shape::Choice(&["progression", "regression"])),
            optional("dependency_query", Shape::Text),
        ]]),
    ),
    optional(
        "verbosity",
        Shape::Choice(&["verbose", "quiet", "status-only"]),
    ),
    optional(
        "recipients",
        Shape::List(&Shape::Map(&[&[required("to", Shape::Map(&[TO]))]])),
    ),
    optional("callback", Shape::Map(&[CALLBACK])),
    optional("callbacks", Shape::List(&Shape::Map(&[CALLBACK]))),
    optional(
        "compare",
        Shape::OpenMap(&[&[
            optional("query", Shape::Names(&Shape::Anything)),
            optional("blacklist", TEXTS),
        ]]),
    ),
];

const STATUSES: &[&str] = &[
    "running",
    "complete",
    "incomplete",
    "canceled",
    "finished",
    "all",
];

const TO: &[Field] = &[
    required("method", Shape::Choice(&["email", "irc"])),
    optional("user", Shape::Text),
    optional("email", Shape::Text),
    optional("handle", Shape::Text),
    optional("server", Shape::Text),
];

const CALLBACK: &[Field] = &[
    required("url", Shape::Text),
    optional("method", Shape::Choice(&["GET", "POST"])),
    optional("token", Shape::Text),
    optional("header", Shape::Text),
    optional(
        "dataset",
        Shape::Choice(&["minimal", "logs", "results", "all"]),
    ),
    optional("content-type", Shape::Choice(&["json", "urlencoded"])),
];

fn is_priority(text: &str) -> Result<(), &'static str> {
    if matches!(text, "high" | "medium" | "low") {
        Ok(())
    } else {
        Err("a priority is high, medium, low, or a number from 0 to 100")
    }
}
