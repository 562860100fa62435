//! BER, as far as SNMP uses it (RFC 1157 §3.2.2, RFC 3417 §8): definite lengths, tags of one byte.
//!
//! Reading is strict about lengths and never looks beyond them; it allocates nothing but OIDs.

use std::{fmt, str::FromStr};

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// The most numbers an OID may have (RFC 2578 §3.5).
const LONGEST_OID: usize = 128;

/// Bytes that are no BER, or not of the type that belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The name of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Oid(Vec<u32>);

impl Oid {
    /// Whether `self` is `other` or below it.
    pub(super) fn is_below(&self, other: &[u32]) -> bool {
        self.0.starts_with(other)
    }
}

impl FromStr for Oid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('.').unwrap_or(text);
        let numbers: Result<Vec<u32>, _> = digits.split('.').map(str::parse).collect();
        match numbers {
            Ok(numbers)
                if (2..=LONGEST_OID).contains(&numbers.len())
                    && numbers[0] <= 2
                    && (numbers[1] < 40 || numbers[0] == 2 && numbers[1] <= u32::MAX - 80) =>
            {
                Ok(Self(numbers))
            }
            _ => Err(format!(
                "'{text}' is no OID: it has to be numbers with dots between"
            )),
        }
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

/// Appends an element with what `content` writes.
pub(super) fn element(out: &mut Vec<u8>, tag: u8, content: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    content(&mut inner);
    bytes(out, tag, &inner);
}

/// Appends an element of these bytes.
pub(super) fn bytes(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let big_endian = length.to_be_bytes();
        let skip = big_endian.iter().take_while(|byte| **byte == 0).count();
        out.push(0x80 | (big_endian.len() - skip) as u8);
        out.extend_from_slice(&big_endian[skip..]);
    }
    out.extend_from_slice(content);
}

/// Appends an integer in as few bytes as it takes; unsigned types have their own `tag`.
pub(super) fn integer(out: &mut Vec<u8>, tag: u8, value: i64) {
    let big_endian = value.to_be_bytes();
    let redundant =
        |pair: &[u8]| (pair[0] == 0x00 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80);
    let skip = big_endian
        .windows(2)
        .take_while(|pair| redundant(pair))
        .count();
    bytes(out, tag, &big_endian[skip..]);
}

/// Appends an OID.
pub(super) fn oid(out: &mut Vec<u8>, oid: &Oid) {
    element(out, OID, |out| {
        let first = oid.0[0] * 40 + oid.0[1];
        for number in std::iter::once(first).chain(oid.0[2..].iter().copied()) {
            for shift in [28, 21, 14, 7] {
                if number >> shift != 0 {
                    out.push(0x80 | (number >> shift) as u8);
                }
            }
            out.push((number & 0x7f) as u8);
        }
    });
}

