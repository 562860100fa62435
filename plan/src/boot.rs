//! `boot:` blocks, one file per method.

mod avh;
mod barebox;
mod bootloader;
mod cmsis_dap;
mod depthcharge;
mod dfu;
mod docker;
mod fastboot;
mod fvp;
mod gdb;
mod grub;
mod ipxe;
mod jlink;
mod kexec;
mod minimal;
mod musca;
mod new_connection;
mod nodebooter;
mod openocd;
mod pyocd;
mod qdl;
mod qemu;
mod qemu_iso;
mod recovery;
mod schroot;
mod ssh;
mod u_boot;
mod uefi;
mod uefi_menu;
mod uuu;

use crate::builder::{Builder, Planned};
use job::{
    Problem,
    definition::{Boot, BootMethod},
    document::Cursor,
};

/// The actions of a `boot:` block.
pub(crate) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    match &boot.kind {
        BootMethod::Qemu(qemu) => return qemu::plan(builder, boot, qemu),
        BootMethod::Minimal(minimal) => return minimal::plan(builder, boot, minimal),
        BootMethod::Other => {}
    }
    match boot.method.as_str() {
        "avh" => avh::plan(builder, boot),
        "barebox" => barebox::plan(builder, boot),
        "bootloader" => bootloader::plan(builder, boot),
        "cmsis-dap" => cmsis_dap::plan(builder),
        "depthcharge" => depthcharge::plan(builder, boot),
        "dfu" => dfu::plan(builder),
        "docker" => docker::plan(builder, boot),
        "fastboot" => fastboot::plan(builder, boot),
        "fvp" => fvp::plan(builder, boot),
        "gdb" => gdb::plan(builder),
        "grub" | "grub-efi" => grub::plan(builder, boot),
        "ipxe" => ipxe::plan(builder, boot),
        "jlink" => jlink::plan(builder),
        "kexec" => kexec::plan(builder, boot),
        "musca" => musca::plan(builder, boot),
        "new_connection" => new_connection::plan(builder, boot),
        "nodebooter" => nodebooter::plan(builder, boot),
        "openocd" => openocd::plan(builder),
        "pyocd" => pyocd::plan(builder),
        "qdl" => qdl::plan(builder),
        "qemu-iso" => qemu_iso::plan(builder, boot),
        "recovery" => recovery::plan(builder),
        "schroot" => schroot::plan(builder),
        "ssh" => ssh::plan(builder, boot),
        "u-boot" => u_boot::plan(builder, boot),
        "uefi" => uefi::plan(builder, boot),
        "uefi-menu" => uefi_menu::plan(builder, boot),
        "uuu" => uuu::plan(builder),
        method => Err(unknown(builder, method)),
    }
}

fn unknown(builder: &Builder<'_, '_>, method: &str) -> Problem {
    let at = builder.cursor();
    let methods = builder.device().boot_methods();
    let problem = at
        .get("method")
        .unwrap_or(at)
        .problem(format!("cannot boot with `{method}`"));
    if methods.is_empty() {
        problem.with_hint("the device has no boot methods")
    } else {
        problem.with_hint(format!("the device has: {}", methods.join(", ")))
    }
}

/// The device's description of a method; refuses one that it does not have.
fn require_method<'a>(builder: &Builder<'a, '_>, method: &str) -> Planned<Cursor<'a>> {
    builder
        .device()
        .boot_method(method)
        .ok_or_else(|| unknown(builder, method))
}

/// A key that the block must have.
fn require_key<'a>(block: &Cursor<'a>, key: &str) -> Planned<Cursor<'a>> {
    block.get(key).ok_or_else(|| block.missing(key))
}

/// The method's parameters on the device: null where it has none.
fn parameter<'a>(method: &Cursor<'a>, key: &str) -> Option<Cursor<'a>> {
    method.get("parameters")?.set(key)
}
