//! The packets of TFTP: RFC 1350, options by RFC 2347, their values by RFC 2348 (`blksize`), 2349
//! (`timeout`, `tsize`) and 7440 (`windowsize`).

use std::fmt::Write as _;

/// The port of RFC 1350.
pub const PORT: u16 = 69;
/// The size of a block unless options say otherwise.
pub(super) const DEFAULT_BLOCK_SIZE: usize = 512;
/// The longest request that is read; what options add to a path is short.
const LONGEST_REQUEST: usize = 1024;
/// More options than anybody sends.
const MOST_OPTIONS: usize = 16;

/// Why a transfer is refused or ends: the codes of RFC 1350.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum ErrorCode {
    /// See the message.
    Undefined = 0,
    /// There is no such file.
    FileNotFound = 1,
    /// It may not be read, or nothing may be written here.
    AccessViolation = 2,
    /// The request makes no sense.
    IllegalOperation = 4,
}

/// A request to read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    /// The file, as the client wrote it.
    pub path: String,
    /// The options it asked for that we know.
    pub options: Options,
}

/// What a client asks for, and what it is granted. `None`: it did not ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Bytes in a block, 8 to 65464.
    pub block_size: Option<usize>,
    /// Blocks that may be under way before one is acknowledged, 1 to 65535.
    pub window: Option<u16>,
    /// Seconds before a retransmission, 1 to 255.
    pub timeout: Option<u8>,
    /// Whether it wants to know the size of the file.
    pub size: bool,
}

/// A request that cannot be answered with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRequest {
    /// What to answer.
    pub code: ErrorCode,
    /// Why, for the client and for the log.
    pub message: &'static str,
}

/// What a client sends during a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// All blocks up to this one have arrived.
    Acknowledge(u16),
    /// It gives up, with its reason.
    Error(String),
}

/// Reads a packet as both sides' would be read, for the fuzzer: it must not panic.
#[cfg(fuzzing)]
pub fn read_any(packet: &[u8]) {
    let _ = parse_request(packet);
    let _ = parse_reply(packet);
}

/// Reads the packet that begins a transfer. Options that we do not know, or whose values are no
/// numbers, are left out, as RFC 2347 wants.
///
/// # Errors
/// When it is no read request; `None` inside when it deserves no answer at all.
pub(super) fn parse_request(packet: &[u8]) -> Result<ReadRequest, Option<BadRequest>> {
    let refuse = |code, message| Err(Some(BadRequest { code, message }));
    let Some((&[high, low], rest)) = packet.split_first_chunk::<2>() else {
        return Err(None);
    };
    match u16::from_be_bytes([high, low]) {
        1 => {}
        2 => return refuse(ErrorCode::AccessViolation, "this server only reads"),
        // An error about an error would never end; stray data and acknowledgements are of
        // transfers that are over.
        _ => return Err(None),
    }
    if packet.len() > LONGEST_REQUEST {
        return refuse(ErrorCode::IllegalOperation, "the request is too long");
    }
    let Some(fields) = rest.strip_suffix(&[0]) else {
        return refuse(ErrorCode::IllegalOperation, "the request is cut off");
    };
    let mut fields = fields.split(|&byte| byte == 0);
    let (Some(path), Some(mode)) = (fields.next(), fields.next()) else {
        return refuse(ErrorCode::IllegalOperation, "the request names no mode");
    };
    let Ok(path) = std::str::from_utf8(path) else {
        return refuse(ErrorCode::FileNotFound, "the name of the file is no text");
    };
    // "netascii" would change line ends; everybody who loads kernels means "octet".
    if !mode.eq_ignore_ascii_case(b"octet") && !mode.eq_ignore_ascii_case(b"netascii") {
        return refuse(ErrorCode::IllegalOperation, "only mode octet is served");
    }
    let mut options = Options::default();
    for _ in 0..MOST_OPTIONS {
        let (Some(name), Some(value)) = (fields.next(), fields.next()) else {
            break;
        };
        options.read(name, value);
    }
    Ok(ReadRequest {
        path: path.to_owned(),
        options,
    })
}

