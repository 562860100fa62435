//! The packets of MQTT 3.1.1 that a client with messages of quality 0 needs. Source: the OASIS
//! standard; sections are named where they are used. Only encodes and parses.

/// The longest packet that is read: what a plug tells is short.
const LONGEST: usize = 32 * 1024;

/// The longest text or binary that fits before it (section 1.5.3).
const LONGEST_FIELD: usize = u16::MAX as usize;

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The answer to CONNECT; 0 is yes.
    Connected(u8),
    /// The answer to SUBSCRIBE: whether all topics were granted.
    Subscribed { granted: bool },
    /// A message.
    Message(Message),
    /// The answer to PINGREQ.
    Pong,
    /// Anything else that a broker may send.
    Other,
}

/// A message that somebody published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// It was published before we subscribed, nobody knows when.
    pub(super) retained: bool,
}

/// Reads the first packet of `bytes`, and says how long it is; `None` when it is not all there.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Received, usize)>, &'static str> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    // CONNACK, PUBLISH, SUBACK and PINGRESP; the rest is about qualities we do not use.
    let known = matches!(
        first,
        0x20 | 0x30..=0x3F | 0x90 | 0xD0 | 0x40 | 0x50 | 0x62 | 0x70 | 0xB0
    );
    if !known {
        // At once: what is no packet has no length to wait for.
        return Err("sent what no MQTT broker sends");
    }
    let Some((length, rest)) = remaining_length(rest)? else {
        return Ok(None);
    };
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let received = match first {
        0x20 => match body {
            [_, code] => Received::Connected(*code),
            _ => return Err("accepts the connection in a way that MQTT 3.1.1 does not have"),
        },
        0x30..=0x3F => Received::Message(message(first & 0xF, body).ok_or("sent half a message")?),
        0x90 => match body {
            [_, _, codes @ ..] => Received::Subscribed {
                granted: codes.iter().all(|code| *code <= 2),
            },
            _ => return Err("sent half an answer to a subscription"),
        },
        0xD0 => Received::Pong,
        _ => Received::Other,
    };
    Ok(Some((received, bytes.len() - rest.len() + length)))
}

/// The length of what follows it (section 2.2.3).
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, &'static str> {
    let mut length = 0;
    for at in 0..4 {
        let Some(byte) = bytes.get(at) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return match length {
                0..=LONGEST => Ok(Some((length, &bytes[at + 1..]))),
                _ => Err("announces a message that is longer than any plug's"),
            };
        }
    }
    Err("sent a length that is none")
}

fn message(flags: u8, body: &[u8]) -> Option<Message> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let payload = match (flags >> 1) & 3 {
        0 => rest,
        // Higher qualities have an identifier here. We subscribe without them.
        1 | 2 => rest.get(2..)?,
        _ => return None,
    };
    Some(Message {
        topic: std::str::from_utf8(topic).ok()?.to_owned(),
        payload: payload.to_vec(),
        retained: flags & 1 != 0,
    })
}

/// CONNECT with a clean session and no keep-alive: a session lasts for one request.
pub(super) fn connect(client: &str, username: &str, password: &[u8]) -> Option<Vec<u8>> {
    let login = !username.is_empty();
    let secret = login && !password.is_empty();
    let flags = 2 | u8::from(login) << 7 | u8::from(secret) << 6;
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 0];
    field(&mut body, client.as_bytes())?;
    if login {
        field(&mut body, username.as_bytes())?;
    }
    if secret {
        field(&mut body, password)?;
    }
    packet(0x10, &body)
}

/// SUBSCRIBE for `topics` with quality 0.
pub(super) fn subscribe(topics: &[&str]) -> Option<Vec<u8>> {
    let mut body = vec![0, 1];
    for topic in topics {
        field(&mut body, topic.as_bytes())?;
        body.push(0);
    }
    packet(0x82, &body)
}

