//! What a board prints when it prints much.

use super::{Stop, terminal::Terminal};
use std::{io::Read, path::Path};

const CHUNK: usize = 64 * 1024;

/// The bytes of a file.
pub(super) fn file(terminal: &mut Terminal<'_>, path: &Path) -> Result<(), Stop> {
    let mut file = fs_err::File::open(path).map_err(Stop::Failed)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer).map_err(Stop::Failed)? {
            0 => return Ok(()),
            length => terminal.print(&buffer[..length])?,
        }
    }
}

/// Numbered lines of exactly `length` characters.
pub(super) fn flood(terminal: &mut Terminal<'_>, lines: u64, length: usize) -> Result<(), Stop> {
    let letters = (b'a'..=b'z').cycle().take(length);
    let mut line: Vec<u8> = letters.chain([b'\n']).collect();
    for number in 0..lines {
        // As many of the number's last digits as there is room for.
        let digits = length.min(10);
        let mut rest = number;
        for digit in line[..digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        terminal.print(&line)?;
    }
    Ok(())
}

/// One byte, `count` times.
pub(super) fn fill(terminal: &mut Terminal<'_>, count: u64, byte: u8) -> Result<(), Stop> {
    let chunk = vec![byte; CHUNK];
    let mut left = count;
    while left > 0 {
        let length = left.min(CHUNK as u64);
        terminal.print(&chunk[..length as usize])?;
        left -= length;
    }
    Ok(())
}

/// Bytes without meaning, the same for the same seed.
pub(super) fn noise(terminal: &mut Terminal<'_>, bytes: u64, seed: u64) -> Result<(), Stop> {
    let mut state = seed;
    for _ in 0..bytes {
        // SplitMix64 (Steele, Lea, Flood 2014): a few operations, and every seed is good.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        terminal.print(&[(mixed ^ (mixed >> 31)) as u8])?;
    }
    Ok(())
}

/// The last words of a Linux kernel.
pub(super) fn panic(reason: &[u8]) -> Vec<u8> {
    let reason = String::from_utf8_lossy(reason);
    format!(
        "[    3.141592] Kernel panic - not syncing: {reason}\n\
         [    3.141620] CPU: 0 PID: 1 Comm: init Not tainted 6.1.0-board #1\n\
         [    3.141651] Call Trace:\n\
         [    3.141668]  panic+0x10f/0x2d0\n\
         [    3.141701] ---[ end Kernel panic - not syncing: {reason} ]---\n"
    )
    .into_bytes()
}
