//! Keys that several kinds of blocks share.

use super::shape::{Field, Shape, optional, required};

/// A list of texts or a single one.
pub(super) const TEXTS: Shape = Shape::OneOrMore(&Shape::Text);

/// Keys of every block of `actions`.
pub(super) const BLOCK: &[Field] = &[
    optional("namespace", Shape::Text),
    optional("connection-namespace", Shape::Text),
    optional("role", TEXTS),
    optional("protocols", Shape::Map(&[PROTOCOL_CALLS])),
    optional("timeout", Shape::Timeout),
    optional("timeouts", Shape::Names(&Shape::Timeout)),
    optional("failure_retry", Shape::Integer(1, i64::MAX)),
    optional("failure_retry_interval", Shape::Seconds),
    optional("repeat", Shape::Integer(1, i64::MAX)),
    optional("connection_timeout", Shape::Timeout),
    optional("name", Shape::Text),
];

const PROTOCOL_CALLS: &[Field] = &[
    optional(
        "lava-multinode",
        Shape::OneOrMore(&Shape::Map(&[MULTINODE_CALL])),
    ),
    optional("lava-xnbd", Shape::OneOrMore(&Shape::OpenMap(&[XNBD_CALL]))),
];

const MULTINODE_CALL: &[Field] = &[
    required("action", Shape::Text),
    required("request", Shape::Text),
    optional("messageID", Shape::Text),
    optional("message", Shape::Names(&Shape::Anything)),
    optional("timeout", Shape::Timeout),
    optional("role", Shape::Text),
];

const XNBD_CALL: &[Field] = &[
    optional("action", Shape::Text),
    optional("request", Shape::Choice(&["set_port"])),
];

/// A file to download.
pub(super) const URL: &[Field] = &[
    required("url", Shape::Text),
    optional("headers", Shape::Names(&Shape::Text)),
    optional(
        "compression",
        Shape::Choice(&["bz2", "gz", "xz", "zip", "zstd"]),
    ),
    optional("archive", Shape::Choice(&["tar"])),
    optional("md5sum", Shape::Checked(is_md5)),
    optional("sha256sum", Shape::Checked(is_sha256)),
    optional("sha512sum", Shape::Checked(is_sha512)),
    optional("use_cache", Shape::Bool),
    optional("image_arg", Shape::Text),
    optional("overlay", Shape::Anything),
];

/// What is put into a downloaded file.
pub(super) const INJECTION: &[Field] = &[
    optional("format", Shape::Choice(&["cpio.newc", "ext4", "tar"])),
    optional("partition", Shape::Integer(0, 1024)),
    optional("sparse", Shape::Bool),
    optional("overlay_backend", OVERLAY_BACKEND),
    optional(
        "overlays",
        Shape::Names(&Shape::MapOr(&Shape::Map(&[URL, INJECTED]), &Shape::Bool)),
    ),
];

const INJECTED: &[Field] = &[
    required("format", Shape::Choice(&["file", "tar"])),
    required("path", Shape::Checked(is_absolute)),
];

/// Which program writes into file systems.
pub(super) const OVERLAY_BACKEND: Shape = Shape::Choice(&["auto", "e2fsprogs", "guestfs"]);

/// A container.
pub(super) const DOCKER: Shape = Shape::MapOr(&Shape::Map(&[CONTAINER]), &Shape::Text);

const CONTAINER: &[Field] = &[
    optional("image", Shape::Text),
    optional("name", Shape::Text),
    optional("local", Shape::Bool),
    optional("binary", Shape::Text),
    optional("container_name", Shape::Text),
    optional("network_from", Shape::Text),
    optional("login", Shape::Map(&[LOGIN])),
    optional("devices", Shape::List(&Shape::Text)),
    optional("environment", Shape::Anything),
    optional("options", Shape::Anything),
    optional("volumes", Shape::Anything),
    optional("wait", Shape::Anything),
];

const LOGIN: &[Field] = &[
    optional("registry", Shape::Text),
    required("user", Shape::Text),
    required("password", Shape::Text),
];

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_md5(text: &str) -> Result<(), &'static str> {
    if is_hexadecimal(text, 32) {
        Ok(())
    } else {
        Err("an MD5 digest has 32 hexadecimal digits")
    }
}

fn is_sha256(text: &str) -> Result<(), &'static str> {
    if is_hexadecimal(text, 64) {
        Ok(())
    } else {
        Err("a SHA-256 digest has 64 hexadecimal digits")
    }
}

fn is_sha512(text: &str) -> Result<(), &'static str> {
    if is_hexadecimal(text, 128) {
        Ok(())
    } else {
        Err("a SHA-512 digest has 128 hexadecimal digits")
    }
}

fn is_absolute(text: &str) -> Result<(), &'static str> {
    if text.starts_with('/') {
        Ok(())
    } else {
        Err("the path must begin with a slash")
    }
}
