//! What to say when a device refuses a command.

use super::protocol::{Command, shorten};
use crate::error::{ErrorKind, HalError};

/// How much of a device's reason goes into a message.
const REASON: usize = 300;

/// Words of well-known refusals, and what to try. The first match counts.
const HINTS: [(&[&str], &str); 6] = [
    (
        &["lock"],
        "the bootloader is locked: unlock it (fastboot flashing unlock), which erases the device",
    ),
    (
        &[
            "max-download-size",
            "too large",
            "too big",
            "exceed",
            "data too",
        ],
        "it does not fit: compare it with getvar max-download-size and partition-size",
    ),
    (
        &["partition", "no such", "not found", "unknown var"],
        "see the names that getvar all lists",
    ),
    (
        &[
            "unknown command",
            "unrecognized",
            "not supported",
            "not implemented",
            "unsupported",
        ],
        "this bootloader does not know the command",
    ),
    (
        &["permission", "not allowed", "denied"],
        "the bootloader does not allow that in its present state: see getvar unlocked",
    ),
    (
        &["no image downloaded", "no download"],
        "the device lost the download: it may have been reset",
    ),
];

/// The error for FAIL.
pub(super) fn refused(device: &str, command: &Command, reason: &str) -> HalError {
    let said = if reason.is_empty() {
        "without a reason".to_owned()
    } else {
        shorten(&reason.replace(char::is_control, " "), REASON)
    };
    let message = format!("fastboot device {device} refused '{command}': {said}");
    let error = HalError::new(ErrorKind::CommandFailed, device, message);
    let reason = reason.to_lowercase();
    let known = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    match HINTS.iter().find(|(words, _)| known(words)) {
        Some((_, hint)) => error.with_hint(*hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_real_devices_have_a_hint() {
        let command = Command::new("flash:boot").unwrap();
        for (reason, hint) in [
            ("Flashing is not allowed in Lock State", "unlock"),
            ("cannot find partition", "getvar all"),
            (
                "Requested download size exceeds max-download-size",
                "max-download-size",
            ),
            ("unrecognized command", "does not know"),
        ] {
            let error = refused("usb:1-1", &command, reason);
            assert_eq!(error.kind(), ErrorKind::CommandFailed);
            assert!(
                error.hint().unwrap().contains(hint),
                "{reason}: {:?}",
                error.hint()
            );
            assert_eq!(
                error.to_string(),
                format!("fastboot device usb:1-1 refused 'flash:boot': {reason}")
            );
        }
        assert_eq!(refused("d", &command, "").hint(), None);
    }
}
