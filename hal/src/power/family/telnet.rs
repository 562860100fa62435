//! The least of telnet (RFC 854) that a PDU's command line needs: commands are taken out of what
//! arrives, and every option that the PDU offers or asks for is refused.
//!
//! Private to [`super::line`], which is the only place to change when a fuller client is to be
//! used instead.

const SUBNEGOTIATION_END: u8 = 240;
const SUBNEGOTIATION: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
/// "Interpret as command": what follows is no text. Doubled, it is itself.
const COMMAND: u8 = 255;

/// Where in the stream we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    Command,
    /// After WILL, WONT, DO or DONT.
    Option(u8),
    Subnegotiation,
    SubnegotiationCommand,
}

/// The receiving side.
#[derive(Debug, Default)]
pub(super) struct Telnet {
    place: Place,
}

impl Telnet {
    /// Appends the text among `received` to `text`, and gives what to answer. May be cut anywhere
    /// between two calls.
    pub(super) fn receive(&mut self, received: &[u8], text: &mut Vec<u8>) -> Vec<u8> {
        let mut answer = Vec::new();
        for &byte in received {
            self.place = match (self.place, byte) {
                (Place::Text, COMMAND) => Place::Command,
                (Place::Text, _) => {
                    text.push(byte);
                    Place::Text
                }
                (Place::Command, COMMAND) => {
                    text.push(byte);
                    Place::Text
                }
                (Place::Command, WILL | WONT | DO | DONT) => Place::Option(byte),
                (Place::Command, SUBNEGOTIATION) => Place::Subnegotiation,
                (Place::Command, _) => Place::Text,
                (Place::Option(verb), option) => {
                    // A refusal is not answered, lest both sides go on for ever (RFC 1143).
                    match verb {
                        WILL => answer.extend([COMMAND, DONT, option]),
                        DO => answer.extend([COMMAND, WONT, option]),
                        _ => {}
                    }
                    Place::Text
                }
                (Place::Subnegotiation, COMMAND) => Place::SubnegotiationCommand,
                (Place::Subnegotiation, _) => Place::Subnegotiation,
                (Place::SubnegotiationCommand, SUBNEGOTIATION_END) => Place::Text,
                (Place::SubnegotiationCommand, _) => Place::Subnegotiation,
            };
        }
        answer
    }

    /// `text` as it goes over the wire.
    pub(super) fn encode(text: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(text.len());
        for &byte in text {
            encoded.push(byte);
            if byte == COMMAND {
                encoded.push(byte);
            }
        }
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_are_refused_and_taken_out() {
        let received = b"Us\xff\xfb\x01er \xff\xfd\x18Na\xff\xfa\x18\x01\xff\xffx\xff\xf0me\xff\xfc\x03:\xff\xff\xff\xf1";
        let mut text = Vec::new();
        let answer = Telnet::default().receive(received, &mut text);
        assert_eq!(text, b"User Name:\xff");
        assert_eq!(answer, b"\xff\xfe\x01\xff\xfc\x18");
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            bytes in proptest::collection::vec(
                prop_oneof![Just(255_u8), 240..=255_u8, any::<u8>()], 0..60),
            cut in 0..60_usize,
        ) {
            let cut = cut.min(bytes.len());
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            let one = Telnet::default().receive(&bytes, &mut whole);
            let mut telnet = Telnet::default();
            let mut two = telnet.receive(&bytes[..cut], &mut parts);
            two.extend(telnet.receive(&bytes[cut..], &mut parts));
            prop_assert_eq!((whole, one), (parts, two));
        }

        #[test]
        fn what_is_encoded_comes_out_again(text: Vec<u8>) {
            let mut decoded = Vec::new();
            let answer = Telnet::default().receive(&Telnet::encode(&text), &mut decoded);
            prop_assert_eq!(decoded, text);
            prop_assert!(answer.is_empty());
        }
    }
}
