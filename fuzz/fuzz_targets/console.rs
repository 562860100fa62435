//! Any bytes of a board are lines, kernel messages and signals, in bounded memory.
#![no_main]

use dispatcher::expect::{kernel::KernelMonitor, lines::LineSplitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut total = 0;
    let mut lines = LineSplitter::new();
    lines.push(bytes, &mut |line, _| total += line.len());
    lines.flush(&mut |line, _| total += line.len());
    assert!(total <= bytes.len());
    let mut kernel = KernelMonitor::new();
    kernel.push(bytes, &mut |_| ());
    kernel.finish(&mut |_| ());
});
