//! Where a boot went wrong, from what the board printed since its reset and from what it loaded.
//!
//! Pure: the executor asks when an action of a boot failed, and adds the answer to the fault. It
//! never decides whether something failed, and names no reason where it sees none.

use crate::bootfiles::{Outcome, Report};
use memchr::memmem;
use regex::bytes::Regex;
use std::{fmt, ops::Range, sync::LazyLock};

/// Lines of the console that a diagnosis shows at most.
const MOST_LINES: usize = 12;
/// Bytes of such a line.
const LINE_BYTES: usize = 240;

/// What went wrong with a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFailure {
    /// The board got no address.
    NoDhcp,
    /// A file did not arrive; how much of it did, in percent, where our server knows.
    TftpStopped {
        /// What the board asked for.
        file: Option<String>,
        /// How much of it was acknowledged.
        percent: Option<u8>,
    },
    /// What arrived is not what was sent, or no image.
    BadChecksum,
    /// The boot loader refused a command.
    BootloaderError,
    /// The boot loader started the kernel, which never said anything.
    NothingAfterHandover,
    /// The kernel gave up.
    Panic,
    /// The kernel started, and nobody could log in.
    NoLoginPrompt,
    /// The board began to boot again by itself.
    ResetLoop {
        /// How often it began.
        starts: usize,
    },
}

impl fmt::Display for BootFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDhcp => f.write_str(
                "no DHCP: the board got no address (cable, switch, DHCP server, network card)",
            ),
            Self::TftpStopped { file, percent } => {
                f.write_str("TFTP stopped")?;
                if let Some(percent) = percent {
                    write!(f, " at {percent} %")?;
                }
                if let Some(file) = file {
                    write!(f, " of {file}")?;
                }
                f.write_str(" (cable, firewall, or the server)")
            }
            Self::BadChecksum => f.write_str(
                "bad checksum: what the board loaded is damaged, or not the image it should be",
            ),
            Self::BootloaderError => f.write_str("the boot loader refused a command"),
            Self::NothingAfterHandover => f.write_str(
                "nothing after the boot loader started the kernel (console= of the kernel, \
                 addresses, device tree)",
            ),
            Self::Panic => f.write_str("the kernel panicked"),
            Self::NoLoginPrompt => f.write_str(
                "no login prompt: the kernel started, and what was waited for never came",
            ),
            Self::ResetLoop { starts } => write!(
                f,
                "reset loop: the board began to boot {starts} times (watchdog, power supply, or \
                 a crash before the console works)"
            ),
        }
    }
}

/// A failure, and the lines of the console that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What went wrong.
    pub failure: BootFailure,
    /// The lines that show it.
    pub lines: Vec<String>,
}

/// What a boot loader or a kernel says, as regular expressions over the console's bytes.
struct Words {
    starts: Vec<Regex>,
    panic: Regex,
    checksum: Regex,
    dhcp_asked: Regex,
    dhcp_bound: Regex,
    dhcp_failed: Regex,
    tftp_asked: Regex,
    tftp_done: Regex,
    handover: Regex,
    kernel: Regex,
}

static WORDS: LazyLock<Option<Words>> = LazyLock::new(|| Words::compile().ok());

impl Words {
    fn compile() -> Result<Self, regex::Error> {
        let starts = [
            r"U-Boot SPL 20\d\d",
            r"(?m)^U-Boot 20\d\d",
            r"(?m)^barebox 20\d\d",
            r"(?m)^iPXE \d",
            r"(?m)^coreboot-",
            r"Linux version \d",
        ];
        Ok(Self {
            starts: starts
                .map(Regex::new)
                .into_iter()
                .collect::<Result<_, _>>()?,
            panic: Regex::new("Kernel panic - not syncing")?,
            checksum: Regex::new(
                r"(?i)bad data crc|bad header checksum|bad data checksum|bad hash|crc error|crc32? (?:mismatch|failed)|uncompression error|bad linux arm64 image magic|bad linux riscv image magic|zimage: bad magic|wrong image format|wrong ramdisk image format|ramdisk image is corrupt|invalid compressed format|junk (?:in|within) compressed archive",
            )?,
            dhcp_asked: Regex::new(
                r"BOOTP broadcast \d|(?m)^Configuring \(net\d|DHCP discover|error: couldn't autoconfigure|(?i)waiting for (?:ethernet )?link|dhcp net\d",
            )?,
            dhcp_bound: Regex::new(
                r"DHCP client bound|(?m)^Configuring \(net\d[^\n]*\)[. ]*ok|TFTP from server|IP address: \d|DHCP: lease",
            )?,
            dhcp_failed: Regex::new(
                r"Retry time exceeded|No configuration methods succeeded|couldn't autoconfigure|(?i)dhcp(?: failed|: timeout|[^\n]*no (?:answer|response))|No ethernet found|no network device",
            )?,
            tftp_asked: Regex::new(r"TFTP from server|Filename '|(?m)^tftp://|T T ")?,
            tftp_done: Regex::new(r"Bytes transferred|(?m)\.\.\. ok\r?$")?,
            handover: Regex::new(
                r"Starting kernel|Booting Linux|Loading initial ramdisk|EFI stub: |Exiting boot services",
            )?,
            kernel: Regex::new(r"Linux version \d|\[ {0,4}0\.0{6}\]")?,
        })
    }
}

