//! Requests and answers: the PDUs of RFC 3416 §3, and the messages of versions 1 and 2c around
//! them (RFC 1157 §4, RFC 1901 §3).

use super::ber::{self, INTEGER, Malformed, NULL, OCTETS, OID, Oid, Reader, SEQUENCE};

const GET: u8 = 0xa0;
const RESPONSE: u8 = 0xa2;
const SET: u8 = 0xa3;
const REPORT: u8 = 0xa8;
const GAUGE: u8 = 0x42;
const COUNTER: u8 = 0x41;
const TICKS: u8 = 0x43;
const NO_SUCH_OBJECT: u8 = 0x80;
const NO_SUCH_INSTANCE: u8 = 0x81;

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Gauge(u32),
    Text(Vec<u8>),
    Null,
    /// There is no such variable: versions 2c and 3 say so in the value's place.
    Missing,
    /// Of a type that no outlet has.
    Other(u8),
}

impl Value {
    /// The number it is, if it is one.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Gauge(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(value) => ber::integer(out, INTEGER, *value),
            Self::Gauge(value) => ber::integer(out, GAUGE, i64::from(*value)),
            Self::Text(text) => ber::bytes(out, OCTETS, text),
            Self::Null | Self::Missing | Self::Other(_) => ber::bytes(out, NULL, &[]),
        }
    }

    fn read(tag: u8, content: &Reader<'_>) -> Result<Self, Malformed> {
        Ok(match tag {
            INTEGER => Self::Integer(content.as_integer()?),
            GAUGE | COUNTER | TICKS => {
                let value = content.as_integer()?;
                Self::Gauge(u32::try_from(value).map_err(|_| Malformed("a gauge is negative"))?)
            }
            OCTETS => Self::Text(content.rest().to_vec()),
            NULL => Self::Null,
            NO_SUCH_OBJECT | NO_SUCH_INSTANCE => Self::Missing,
            other => Self::Other(other),
        })
    }
}

/// What is asked: one variable, to be read or set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) oid: Oid,
    /// What to set it to; `None` reads it.
    pub(super) set: Option<Value>,
}

impl Request {
    /// The request as a PDU.
    pub(super) fn write(&self, id: i32, out: &mut Vec<u8>) {
        let tag = if self.set.is_some() { SET } else { GET };
        ber::element(out, tag, |out| {
            ber::integer(out, INTEGER, i64::from(id));
            ber::integer(out, INTEGER, 0);
            ber::integer(out, INTEGER, 0);
            ber::element(out, SEQUENCE, |out| {
                ber::element(out, SEQUENCE, |out| {
                    ber::oid(out, &self.oid);
                    self.set.as_ref().unwrap_or(&Value::Null).write(out);
                });
            });
        });
    }

    /// The request as a message of version 1 (`number` 0) or 2c (1).
    pub(super) fn message(&self, number: i64, community: &[u8], id: i32) -> Vec<u8> {
        let mut out = Vec::new();
        ber::element(&mut out, SEQUENCE, |out| {
            ber::integer(out, INTEGER, number);
            ber::bytes(out, OCTETS, community);
            self.write(id, out);
        });
        out
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// A report of version 3: about the message, not the variables.
    pub(super) report: bool,
    pub(super) id: i64,
    pub(super) error: i64,
    pub(super) variables: Vec<(Oid, Value)>,
}

impl Answer {
    /// Reads the PDU of an answer, with nothing after it.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (tag, mut pdu) = reader.any()?;
        if tag != RESPONSE && tag != REPORT {
            return Err(Malformed("it is no answer"));
        }
        let id = pdu.integer()?;
        let error = pdu.integer()?;
        let _index = pdu.integer()?;
        let mut list = pdu.expect(SEQUENCE)?;
        pdu.finish()?;
        let mut variables = Vec::new();
        while list.finish().is_err() {
            let mut variable = list.expect(SEQUENCE)?;
            let oid = variable.expect(OID)?.as_oid()?;
            let (tag, content) = variable.any()?;
            variable.finish()?;
            variables.push((oid, Value::read(tag, &content)?));
        }
        Ok(Self {
            report: tag == REPORT,
            id,
            error,
            variables,
        })
    }

    /// Reads a message of version 1 or 2c; the community is not looked at, the request's id is.
    pub(super) fn of_message(message: &[u8], number: i64) -> Result<Self, Malformed> {
        let mut all = Reader::new(message);
        let mut message = all.expect(SEQUENCE)?;
        all.finish()?;
        if message.integer()? != number {
            return Err(Malformed("it is of another version"));
        }
        message.octets()?;
        let answer = Self::read(&mut message)?;
        message.finish()?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(set: Option<Value>) -> Request {
        let oid = "1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.3".parse().unwrap();
        Request { oid, set }
    }

    /// The answer of an honest agent: the request with another tag.
    fn echo(message: &[u8]) -> Vec<u8> {
        let mut answer = message.to_vec();
        let at = answer
            .iter()
            .position(|byte| [GET, SET].contains(byte))
            .unwrap();
        answer[at] = RESPONSE;
        answer
    }

    #[test]
    fn bytes_of_a_request() {
        let bytes = request(Some(Value::Integer(1))).message(0, b"private", 7);
        let mut expected = vec![0x30, 0x30, 2, 1, 0, 4, 7];
        expected.extend_from_slice(b"private");
        expected.extend([
            0xa3, 0x22, 2, 1, 7, 2, 1, 0, 2, 1, 0, 0x30, 0x17, 0x30, 0x15, 6, 0x10,
        ]);
        expected.extend([
            0x2b, 6, 1, 4, 1, 0x82, 0x3e, 1, 1, 12, 3, 3, 1, 1, 4, 3, 2, 1, 1,
        ]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_answer_is_read() {
        let request = request(Some(Value::Integer(2)));
        let answer = Answer::of_message(&echo(&request.message(1, b"p", -9)), 1).unwrap();
        let expected = Answer {
            report: false,
            id: -9,
            error: 0,
            variables: vec![(request.oid, Value::Integer(2))],
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn requests_and_other_versions_are_no_answers() {
        let message = request(None).message(0, b"p", 1);
        assert_eq!(
            Answer::of_message(&message, 0),
            Err(Malformed("it is no answer"))
        );
        let error = Answer::of_message(&echo(&message), 1).unwrap_err();
        assert_eq!(error, Malformed("it is of another version"));
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_another_answer(at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
            let mut message = echo(&request(Some(Value::Integer(2))).message(0, b"p", 3));
            let at = at.index(message.len());
            message[at] = to;
            let _ = Answer::of_message(&message, 0);
            let whole = message.len();
            message.truncate(cut.index(whole));
            prop_assert!(Answer::of_message(&message, 0).is_err());
        }
    }
}