impl Options {
    fn read(&mut self, name: &[u8], value: &[u8]) {
        let Some(value) = std::str::from_utf8(value)
            .ok()
            .and_then(|v| v.parse::<u64>().ok())
        else {
            return;
        };
        if name.eq_ignore_ascii_case(b"blksize") && value >= 8 {
            self.block_size = Some(usize::try_from(value.min(65464)).unwrap_or(DEFAULT_BLOCK_SIZE));
        } else if name.eq_ignore_ascii_case(b"windowsize") && value >= 1 {
            self.window = u16::try_from(value).ok();
        } else if name.eq_ignore_ascii_case(b"timeout") && value >= 1 {
            self.timeout = u8::try_from(value).ok();
        } else if name.eq_ignore_ascii_case(b"tsize") {
            self.size = true;
        }
    }

    /// Whether there is anything to acknowledge before the first block.
    pub(super) fn any(&self) -> bool {
        *self != Self::default()
    }

    /// The packet that grants these options for a file of `size` bytes.
    pub(super) fn acknowledge(&self, size: u64) -> Vec<u8> {
        let mut text = String::new();
        let mut option = |name: &str, value: u64| {
            // Writing to a String does not fail.
            let _ = write!(text, "{name}\0{value}\0");
        };
        if let Some(bytes) = self.block_size {
            option("blksize", bytes as u64);
        }
        if let Some(blocks) = self.window {
            option("windowsize", blocks.into());
        }
        if let Some(seconds) = self.timeout {
            option("timeout", seconds.into());
        }
        if self.size {
            option("tsize", size);
        }
        let mut packet = vec![0, 6];
        packet.extend_from_slice(text.as_bytes());
        packet
    }
}

/// Reads a packet that a client sends during a transfer; `None` for what is neither.
pub(super) fn parse_reply(packet: &[u8]) -> Option<Reply> {
    match *packet {
        [0, 4, high, low] => Some(Reply::Acknowledge(u16::from_be_bytes([high, low]))),
        [0, 5, _, _, ref message @ ..] => {
            let message = message.strip_suffix(&[0]).unwrap_or(message);
            let message = &message[..message.len().min(200)];
            Some(Reply::Error(String::from_utf8_lossy(message).into_owned()))
        }
        _ => None,
    }
}

/// The packet that refuses or ends a transfer. `message` must not tell what the host looks like.
pub(super) fn error(code: ErrorCode, message: &str) -> Vec<u8> {
    let mut packet = vec![0, 5];
    packet.extend_from_slice(&(code as u16).to_be_bytes());
    packet.extend_from_slice(message.as_bytes());
    packet.push(0);
    packet
}

/// The head of a block of data; its bytes follow.
pub(super) fn data_head(block: u64) -> [u8; 4] {
    // Numbers begin again at 0 after 65535, as all clients that load large files expect.
    let [.., high, low] = block.to_be_bytes();
    [0, 3, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_are_read_in_any_case_and_unknown_ones_ignored() {
        let packet = b"\x00\x01/boot/Image\0OCTET\0BlkSize\x001468\0x\0y\0windowsize\x0016\0tsize\x000\0timeout\x00300\0";
        let request = parse_request(packet).unwrap();
        assert_eq!(request.path, "/boot/Image");
        assert_eq!(
            request.options,
            Options {
                block_size: Some(1468),
                window: Some(16),
                timeout: None,
                size: true
            }
        );
        assert_eq!(
            request.options.acknowledge(7),
            b"\x00\x06blksize\x001468\0windowsize\x0016\0tsize\x007\0"
        );
    }

    #[test]
    fn writing_is_refused_and_strays_get_no_answer() {
        let write = parse_request(b"\x00\x02a\0octet\0").unwrap_err().unwrap();
        assert_eq!(write.code, ErrorCode::AccessViolation);
        for stray in [
            &b"\x00\x03\x00\x01abc"[..],
            b"\x00\x04\x00\x01",
            b"\x00\x05\x00\x01x\0",
            b"",
            b"\x00",
        ] {
            assert_eq!(parse_request(stray), Err(None), "{stray:?}");
        }
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..1100)) {
            let _ = parse_request(&packet);
            let _ = parse_reply(&packet);
        }

        #[test]
        fn no_read_request_panics(rest in "[ -~\0]{0,120}") {
            let mut packet = vec![0, 1];
            packet.extend_from_slice(rest.as_bytes());
            let _ = parse_request(&packet);
        }
    }
}