/// Names what went wrong with a boot that failed, from what the board printed since its reset and
/// the transfers of its files. `refused`: a command of the boot loader's was answered by an error.
pub fn diagnose(text: &[u8], transfers: &[Report], refused: bool) -> Option<Diagnosis> {
    let words = WORDS.as_ref()?;
    let shown = |failure, span: Range<usize>| Diagnosis {
        failure,
        lines: lines_around(text, span),
    };
    if let Some(found) = words.panic.find(text) {
        return Some(shown(BootFailure::Panic, found.range()));
    }
    let again = words.starts.iter().filter_map(|start| {
        let all: Vec<_> = start.find_iter(text).map(|found| found.range()).collect();
        (all.len() > 1).then_some(all)
    });
    if let Some(all) = again.max_by_key(Vec::len) {
        let last = all.last().cloned().unwrap_or_default();
        let starts = all.len();
        return Some(shown(BootFailure::ResetLoop { starts }, last));
    }
    // A ramdisk that a kernel cannot unpack is told by the kernel, so this comes before the rest.
    if let Some(found) = words.checksum.find(text) {
        return Some(shown(BootFailure::BadChecksum, found.range()));
    }
    if let Some(found) = words.kernel.find(text) {
        let end = text.len().saturating_sub(1).max(found.start());
        return Some(shown(BootFailure::NoLoginPrompt, end..text.len()));
    }
    if let Some(found) = words.handover.find_iter(text).last() {
        return Some(shown(BootFailure::NothingAfterHandover, found.range()));
    }
    loading(words, text, transfers).or_else(|| {
        let end = text.len().saturating_sub(1)..text.len();
        refused.then(|| shown(BootFailure::BootloaderError, end))
    })
}

/// Whether it was the network that failed the boot loader.
fn loading(words: &Words, text: &[u8], transfers: &[Report]) -> Option<Diagnosis> {
    let asked = words.dhcp_asked.find_iter(text).last();
    let failed = words.dhcp_failed.find_iter(text).last();
    let bound = words.dhcp_bound.find_iter(text).last();
    let is_after = |span: &regex::bytes::Match<'_>| {
        bound
            .as_ref()
            .is_none_or(|bound| bound.end() < span.start())
    };
    let without_address = asked.filter(is_after).or(failed.filter(is_after));
    if let Some(found) = without_address.filter(|_| bound.is_none()) {
        let span = failed.map_or(found.range(), |failed| failed.range());
        return Some(Diagnosis {
            failure: BootFailure::NoDhcp,
            lines: lines_around(text, span),
        });
    }
    let broken = transfers
        .iter()
        .rev()
        .find(|report| !matches!(report.outcome, Some(Outcome::Done | Outcome::Refused(_))));
    let asked = words.tftp_asked.find_iter(text).last();
    let stopped = asked.filter(|asked| !words.tftp_done.is_match(&text[asked.start()..]));
    if broken.is_none() && (stopped.is_none() || refused_file(text, transfers)) {
        return None;
    }
    let span = stopped.map_or(text.len()..text.len(), |stopped| stopped.range());
    Some(Diagnosis {
        failure: BootFailure::TftpStopped {
            file: broken.map(|report| report.path.clone()),
            percent: broken.and_then(Report::percent),
        },
        lines: lines_around(text, span),
    })
}

/// Whether the server said no, which is not a matter of the network.
fn refused_file(text: &[u8], transfers: &[Report]) -> bool {
    let last = transfers.last().and_then(|report| report.outcome.as_ref());
    matches!(last, Some(Outcome::Refused(_)))
        || memmem::find(text, b"TFTP error").is_some()
        || memmem::find(text, b"File not found").is_some()
}

