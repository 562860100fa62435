//! How a client comes to the device: the fixed newstyle negotiation.

use super::export::NAME;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAGIC: u64 = u64::from_be_bytes(*b"NBDMAGIC");
/// Begins the server's greeting and each option of a client.
const OPTION: u64 = u64::from_be_bytes(*b"IHAVEOPT");
/// Begins the answer to an option.
const ANSWER: u64 = 0x0003_e889_0455_65a9;

/// Both sides know this form of negotiation, and leave 124 zeros out of the old one's end.
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROS: u16 = 2;

/// What clients may do: flush, force unit access, trim, write zeros, and connect more than once.
const DEVICE_FLAGS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 8;

const ACKNOWLEDGED: u32 = 1;
const SERVER: u32 = 2;
const INFORMATION: u32 = 3;
const UNSUPPORTED: u32 = 1 << 31 | 1;
const INVALID: u32 = 1 << 31 | 3;
const UNKNOWN_EXPORT: u32 = 1 << 31 | 6;

const INFORMATION_EXPORT: u16 = 0;

/// The longest data of an option: the longest name that the protocol allows, and some.
const LONGEST_OPTION: u32 = 4096 + 64;

/// The most options of one client. QEMU's send four.
const MOST_OPTIONS: usize = 32;

/// How a negotiation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client has the device.
    Ready,
    /// It went, having seen what it wanted.
    Left,
    /// It asked for what is not here.
    NoSuchExport,
}

/// Negotiates about a device of `size` bytes. The caller limits the time.
///
/// # Errors
/// When the connection breaks off, or the client speaks something else.
pub(super) async fn negotiate(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    size: u64,
) -> io::Result<Ended> {
    let mut greeting = Vec::with_capacity(18);
    greeting.extend(MAGIC.to_be_bytes());
    greeting.extend(OPTION.to_be_bytes());
    greeting.extend((FIXED_NEWSTYLE | NO_ZEROS).to_be_bytes());
    stream.write_all(&greeting).await?;
    let flags = stream.read_u32().await?;
    if flags & u32::from(FIXED_NEWSTYLE) == 0 {
        return Err(bad("an older protocol"));
    }
    let no_zeros = flags & u32::from(NO_ZEROS) != 0;
    for _ in 0..MOST_OPTIONS {
        if stream.read_u64().await? != OPTION {
            return Err(bad("something else than options"));
        }
        let option = stream.read_u32().await?;
        let length = stream.read_u32().await?;
        if length > LONGEST_OPTION {
            return Err(bad("an option that is too long"));
        }
        let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
        stream.read_exact(&mut data).await?;
        let (answers, ended) = answer(option, &data, size, no_zeros);
        stream.write_all(&answers).await?;
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
    Err(bad("options without end"))
}

fn bad(what: &str) -> io::Error {
    let message = format!("the client speaks {what}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// What is sent back for an option, and whether the negotiation is over.
fn answer(option: u32, data: &[u8], size: u64, no_zeros: bool) -> (Vec<u8>, Option<Ended>) {
    let mut bytes = Vec::new();
    let mut reply = |kind: u32, data: &[u8]| {
        bytes.extend(ANSWER.to_be_bytes());
        bytes.extend(option.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(data);
    };
    let mut ended = None;
    match option {
        // EXPORT_NAME, which has no way to say no.
        1 if !is_ours(data) => ended = Some(Ended::NoSuchExport),
        1 => {
            bytes.extend(size.to_be_bytes());
            bytes.extend(DEVICE_FLAGS.to_be_bytes());
            if !no_zeros {
                bytes.extend([0; 124]);
            }
            ended = Some(Ended::Ready);
        }
        // ABORT
        2 => {
            reply(ACKNOWLEDGED, &[]);
            ended = Some(Ended::Left);
        }
        // LIST
        3 if !data.is_empty() => reply(INVALID, b"LIST has no data"),
        3 => {
            let length = u32::try_from(NAME.len()).unwrap_or_default();
            reply(SERVER, &[&length.to_be_bytes(), NAME.as_bytes()].concat());
            reply(ACKNOWLEDGED, &[]);
        }
        // INFO and GO
        6 | 7 => match wanted_export(data) {
            None => reply(INVALID, b"that is no INFO or GO"),
            Some(name) if !is_ours(name) => {
                reply(UNKNOWN_EXPORT, b"there is one export: nbdroot");
            }
            Some(_) => {
                let mut export = INFORMATION_EXPORT.to_be_bytes().to_vec();
                export.extend(size.to_be_bytes());
                export.extend(DEVICE_FLAGS.to_be_bytes());
                reply(INFORMATION, &export);
                reply(ACKNOWLEDGED, &[]);
                ended = (option == 7).then_some(Ended::Ready);
            }
        },
        // TLS, structured replies, and what comes after us.
        _ => reply(UNSUPPORTED, &[]),
    }
    (bytes, ended)
}

/// The one without a name is the server's choice, and there is one.
fn is_ours(name: &[u8]) -> bool {
    name.is_empty() || name == NAME.as_bytes()
}

/// The name in INFO and GO; what else the client would like to know is left out, as it may be.
fn wanted_export(data: &[u8]) -> Option<&[u8]> {
    let (length, rest) = data.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (name, rest) = rest.split_at_checked(length)?;
    let (count, rest) = rest.split_first_chunk()?;
    let count = usize::from(u16::from_be_bytes(*count));
    (rest.len() == 2 * count).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn go(name: &str, asked: &[u16]) -> Vec<u8> {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        data.extend((asked.len() as u16).to_be_bytes());
        data.extend(asked.iter().flat_map(|kind| kind.to_be_bytes()));
        data
    }

    #[test]
    fn the_image_is_given_by_its_name_and_without_one() {
        for name in ["", "nbdroot"] {
            assert_eq!(answer(7, &go(name, &[0, 3]), 1, true).1, Some(Ended::Ready));
            assert_eq!(answer(6, &go(name, &[]), 1, true).1, None);
            assert_eq!(answer(1, name.as_bytes(), 1, true).1, Some(Ended::Ready));
        }
        assert_eq!(answer(7, &go("other", &[]), 1, true).1, None);
        let refused = answer(1, b"other", 1, true);
        assert_eq!(refused, (Vec::new(), Some(Ended::NoSuchExport)));
    }

    #[test]
    fn the_old_form_ends_in_zeros_unless_the_client_knows_better() {
        assert_eq!(answer(1, b"", 1, true).0.len(), 10);
        assert_eq!(answer(1, b"", 1, false).0.len(), 134);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut data = go("nbdroot", &[1]);
        data.pop();
        assert_eq!(wanted_export(&data), None);
        data[0] = 0xff;
        assert_eq!(wanted_export(&data), None);
    }

    proptest! {
        #[test]
        fn no_option_panics_or_is_answered_at_length(
            option in 0_u32..12, data in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            prop_assert!(answer(option, &data, 7, false).0.len() < 200);
        }

        #[test]
        fn nothing_that_a_client_sends_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200), greeted in any::<bool>()
        ) {
            let mut sent = Vec::new();
            if greeted {
                sent.extend(3_u32.to_be_bytes());
                sent.extend(OPTION.to_be_bytes());
            }
            sent.extend(bytes);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
                theirs.write_all(&sent).await.unwrap();
                theirs.shutdown().await.unwrap();
                let _ = negotiate(&mut ours, 7).await;
            });
        }
    }
}
