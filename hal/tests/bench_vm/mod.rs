//! What the tests on the bench VM share: devices that the kernel of the bench is made to offer.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    reason = "every test program uses a part of it, and says when it is skipped"
)]

pub(crate) mod gadget;
pub(crate) mod ports;
pub(crate) mod uhid;
pub(crate) mod usbmon;

/// Whether this is the bench VM; the tests change the kernel's devices.
pub(crate) fn in_bench_vm() -> bool {
    let inside = std::env::var_os("PUMICE_BENCH_VM").is_some();
    if !inside {
        eprintln!("SKIPPED: PUMICE_BENCH_VM is not set; hil/bench-vm/test runs this");
    }
    inside
}
