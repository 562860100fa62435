//! The part of ASN.1's Basic Encoding Rules (ITU-T X.690) that SNMP uses (RFC 3417 section 8):
//! definite lengths, tags of one byte.

/// An object identifier.
pub(super) type Oid = Vec<u32>;

/// The most parts an identifier may have (RFC 2578 section 3.5).
const LONGEST_OID: usize = 128;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element: its tag and contents.
    pub(super) fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            // Datagrams have 64 KiB at most.
            if bytes.is_empty() || bytes.len() > 4 {
                return None;
            }
            length = bytes
                .iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte));
            rest = after;
        }
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// The contents of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element()
            .filter(|&(found, _)| found == tag)
            .map(|(_, contents)| contents)
    }

    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.expect(SEQUENCE).map(Reader)
    }

    pub(super) fn integer(&mut self) -> Option<i64> {
        integer(self.expect(INTEGER)?)
    }

    pub(super) fn oid(&mut self) -> Option<Oid> {
        let contents = self.expect(OBJECT)?;
        let mut parts = Vec::new();
        let mut part: u32 = 0;
        for &byte in contents {
            part = part.checked_mul(128)? | u32::from(byte & 0x7f);
            if byte < 0x80 {
                parts.push(std::mem::take(&mut part));
            }
        }
        let (&first, rest) = parts.split_first()?;
        if contents.last()? >= &0x80 || rest.len() > LONGEST_OID {
            return None;
        }
        // The first two parts share one number.
        let top = (first / 40).min(2);
        let mut oid = vec![top, first - 40 * top];
        oid.extend(rest);
        Some(oid)
    }
}

/// The number that the contents of an INTEGER are.
pub(super) fn integer(contents: &[u8]) -> Option<i64> {
    if contents.is_empty() || contents.len() > 8 {
        return None;
    }
    let sign = if contents[0] >= 0x80 { -1 } else { 0 };
    Some(
        contents
            .iter()
            .fold(sign, |number, &byte| number << 8 | i64::from(byte)),
    )
}

/// An element.
pub(super) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match contents.len() {
        short @ 0..0x80 => out.push(short as u8),
        long => {
            let bytes = (long as u32).to_be_bytes();
            out.push(0x84);
            out.extend(bytes);
        }
    }
    out.extend(contents);
    out
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

pub(super) fn encode_integer(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    // As short as it can be without changing its sign.
    let needless = bytes
        .windows(2)
        .take_while(|pair| {
            matches!(pair, [0, next] if *next < 0x80)
                || matches!(pair, [0xff, next] if *next >= 0x80)
        })
        .count();
    element(INTEGER, &bytes[needless..])
}

pub(super) fn encode_oid(oid: &[u32]) -> Vec<u8> {
    let mut contents = Vec::new();
    if let [first, second, rest @ ..] = oid {
        for part in [first.saturating_mul(40).saturating_add(*second)]
            .iter()
            .chain(rest)
        {
            let mut shift = 28;
            while shift > 0 {
                if part >> shift > 0 {
                    contents.push((part >> shift) as u8 | 0x80);
                }
                shift -= 7;
            }
            contents.push((part & 0x7f) as u8);
        }
    }
    element(OBJECT, &contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(encode_oid(&[2, 999, 3]), [0x06, 0x03, 0x88, 0x37, 0x03]);
        assert_eq!(encode_integer(128), [0x02, 0x02, 0x00, 0x80]);
        assert_eq!(encode_integer(-128), [0x02, 0x01, 0x80]);
        assert_eq!(encode_integer(0), [0x02, 0x01, 0x00]);
    }

    proptest! {
        #[test]
        fn numbers_and_identifiers_come_back(
            number: i64,
            top in 0_u32..3,
            second in 0_u32..40,
            rest in proptest::collection::vec(any::<u32>(), 0..20),
        ) {
            prop_assert_eq!(Reader(&encode_integer(number)).integer(), Some(number));
            let oid: Oid = [top, second].into_iter().chain(rest).collect();
            prop_assert_eq!(Reader(&encode_oid(&oid)).oid(), Some(oid));
        }

        #[test]
        fn contents_come_back(contents in proptest::collection::vec(any::<u8>(), 0..300)) {
            let encoded = element(OCTETS, &contents);
            let mut reader = Reader(&encoded);
            prop_assert_eq!(reader.expect(OCTETS), Some(&contents[..]));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let reader = Reader(&bytes);
            let _ = ({ reader }.element(), { reader }.integer(), { reader }.oid());
        }
    }
}
