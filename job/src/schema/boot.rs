//! Keys of `boot:` blocks, by what `method:` says.

use super::{
    common::{BLOCK, DOCKER, TEXTS},
    shape::{Field, Methods, Shape, optional, required},
};

/// A `boot:` block.
pub(super) const BOOT: Shape = Shape::Method(&Methods {
    selector: "method",
    kind: "boot method",
    common: &[BLOCK, COMMON],
    methods: METHODS,
});

const COMMON: &[Field] = &[
    optional("prompts", TEXTS),
    optional("auto_login", Shape::Map(&[AUTO_LOGIN])),
    optional("parameters", Shape::Map(&[PARAMETERS])),
    optional("soft_reboot", TEXTS),
    optional("ignore_kernel_messages", Shape::Bool),
    optional("transfer_overlay", Shape::Map(&[TRANSFER_OVERLAY])),
    optional("failure_message", Shape::Text),
    optional("reset", Shape::Bool),
    optional("connection", Shape::Text),
    // Where the system is that an earlier block installed.
    optional("kernel", Shape::Text),
    optional("kernel_type", Shape::Text),
    optional("ramdisk", Shape::Text),
    optional("dtb", Shape::Text),
    optional("root_uuid", Shape::Text),
    optional("boot_part", Shape::Text),
];

const AUTO_LOGIN: &[Field] = &[
    required("login_prompt", Shape::ShortText(4096)),
    required("username", Shape::Text),
    optional("password_prompt", Shape::Text),
    optional("password", Shape::Text),
    optional("login_commands", Shape::List(&Shape::Text)),
];

const PARAMETERS: &[Field] = &[
    optional("bootloader-final-message", Shape::Maybe(&Shape::Text)),
    optional("kernel-start-message", Shape::Maybe(&Shape::Text)),
    optional("shutdown-message", Shape::Maybe(&Shape::Text)),
    // The guest of a MultiNode job: which message carries the host's address.
    optional("hostID", Shape::Text),
    optional("host_key", Shape::Text),
];

const TRANSFER_OVERLAY: &[Field] = &[
    optional("download_command", Shape::Text),
    required("unpack_command", Shape::Text),
    optional("transfer_method", Shape::Choice(&["http", "nfs", "zmodem"])),
];

/// Commands of a bootloader: the name of a set the device has, or the commands.
const COMMANDS: Field = required("commands", TEXTS);
const MORE_COMMANDS: Field = optional("commands", Shape::List(&Shape::Text));
const USE_BOOTSCRIPT: Field = optional("use_bootscript", Shape::Bool);
const IN_DOCKER: Field = optional("docker", DOCKER);
const MEDIA: Field = optional("media", Shape::Text);

const GRUB: &[Field] = &[
    COMMANDS,
    USE_BOOTSCRIPT,
    optional("expect_shell", Shape::Bool),
    optional("boot_finished", TEXTS),
];

const QEMU: &[Field] = &[MEDIA, IN_DOCKER];

const METHODS: &[(&str, &[Field])] = &[
    (
        "avh",
        &[
            optional(
                "bootargs",
                Shape::Map(&[&[
                    optional("normal", Shape::Text),
                    optional("restore", Shape::Text),
                ]]),
            ),
            IN_DOCKER,
        ],
    ),
    ("barebox", &[COMMANDS, USE_BOOTSCRIPT]),
    (
        "bootloader",
        &[
            required("bootloader", Shape::Text),
            optional("commands", TEXTS),
            optional("reset_connection", Shape::Bool),
            optional("reset_device", Shape::Bool),
            USE_BOOTSCRIPT,
        ],
    ),
    ("cmsis-dap", &[]),
    (
        "depthcharge",
        &[COMMANDS, optional("extra_kernel_args", Shape::Text)],
    ),
    ("dfu", &[]),
    (
        "docker",
        &[
            required("command", Shape::Text),
            optional("downloads-namespace", Shape::Text),
        ],
    ),
    ("fastboot", &[MORE_COMMANDS, IN_DOCKER, USE_BOOTSCRIPT]),
    (
        "fvp",
        &[
            required("console_string", Shape::Text),
            required("image", Shape::Text),
            required("arguments", Shape::List(&Shape::Text)),
            required("docker", DOCKER),
            optional("use_telnet", Shape::Bool),
            optional("feedbacks", Shape::List(&Shape::Text)),
            optional("license_variable", Shape::Text),
            optional("environment", Shape::List(&Shape::Text)),
            optional("ubl_license", Shape::Text),
            optional("version_string", Shape::Text),
            optional("erpc_app", Shape::Text),
            MORE_COMMANDS,
        ],
    ),
    (
        "gdb",
        &[
            required("commands", Shape::Text),
            optional("container", Shape::Text),
        ],
    ),
    ("grub", GRUB),
    ("grub-efi", GRUB),
    ("ipxe", &[COMMANDS, USE_BOOTSCRIPT]),
    (
        "jlink",
        &[
            optional("commands", TEXTS),
            optional("coretype", Shape::Text),
        ],
    ),
    (
        "kexec",
        &[
            required("boot_message", Shape::Text),
            optional("command", Shape::Text),
            optional("initrd", Shape::Text),
            optional("options", Shape::List(&Shape::Text)),
            optional("kernel-config", Shape::Text),
            optional("on_panic", Shape::Bool),
            optional("deploy", Shape::Anything),
        ],
    ),
    (
        "minimal",
        &[
            optional("pre_power_command", Shape::Bool),
            optional("pre_os_command", Shape::Bool),
        ],
    ),
    ("monitor", QEMU),
    ("musca", &[]),
    ("new_connection", &[required("connection", Shape::Text)]),
    ("nodebooter", &[required("command", Shape::Text), IN_DOCKER]),
    ("openocd", &[]),
    ("pyocd", &[]),
    (
        "qdl",
        &[
            required("firehose_program", Shape::Text),
            required("rawprogram", TEXTS),
            optional("patch", TEXTS),
            optional("path", Shape::Text),
            optional("storage", Shape::Text),
            optional("debug", Shape::Bool),
            IN_DOCKER,
        ],
    ),
    ("qemu", QEMU),
    ("qemu-iso", QEMU),
    ("qemu-nfs", QEMU),
    (
        "recovery",
        &[required("commands", Shape::Choice(&["recovery", "exit"]))],
    ),
    (
        "schroot",
        &[
            required("schroot", Shape::Text),
            optional("os", Shape::Text),
        ],
    ),
    ("ssh", &[]),
    ("u-boot", &[COMMANDS, USE_BOOTSCRIPT]),
    ("uefi", &[COMMANDS, optional("shell_menu", Shape::Text)]),
    (
        "uefi-menu",
        &[
            COMMANDS,
            optional("line_separator", Shape::Choice(&["dos", "unix"])),
        ],
    ),
    (
        "uuu",
        &[
            optional("commands", Shape::List(&Shape::Names(&Shape::Text))),
            IN_DOCKER,
            optional("skip_uuu_if_bootloader_valid", Shape::Bool),
        ],
    ),
];