/// The lines before a place and those of it, at most [`MOST_LINES`].
fn lines_around(text: &[u8], span: Range<usize>) -> Vec<String> {
    let end = memchr::memchr(b'\n', &text[span.end.min(text.len())..])
        .map_or(text.len(), |length| span.end + length);
    let all = text[..end.min(text.len())].split(|byte| *byte == b'\n');
    let mut lines: Vec<String> = all
        .rev()
        .map(|line| {
            let line = line[..line.len().min(LINE_BYTES)].trim_ascii_end();
            String::from_utf8_lossy(line).into_owned()
        })
        .filter(|line| !line.is_empty())
        .take(MOST_LINES)
        .collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootfiles::Protocol;
    use std::time::{Duration, Instant};

    const BOOT: &str = "U-Boot 2023.01 (Jan 1)\r\nHit any key to stop autoboot:  0 \r\n=> dhcp\r\n";
    const BOUND: &str = "BOOTP broadcast 1\r\nDHCP client bound to address 10.0.2.15 (2 ms)\r\n=> ";
    const ASKED: &str = "tftp 0x1 7/Image\r\nTFTP from server 10.0.2.2; our IP address is 10.0.2.15\r\n\
                         Filename '7/Image'.\r\nLoading: ####";
    const LOADED: &str = "###\r\ndone\r\nBytes transferred = 1 (1 hex)\r\n=> ";
    const STARTED: &str = "Starting kernel ...\r\n\r\n";
    const LINUX: &str = "[    0.000000] Linux version 6.1\r\n";

    fn report(bytes: u64, outcome: Outcome) -> Report {
        Report {
            protocol: Protocol::Tftp,
            client: ([127, 0, 0, 1], 9).into(),
            path: "7/Image".to_owned(),
            size: 1000,
            bytes,
            retransmitted: 3,
            begun: Instant::now(),
            duration: Duration::from_secs(1),
            outcome: Some(outcome),
        }
    }

    fn failure(parts: &[&str], transfers: &[Report], refused: bool) -> Option<BootFailure> {
        let text = parts.concat();
        diagnose(text.as_bytes(), transfers, refused).map(|diagnosis| diagnosis.failure)
    }

    #[test]
    fn each_of_the_eight_has_its_name() {
        let broken = report(430, Outcome::Failed("silence".to_owned()));
        let no_dhcp = [BOOT, "BOOTP broadcast 1\r\nBOOTP broadcast 2\r\n"];
        assert_eq!(failure(&no_dhcp, &[], false), Some(BootFailure::NoDhcp));
        let stopped = failure(&[BOOT, BOUND, ASKED, "T T "], &[broken], true);
        let expected = BootFailure::TftpStopped {
            file: Some("7/Image".to_owned()),
            percent: Some(43),
        };
        assert_eq!(stopped, Some(expected));
        let damaged = [
            BOOT,
            BOUND,
            ASKED,
            LOADED,
            "bootm\r\nVerifying Checksum ... Bad Data CRC\r\n",
        ];
        assert_eq!(failure(&damaged, &[], true), Some(BootFailure::BadChecksum));
        let refused = [
            BOOT,
            BOUND,
            "booot\r\nUnknown command 'booot' - try 'help'\r\n=> ",
        ];
        assert_eq!(
            failure(&refused, &[], true),
            Some(BootFailure::BootloaderError)
        );
        let silent = [BOOT, BOUND, ASKED, LOADED, STARTED];
        assert_eq!(
            failure(&silent, &[], false),
            Some(BootFailure::NothingAfterHandover)
        );
        let panic = [BOOT, STARTED, LINUX, "Kernel panic - not syncing: VFS\r\n"];
        assert_eq!(failure(&panic, &[], false), Some(BootFailure::Panic));
        let no_login = [BOOT, STARTED, LINUX, "[    1.2] random: crng init done\r\n"];
        assert_eq!(
            failure(&no_login, &[], false),
            Some(BootFailure::NoLoginPrompt)
        );
        let again = [BOOT, STARTED, BOOT, STARTED, BOOT];
        assert_eq!(
            failure(&again, &[], false),
            Some(BootFailure::ResetLoop { starts: 3 })
        );
    }

    #[test]
    fn a_file_that_the_server_does_not_have_is_the_commands_fault() {
        let no = report(0, Outcome::Refused("no such file".to_owned()));
        let said = [
            BOOT,
            BOUND,
            ASKED,
            "\r\nTFTP error: 'File not found' (1)\r\n=> ",
        ];
        assert_eq!(
            failure(&said, &[no], true),
            Some(BootFailure::BootloaderError)
        );
    }

    #[test]
    fn nothing_is_named_where_nothing_is_seen() {
        assert_eq!(diagnose(b"", &[], false), None);
        assert_eq!(failure(&[BOOT], &[], false), None);
    }

    #[test]
    fn the_lines_end_where_it_shows() {
        let text = [
            BOOT,
            STARTED,
            LINUX,
            "a\r\n",
            "Kernel panic - not syncing: VFS\r\nafter\r\n",
        ];
        let text = text.concat();
        let diagnosis = diagnose(text.as_bytes(), &[], false).unwrap();
        assert_eq!(
            diagnosis.lines.last().unwrap(),
            "Kernel panic - not syncing: VFS"
        );
    }
}
