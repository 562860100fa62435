use super::{
    codec::{LONGEST_SUBNEGOTIATION, TelnetCodec},
    negotiation::{Side, TelnetOption},
};
use proptest::prelude::*;

const NAWS: u8 = 31;

fn decode(codec: &mut TelnetCodec, bytes: &[u8]) -> Vec<u8> {
    let mut buffer = bytes.to_vec();
    let length = codec.decode(&mut buffer);
    buffer.truncate(length);
    buffer
}

/// A codec whose server agreed to eight bits both ways.
fn binary() -> TelnetCodec {
    let mut codec = TelnetCodec::new(&[TelnetOption::COM_PORT]);
    codec.request(TelnetOption::BINARY, Side::Us);
    codec.request(TelnetOption::BINARY, Side::Them);
    codec.request(TelnetOption::COM_PORT, Side::Us);
    let asked = std::mem::take(codec.replies());
    assert_eq!(asked, [255, 251, 0, 255, 253, 0, 255, 251, 44]);
    assert!(decode(&mut codec, &[255, 253, 0, 255, 251, 0, 255, 253, 44]).is_empty());
    assert!(codec.replies().is_empty(), "agreement needs no answer");
    codec
}

/// A server: what it sends so that a client gets `bytes`.
fn as_server(bytes: &[u8], binary: bool) -> Vec<u8> {
    let mut sent = Vec::new();
    for byte in bytes {
        sent.push(*byte);
        match byte {
            255 => sent.push(255),
            b'\r' if !binary => sent.push(0),
            _ => {}
        }
    }
    sent
}

#[test]
fn a_refusing_client_agrees_to_nothing() {
    let mut codec = TelnetCodec::refusing();
    let received =
        b"Us\xff\xfb\x01er \xff\xfd\x18Na\xff\xfa\x18\x01\xff\xffx\xff\xf0me\xff\xfc\x03:\xff\xff\xff\xf1";
    assert_eq!(decode(&mut codec, received), b"User Name:\xff");
    assert_eq!(codec.replies(), b"\xff\xfe\x01\xff\xfc\x18");
}

#[test]
fn options_are_agreed_or_refused_once() {
    let mut codec = TelnetCodec::new(&[]);
    // WILL ECHO, WILL SGA, DO NAWS, DO ECHO, WILL 99, WONT 99.
    let offered = [
        255, 251, 1, 255, 251, 3, 255, 253, NAWS, 255, 253, 1, 255, 251, 99, 255, 252, 99,
    ];
    assert!(decode(&mut codec, &offered).is_empty());
    let expected = [
        255, 253, 1, 255, 253, 3, 255, 252, NAWS, 255, 252, 1, 255, 254, 99,
    ];
    assert_eq!(*codec.replies(), expected);
    codec.replies().clear();
    // Said again: it is on already.
    assert!(decode(&mut codec, &[255, 251, 1, 255, 251, 3]).is_empty());
    assert!(codec.replies().is_empty());
    // Taken back, and confirmed once.
    decode(&mut codec, &[255, 252, 1, 255, 252, 1]);
    assert_eq!(*codec.replies(), [255, 254, 1]);
}

#[test]
fn a_refusal_of_what_we_asked_is_known() {
    let mut codec = TelnetCodec::new(&[TelnetOption::COM_PORT]);
    codec.request(TelnetOption::COM_PORT, Side::Us);
    decode(&mut codec, &[255, 254, 44]);
    assert!(codec.was_refused(TelnetOption::COM_PORT, Side::Us));
    assert!(!codec.is_on(TelnetOption::COM_PORT, Side::Us));
}

#[test]
fn carriage_returns_outside_binary_mode() {
    let mut codec = TelnetCodec::new(&[]);
    assert_eq!(decode(&mut codec, b"a\r\0b\r\nc\rd\0"), b"a\rb\r\nc\rd\0");
    assert_eq!(decode(&mut codec, b"\r"), b"\r");
    assert_eq!(decode(&mut codec, b"\0x"), b"x");
    let mut sent = Vec::new();
    codec.encode(b"ls\r\n\xff", &mut sent);
    assert_eq!(sent, b"ls\r\0\n\xff\xff");
    let mut binary = binary();
    assert_eq!(decode(&mut binary, b"\r\0\n"), b"\r\0\n");
    sent.clear();
    binary.encode(b"\r\n\xff", &mut sent);
    assert_eq!(sent, b"\r\n\xff\xff");
}