/// PUBLISH with quality 0, not retained: a command must not be carried out by a plug that comes
/// back days later.
pub(super) fn publish(topic: &str, payload: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    field(&mut body, topic.as_bytes())?;
    body.extend_from_slice(payload);
    packet(0x30, &body)
}

/// PINGREQ.
pub(super) const PING: [u8; 2] = [0xC0, 0];

/// DISCONNECT.
pub(super) const DISCONNECT: [u8; 2] = [0xE0, 0];

fn field(body: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    let length = u16::try_from(bytes.len()).ok()?;
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(bytes);
    Some(())
}

/// `None` when `body` is longer than what we would read ourselves.
fn packet(first: u8, body: &[u8]) -> Option<Vec<u8>> {
    (body.len() <= LONGEST + LONGEST_FIELD).then_some(())?;
    let mut packet = vec![first];
    let mut length = body.len();
    while length >= 0x80 {
        packet.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend_from_slice(body);
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_those_of_the_standard() {
        assert_eq!(
            connect("me", "user", b"pw").unwrap(),
            b"\x10\x18\0\x04MQTT\x04\xC2\0\0\0\x02me\0\x04user\0\x02pw"
        );
        assert_eq!(
            connect("me", "", b"pw").unwrap(),
            b"\x10\x0E\0\x04MQTT\x04\x02\0\0\0\x02me"
        );
        assert_eq!(
            subscribe(&["a/b", "c"]).unwrap(),
            b"\x82\x0C\0\x01\0\x03a/b\0\0\x01c\0"
        );
        assert_eq!(
            publish("cmnd/plug/POWER", b"ON").unwrap(),
            b"\x30\x13\0\x0Fcmnd/plug/POWERON"
        );
        let long = publish("t", &[b'x'; 321 - 3]).unwrap();
        // The example of section 2.2.3: 321 is 0xC1 0x02.
        assert_eq!(long[..3], [0x30, 0xC1, 0x02]);
        assert_eq!(publish("t", &[0; 200_000]), None);
    }

    #[test]
    fn answers_are_read() {
        let one = |bytes: &[u8]| parse(bytes).map(|found| found.map(|(received, _)| received));
        assert_eq!(one(b"\x20\x02\0\x05"), Ok(Some(Received::Connected(5))));
        assert_eq!(one(b"\xD0\0"), Ok(Some(Received::Pong)));
        let granted = |granted| Ok(Some(Received::Subscribed { granted }));
        assert_eq!(one(b"\x90\x04\0\x01\0\0"), granted(true));
        assert_eq!(one(b"\x90\x04\0\x01\0\x80"), granted(false));
        assert_eq!(one(b""), Ok(None));
        assert_eq!(one(b"\x20\x02\0"), Ok(None));
        for wrong in [
            &b"\x10\0"[..],
            b"\x20\x01\0",
            b"\x30\x01\0",
            b"\x36\x03\0\x01t",
            b"\x30\x80\x80\x80\x80\x01",
            b"\x30\xFF\xFF\x7F",
            b"HTTP/1.1 400 Bad Request",
        ] {
            one(wrong).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn messages_are_read_as_they_were_published(
            topic in "[a-z/]{1,200}",
            payload in proptest::collection::vec(any::<u8>(), 0..2000),
            retained: bool,
            after in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let mut bytes = publish(&topic, &payload).unwrap();
            bytes[0] |= u8::from(retained);
            let length = bytes.len();
            for part in 0..length {
                prop_assert_eq!(parse(&bytes[..part]), Ok(None));
            }
            bytes.extend(after);
            let message = Received::Message(Message { topic, payload, retained });
            prop_assert_eq!(parse(&bytes), Ok(Some((message, length))));
        }

        #[test]
        fn no_bytes_are_read_beyond_their_end(
            first: u8,
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [vec![first], bytes].concat();
            if let Ok(Some((_, length))) = parse(&bytes) {
                prop_assert!((2..=bytes.len()).contains(&length));
            }
        }
    }
}
