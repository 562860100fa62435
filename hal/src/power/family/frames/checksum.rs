//! The checks at the end of frames.

/// All bytes, exclusively or-ed.
pub(super) fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// All bytes, added.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The CRC-16 of Modbus over serial lines (specification V1.02, 6.2.2): polynomial 0xA001,
/// beginning with 0xFFFF, sent low byte first.
pub(super) fn modbus(bytes: &[u8]) -> u16 {
    let mut crc = 0xffff_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1 != 0;
            crc >>= 1;
            if carry {
                crc ^= 0xa001;
            }
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(modbus(b"123456789"), 0x4b37);
        assert_eq!(xor(&[6, 1, 8]), 0x0f);
        assert_eq!(sum(&[0xa0, 0xff, 1]), 0xa0);
    }

    proptest! {
        #[test]
        fn a_frame_with_its_check_has_none_left(bytes: Vec<u8>) {
            let mut framed = bytes.clone();
            framed.extend(modbus(&bytes).to_le_bytes());
            prop_assert_eq!(modbus(&framed), 0);
            let mut framed = bytes.clone();
            framed.push(xor(&bytes));
            prop_assert_eq!(xor(&framed), 0);
        }

        #[test]
        fn one_wrong_bit_is_found(mut bytes in proptest::collection::vec(any::<u8>(), 1..40), bit in 0..320_usize) {
            let (crc, xor_before, sum_before) = (modbus(&bytes), xor(&bytes), sum(&bytes));
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(modbus(&bytes), crc);
            prop_assert_ne!(xor(&bytes), xor_before);
            prop_assert_ne!(sum(&bytes), sum_before);
        }
    }
}
