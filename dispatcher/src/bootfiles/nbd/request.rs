//! What clients ask for once they have the device.

/// Begins each request.
const REQUEST: u32 = 0x2560_9513;
/// Begins each simple reply.
const REPLY: u32 = 0x6744_6698;

/// The length of a request without what it writes.
pub(super) const LENGTH: usize = 28;

/// The most bytes that one request reads or writes: the size that the protocol lets clients expect
/// of a server that says nothing.
pub(super) const MOST_BYTES: u32 = 32 << 20;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Read,
    /// Its bytes follow.
    Write,
    /// The client goes.
    Disconnect,
    Flush,
    Trim,
    WriteZeros,
    /// One that we do not have, and did not offer.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: Command,
    /// The client's name for it.
    pub(super) cookie: [u8; 8],
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// How a request failed, by the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Io = 5,
    Invalid = 22,
    NoSpace = 28,
    TooLong = 75,
}

/// Reads a request; `None` for bytes that are none, after which the connection makes no sense.
pub(super) fn parse(bytes: &[u8; LENGTH]) -> Option<Request> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let (_flags, rest) = rest.split_first_chunk::<2>()?;
    let (command, rest) = rest.split_first_chunk()?;
    let (cookie, rest) = rest.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    if u32::from_be_bytes(*magic) != REQUEST {
        return None;
    }
    Some(Request {
        command: match u16::from_be_bytes(*command) {
            0 => Command::Read,
            1 => Command::Write,
            2 => Command::Disconnect,
            3 => Command::Flush,
            4 => Command::Trim,
            6 => Command::WriteZeros,
            _ => Command::Unknown,
        },
        cookie: *cookie,
        offset: u64::from_be_bytes(*offset),
        length: u32::from_be_bytes(*length),
    })
}

/// The head of a reply. What was read follows it, where it was.
pub(super) fn reply(cookie: [u8; 8], failure: Option<Failure>) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&REPLY.to_be_bytes());
    let code = failure.map_or(0, |failure| failure as u32);
    bytes[4..8].copy_from_slice(&code.to_be_bytes());
    bytes[8..].copy_from_slice(&cookie);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_read_and_others_are_not() {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&REQUEST.to_be_bytes());
        bytes[7] = 1;
        bytes[8..16].copy_from_slice(b"a cookie");
        bytes[22..24].copy_from_slice(&[2, 0]);
        bytes[26..28].copy_from_slice(&[1, 0]);
        let request = Request {
            command: Command::Write,
            cookie: *b"a cookie",
            offset: 512,
            length: 256,
        };
        assert_eq!(parse(&bytes), Some(request));
        bytes[0] = 0;
        assert_eq!(parse(&bytes), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(mut bytes in any::<[u8; LENGTH]>(), right in any::<bool>()) {
            if right {
                bytes[..4].copy_from_slice(&REQUEST.to_be_bytes());
            }
            prop_assert_eq!(parse(&bytes).is_some(), bytes[..4] == REQUEST.to_be_bytes());
        }
    }
}
