//! `boot:` blocks, one file per method.

mod minimal;
mod qemu;

use crate::builder::{Builder, Planned};
use job::{
    Problem,
    definition::{Boot, BootMethod},
    document::Cursor,
};

/// The actions of a `boot:` block.
pub(crate) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot) -> Planned {
    match &boot.kind {
        BootMethod::Qemu(qemu) => qemu::plan(builder, boot, qemu),
        BootMethod::Minimal(minimal) => minimal::plan(builder, boot, minimal),
        BootMethod::Other => Err(unknown(builder, &boot.method)),
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