/// Reads elements one after the other out of a part of a message.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(whole: &'a [u8]) -> Self {
        Self {
            whole,
            at: 0,
            end: whole.len(),
        }
    }

    /// Where the next element begins in the whole message.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.whole[self.at..self.end]
    }

    /// Nothing is left.
    pub(super) fn finish(&self) -> Result<(), Malformed> {
        if self.at == self.end {
            Ok(())
        } else {
            Err(Malformed("bytes follow the end"))
        }
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.rest().first().ok_or(Malformed("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let count = first & 0x7f;
        if !(1..=4).contains(&count) {
            return Err(Malformed("a length is not one that SNMP allows"));
        }
        let mut length = 0;
        for _ in 0..count {
            length = length << 8 | usize::from(self.byte()?);
        }
        Ok(length)
    }

    /// The next element, of whatever type.
    pub(super) fn any(&mut self) -> Result<(u8, Self), Malformed> {
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed("a tag is longer than a byte"));
        }
        let length = self.length()?;
        if length > self.end - self.at {
            return Err(Malformed("an element is longer than what it is in"));
        }
        let content = Self {
            whole: self.whole,
            at: self.at,
            end: self.at + length,
        };
        self.at += length;
        Ok((tag, content))
    }

    /// The next element, which has to be of type `tag`.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Self, Malformed> {
        let (found, content) = self.any()?;
        if found == tag {
            Ok(content)
        } else {
            Err(Malformed(
                "an element is of another type than belongs there",
            ))
        }
    }

    /// The next element, an integer.
    pub(super) fn integer(&mut self) -> Result<i64, Malformed> {
        self.expect(INTEGER)?.as_integer()
    }

    /// The next element, text or bytes.
    pub(super) fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        Ok(self.expect(OCTETS)?.rest())
    }

    /// The content of an INTEGER.
    pub(super) fn as_integer(&self) -> Result<i64, Malformed> {
        let bytes = self.rest();
        if !(1..=8).contains(&bytes.len()) {
            return Err(Malformed("an integer has no byte or more than eight"));
        }
        let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
        Ok(bytes
            .iter()
            .fold(sign, |value, byte| value << 8 | i64::from(*byte)))
    }

    /// The content of an OID.
    pub(super) fn as_oid(&self) -> Result<Oid, Malformed> {
        let mut numbers: Vec<u32> = Vec::new();
        let mut number: u32 = 0;
        let mut complete = true;
        for byte in self.rest() {
            if number >> 25 != 0 {
                return Err(Malformed("a number of an OID is too large"));
            }
            number = number << 7 | u32::from(byte & 0x7f);
            complete = byte & 0x80 == 0;
            if complete {
                if numbers.is_empty() {
                    let root = (number / 40).min(2);
                    numbers.extend([root, number - root * 40]);
                } else {
                    numbers.push(number);
                }
                number = 0;
            }
            if numbers.len() > LONGEST_OID {
                return Err(Malformed("an OID is too long"));
            }
        }
        if numbers.is_empty() || !complete {
            return Err(Malformed("an OID is incomplete"));
        }
        Ok(Oid(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn examples_of_the_standard() {
        // X.690 8.3 and 8.19.
        assert_eq!(encoded(|out| integer(out, INTEGER, 0)), [2, 1, 0]);
        assert_eq!(encoded(|out| integer(out, INTEGER, 127)), [2, 1, 127]);
        assert_eq!(encoded(|out| integer(out, INTEGER, 128)), [2, 2, 0, 128]);
        assert_eq!(encoded(|out| integer(out, INTEGER, -128)), [2, 1, 128]);
        assert_eq!(
            encoded(|out| oid(out, &"2.999.3".parse().unwrap())),
            [6, 3, 0x88, 0x37, 3]
        );
        assert_eq!(
            encoded(|out| oid(out, &".1.3.6.1.4.1.318".parse().unwrap())),
            [6, 7, 0x2b, 6, 1, 4, 1, 0x82, 0x3e]
        );
        assert_eq!(
            encoded(|out| bytes(out, OCTETS, &[7; 200]))[..3],
            [4, 0x81, 200]
        );
    }

    #[test]
    fn what_is_no_oid() {
        for bad in [
            "",
            "1",
            "3.1",
            "1.40",
            "1.3.x",
            "1..3",
            "1.3.4294967296",
            "1.3.-1",
        ] {
            assert!(bad.parse::<Oid>().is_err(), "{bad}");
        }
        assert!("1.".repeat(200).parse::<Oid>().is_err());
    }

    #[test]
    fn lengths_are_not_believed() {
        for bad in [
            &[][..],
            &[2],
            &[2, 1],
            &[2, 5, 1, 2],
            &[2, 0x80, 1, 0, 0],
            &[2, 0x85, 0, 0, 0, 0, 1, 1],
            &[2, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
            &[2, 0],
            &[2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x1f, 1, 1],
        ] {
            assert!(Reader::new(bad).integer().is_err(), "{bad:02x?}");
        }
        for bad in [
            &[6, 0][..],
            &[6, 1, 0x80],
            &[6, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            let content = Reader::new(bad).expect(OID).unwrap();
            assert!(content.as_oid().is_err(), "{bad:02x?}");
        }
    }

    proptest! {
        #[test]
        fn integers_come_back(value: i64) {
            let bytes = encoded(|out| integer(out, INTEGER, value));
            prop_assert_eq!(Reader::new(&bytes).integer(), Ok(value));
        }

        #[test]
        fn oids_come_back(first in 0u32..3, second in 0u32..40, rest: Vec<u32>) {
            let numbers: Vec<u32> = [first, second].into_iter().chain(rest).take(128).collect();
            let text = Oid(numbers).to_string();
            let name: Oid = text.parse().unwrap();
            let bytes = encoded(|out| oid(out, &name));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.expect(OID).unwrap().as_oid(), Ok(name));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut open = vec![Reader::new(&bytes)];
            while let Some(mut reader) = open.pop() {
                while let Ok((_, content)) = reader.any() {
                    let _ = (content.as_integer(), content.as_oid());
                    open.push(content);
                }
            }
        }
    }
}
