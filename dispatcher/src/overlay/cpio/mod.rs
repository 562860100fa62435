//! The `newc` format of cpio, as the Linux kernel reads initramfs images.
//!
//! Sources: `Documentation/driver-api/early-userspace/buffer-format.rst` of Linux, and what
//! `init/initramfs.c` of Linux 6.1 does: an image is a row of archives, each plain or compressed
//! on its own, with zeros between them.

mod header;
mod scan;
mod write;

pub(super) use scan::{Segment, scan};
pub(super) use write::CpioSink;