#[test]
fn subnegotiations_are_collected_unescaped_and_bounded() {
    let mut codec = binary();
    let mut sent = vec![255, 250, 44, 106, 255, 255, 255, 240];
    sent.extend([255, 250, 44]);
    sent.extend([7; LONGEST_SUBNEGOTIATION * 2]);
    // Without its end, and another command in it: both count.
    sent.extend([255, 251, 3, b'x', 255, 250, NAWS, 1, 255, 240]);
    assert_eq!(decode(&mut codec, &sent), b"x");
    let received = codec.take_subnegotiations();
    assert_eq!(received.len(), 2, "NAWS is off");
    assert_eq!(received[0].parameters, [106, 255]);
    assert_eq!(received[1].parameters.len(), LONGEST_SUBNEGOTIATION);
    assert_eq!(*codec.replies(), [255, 253, 3]);
    let mut encoded = Vec::new();
    TelnetCodec::encode_subnegotiation(TelnetOption::COM_PORT, &[5, 255], &mut encoded);
    assert_eq!(encoded, [255, 250, 44, 5, 255, 255, 255, 240]);
}

/// Bytes in which commands, returns and zeros are frequent.
fn telnet_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => any::<u8>(),
        2 => Just(255u8),
        1 => 239u8..=255,
        1 => prop_oneof![Just(b'\r'), Just(0u8), Just(b'\n'), Just(44u8)],
    ];
    proptest::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        bytes in telnet_bytes(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        kind in 0..3_u8,
    ) {
        let fresh = || match kind {
            0 => binary(),
            1 => TelnetCodec::new(&[]),
            _ => TelnetCodec::refusing(),
        };
        let mut whole = fresh();
        let expected = decode(&mut whole, &bytes);
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let mut pieces = fresh();
        let mut got = Vec::new();
        for pair in places.windows(2) {
            got.extend(decode(&mut pieces, &bytes[pair[0]..pair[1]]));
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(pieces.replies().clone(), whole.replies().clone());
        prop_assert_eq!(pieces.take_subnegotiations(), whole.take_subnegotiations());
    }

    #[test]
    fn the_boards_bytes_come_through(bytes in telnet_bytes(), is_binary in any::<bool>()) {
        let mut codec = if is_binary { binary() } else { TelnetCodec::new(&[]) };
        prop_assert_eq!(decode(&mut codec, &as_server(&bytes, is_binary)), bytes);
        prop_assert!(codec.replies().is_empty());
    }

    #[test]
    fn typed_bytes_come_through(bytes in telnet_bytes(), is_binary in any::<bool>()) {
        let codec = if is_binary { binary() } else { TelnetCodec::new(&[]) };
        let mut sent = Vec::new();
        codec.encode(&bytes, &mut sent);
        prop_assert_eq!(sent, as_server(&bytes, is_binary));
    }

    #[test]
    fn what_is_escaped_comes_out_again(text: Vec<u8>) {
        let mut escaped = Vec::new();
        TelnetCodec::escape(&text, &mut escaped);
        let mut codec = binary();
        prop_assert_eq!(decode(&mut codec, &escaped), text);
        prop_assert!(codec.replies().is_empty());
    }

    #[test]
    fn two_clients_of_one_mind_come_to_rest(first in telnet_bytes()) {
        // Each gets the other's answers: the Q method ends the talk, whatever began it.
        let (mut one, mut other) = (binary(), TelnetCodec::new(&[]));
        decode(&mut one, &first);
        for _ in 0..200 {
            let said = std::mem::take(one.replies());
            decode(&mut other, &said);
            let said = std::mem::take(other.replies());
            decode(&mut one, &said);
        }
        prop_assert!(one.replies().is_empty() && other.replies().is_empty());
    }
}
