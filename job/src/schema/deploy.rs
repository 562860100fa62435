//! Keys of `deploy:` blocks, by what `to:` says.

use super::{
    common::{BLOCK, DOCKER, INJECTION, OVERLAY_BACKEND, URL},
    shape::{Field, Methods, Shape, optional, required},
};

/// A `deploy:` block.
pub(super) const DEPLOY: Shape = Shape::Method(&Methods {
    selector: "to",
    kind: "deploy method",
    common: &[BLOCK, COMMON],
    methods: METHODS,
});

const COMMON: &[Field] = &[
    optional("os", Shape::Text),
    optional("authorize", Shape::Choice(&["ssh"])),
    optional("overlay_backend", OVERLAY_BACKEND),
    optional("uniquify", Shape::Bool),
];

/// A file with everything a method may say about it.
const FILE: Shape = Shape::Map(&[URL, INJECTION, FILE_EXTRAS]);

const FILE_EXTRAS: &[Field] = &[
    optional("type", Shape::Choice(&["image", "uimage", "zimage"])),
    optional("header", Shape::Text),
    optional("install_modules", Shape::Bool),
    optional("install_overlay", Shape::Bool),
    optional("prefix", Shape::Text),
    optional("apply-overlay", Shape::Bool),
    optional("root_partition", Shape::Integer(0, 1024)),
    optional("reboot", Shape::Choice(REBOOTS)),
    optional("download", Shape::Bool),
    optional("rename", Shape::Text),
];

const REBOOTS: &[&str] = &[
    "hard-reset",
    "fastboot-reboot",
    "fastboot-reboot-bootloader",
    "fastboot-reboot-fastboot",
];

const FILES: Shape = Shape::Names(&FILE);

const PERSISTENT_NFS: &[Field] = &[
    required("address", Shape::Text),
    optional("install_overlay", Shape::Bool),
];

/// Writes an image to media of the running device.
const REMOVABLE: &[Field] = &[
    optional("image", FILE),
    optional("images", FILES),
    required("device", Shape::Text),
    optional("download", Shape::Map(&[DOWNLOAD_TOOL])),
    optional("writer", Shape::Map(&[DOWNLOAD_TOOL])),
    optional("tool", Shape::Map(&[TOOL])),
];

const DOWNLOAD_TOOL: &[Field] = &[
    required("tool", Shape::Text),
    required("options", Shape::Text),
    required("prompt", Shape::Text),
];

const TOOL: &[Field] = &[
    optional("prompts", Shape::List(&Shape::Text)),
    optional("flags", Shape::Text),
];

const IMAGES: &[Field] = &[required("images", FILES)];

const METHODS: &[(&str, &[Field])] = &[
    (
        "avh",
        &[
            required("options", Shape::Map(&[AVH_OPTIONS])),
            optional("images", FILES),
            optional("fw_package", FILE_OF_AVH),
        ],
    ),
    ("docker", &[required("image", DOCKER)]),
    ("download", IMAGES),
    (
        "downloads",
        &[
            required("images", FILES),
            optional("postprocess", POSTPROCESS),
        ],
    ),
    (
        "fastboot",
        &[required("images", FILES), optional("docker", DOCKER)],
    ),
    ("flasher", IMAGES),
    (
        "fvp",
        &[required("images", FILES), optional("ramdisk", FILE)],
    ),
    (
        "iso-installer",
        &[
            required("images", FILES),
            required("iso", Shape::Map(&[ISO])),
        ],
    ),
    ("mps", IMAGES),
    ("musca", IMAGES),
    (
        "nbd",
        &[
            required("kernel", FILE),
            required("initrd", FILE),
            required("nbdroot", FILE),
            optional("dtb", FILE),
        ],
    ),
    (
        "nfs",
        &[
            optional("images", FILES),
            optional("nfsrootfs", FILE),
            optional("modules", FILE),
        ],
    ),
    ("overlay", &[]),
    (
        "qdl",
        &[
            required("qcomflash", FILE),
            optional("rootfs_image", Shape::Text),
        ],
    ),
    ("recovery", IMAGES),
    ("sata", REMOVABLE),
    ("sd", REMOVABLE),
    (
        "ssh",
        &[
            optional("firmware", FILE),
            optional("kernel", FILE),
            optional("rootfs", FILE),
            optional("modules", FILE),
        ],
    ),
    (
        "tftp",
        &[
            optional("kernel", FILE),
            optional("dtb", FILE),
            optional("dtbo", Shape::OneOrMore(&FILE)),
            optional("modules", FILE),
            optional("preseed", FILE),
            optional("ramdisk", FILE),
            optional("nfsrootfs", FILE),
            optional("persistent_nfs", Shape::Map(&[PERSISTENT_NFS])),
            optional("tee", FILE),
            optional("extra_files", FILES),
        ],
    ),
    (
        "tmpfs",
        &[
            required("images", FILES),
            optional("type", Shape::Choice(&["monitor"])),
            optional("uefi", FILE),
        ],
    ),
    ("u-boot-ums", &[required("image", FILE)]),
    ("usb", REMOVABLE),
    ("usbg-ms", &[required("image", FILE)]),
    ("uuu", IMAGES),
    ("vemsd", &[required("recovery_image", FILE)]),
];

const AVH_OPTIONS: &[Field] = &[
    required("model", Shape::Text),
    optional("api_endpoint", Shape::Text),
    optional("project_name", Shape::Text),
];

const FILE_OF_AVH: Shape = Shape::Map(&[
    URL,
    INJECTION,
    FILE_EXTRAS,
    &[optional("storage_file", Shape::Text)],
]);

const POSTPROCESS: Shape = Shape::Map(&[&[required("docker", Shape::Map(&[POSTPROCESS_DOCKER]))]]);

const POSTPROCESS_DOCKER: &[Field] = &[
    required("image", Shape::Text),
    required("steps", Shape::List(&Shape::Text)),
    optional("devices", Shape::List(&Shape::Text)),
    optional("local", Shape::Bool),
    optional("login", Shape::Anything),
    optional("container_name", Shape::Text),
    optional("network_from", Shape::Text),
    optional("environment", Shape::Anything),
];

const ISO: &[Field] = &[
    required("installation_size", Shape::Text),
    required("kernel", Shape::Text),
    required("initrd", Shape::Text),
];
