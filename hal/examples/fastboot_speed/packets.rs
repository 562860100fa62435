//! What went over a board's network while a client flashed it: QEMU's record of the packets.

use std::path::{Path, PathBuf};

/// Where fastboot's devices listen.
const PORT: u16 = 5554;

/// The length of the record's header, and of that before each packet.
const HEADERS: (usize, usize) = (24, 16);

/// The length of an Ethernet frame's header.
const ETHERNET: usize = 14;

/// A record that grows.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    read: usize,
}

/// What happened in a round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Packets to the board.
    pub sent: u64,
    /// Of these, those that repeat the one before.
    pub resent: u64,
    /// Bytes of commands and data to the board, without repeated ones.
    pub bytes: u64,
    /// Packets from the board.
    pub answers: u64,
    /// Microseconds from each answer to the next packet: what the client and its host took.
    pub client_micros: u64,
    /// The longest that a packet waited for its answer, in microseconds.
    pub longest_wait_micros: u64,
}

struct Packet<'a> {
    micros: u64,
    source: u16,
    destination: u16,
    length: u64,
    /// The header of fastboot and as much of the data as was kept.
    message: &'a [u8],
}

impl Record {
    /// A record that is at `path`, or will be.
    pub(crate) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self {
            path,
            read: HEADERS.0,
        }
    }

    /// What came since the last call.
    pub(crate) fn traffic(&mut self) -> std::io::Result<Traffic> {
        let bytes = fs_err::read(&self.path)?;
        let mut rest = bytes.get(self.read..).unwrap_or_default();
        let mut traffic = Traffic::default();
        let (mut last, mut asked, mut answered): (Option<Packet<'_>>, _, _) = (None, None, None);
        while let Some((packet, length)) = next(rest) {
            rest = &rest[length..];
            self.read += length;
            let Some(packet) = packet else { continue };
            if packet.source == PORT {
                traffic.answers += 1;
                if let Some(asked) = asked.take() {
                    let wait = packet.micros.saturating_sub(asked);
                    traffic.longest_wait_micros = traffic.longest_wait_micros.max(wait);
                }
                answered = Some(packet.micros);
                continue;
            }
            traffic.sent += 1;
            if let Some(answered) = answered.take() {
                traffic.client_micros += packet.micros.saturating_sub(answered);
            }
            let repeats = |last: &Packet<'_>| {
                (last.source, last.length, last.message)
                    == (packet.source, packet.length, packet.message)
            };
            if last.as_ref().is_some_and(repeats) {
                traffic.resent += 1;
                continue;
            }
            // UDP's header has 8 bytes, fastboot's 4.
            traffic.bytes += packet.length.saturating_sub(12);
            asked = Some(packet.micros);
            last = Some(packet);
        }
        Ok(traffic)
    }
}

/// The next packet, and how long its record is; no packet where it is not fastboot's.
fn next(bytes: &[u8]) -> Option<(Option<Packet<'_>>, usize)> {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    };
    let (seconds, micros, kept) = (word(0)?, word(4)?, usize::try_from(word(8)?).ok()?);
    let length = HEADERS.1.checked_add(kept)?;
    let frame = bytes.get(HEADERS.1..length)?;
    let packet = datagram(frame, seconds * 1_000_000 + micros);
    let packet = packet.filter(|packet| packet.source == PORT || packet.destination == PORT);
    Some((packet, length))
}

/// The datagram in an Ethernet frame.
fn datagram(frame: &[u8], micros: u64) -> Option<Packet<'_>> {
    let (is_ip, ip) = (frame.get(12..14)? == [8, 0], frame.get(ETHERNET..)?);
    let udp = ip.get(usize::from(ip.first()? & 0xF) * 4..)?;
    let word = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    (is_ip && *ip.get(9)? == 17).then_some(())?;
    Some(Packet {
        micros,
        source: word(0)?,
        destination: word(2)?,
        length: word(4)?.into(),
        message: udp.get(8..)?,
    })
}
