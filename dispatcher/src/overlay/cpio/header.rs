//! The header of one member: 6 digits of magic and 13 fields of 8 hexadecimal digits.

/// Bytes of a header.
pub(in super::super) const LENGTH: usize = 110;

/// The name of the member that ends an archive.
pub(in super::super) const TRAILER: &[u8] = b"TRAILER!!!";

/// The longest name, its NUL included: `PATH_MAX` of Linux.
pub(super) const LONGEST_NAME: u32 = 4096;

/// The header of a member, without its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) inode: u32,
    /// Type and permissions, as `st_mode`.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) mtime: u32,
    pub(super) size: u32,
    pub(super) device: (u32, u32),
    /// The device that a device node stands for.
    pub(super) special: (u32, u32),
    /// Length of the name with its NUL.
    pub(super) name_size: u32,
    /// Sum of the contents; only in archives of the kind `070702`.
    pub(super) check: u32,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("it is a cpio archive of the old 'odc' format")]
    OldFormat,
    #[error("there is no cpio header where one must be")]
    Magic,
    #[error("a cpio header has a field that is no number")]
    Digits,
    #[error("a cpio header has an impossible length of the name")]
    Name,
}

impl Header {
    /// Reads a header; the kernel takes `070701` and `070702`.
    pub(super) fn parse(bytes: &[u8; LENGTH]) -> Result<Self, HeaderError> {
        match &bytes[..6] {
            b"070701" | b"070702" => {}
            b"070707" => return Err(HeaderError::OldFormat),
            _ => return Err(HeaderError::Magic),
        }
        let mut fields = [0_u32; 13];
        for (field, digits) in fields.iter_mut().zip(bytes[6..].chunks_exact(8)) {
            *field = hexadecimal(digits).ok_or(HeaderError::Digits)?;
        }
        let header = Self {
            inode: fields[0],
            mode: fields[1],
            uid: fields[2],
            gid: fields[3],
            links: fields[4],
            mtime: fields[5],
            size: fields[6],
            device: (fields[7], fields[8]),
            special: (fields[9], fields[10]),
            name_size: fields[11],
            check: fields[12],
        };
        if header.name_size == 0 || header.name_size > LONGEST_NAME {
            return Err(HeaderError::Name);
        }
        Ok(header)
    }

    /// The header as bytes.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let fields = [
            self.inode,
            self.mode,
            self.uid,
            self.gid,
            self.links,
            self.mtime,
            self.size,
            self.device.0,
            self.device.1,
            self.special.0,
            self.special.1,
            self.name_size,
            self.check,
        ];
        let mut text = String::from("070701");
        for field in fields {
            text.push_str(&format!("{field:08X}"));
        }
        text.into_bytes()
    }
}

/// How many zeros bring `length` to a multiple of four.
pub(super) fn padding(length: u64) -> u64 {
    (4 - length % 4) % 4
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        number.checked_mul(16)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(
            numbers in proptest::array::uniform12(any::<u32>()),
            name_size in 1..=LONGEST_NAME,
        ) {
            let header = Header {
                inode: numbers[0],
                mode: numbers[1],
                uid: numbers[2],
                gid: numbers[3],
                links: numbers[4],
                mtime: numbers[5],
                size: numbers[6],
                device: (numbers[7], numbers[8]),
                special: (numbers[9], numbers[10]),
                name_size,
                check: numbers[11],
            };
            let bytes: [u8; LENGTH] = header.to_bytes().try_into().unwrap();
            prop_assert_eq!(Header::parse(&bytes), Ok(header));
        }

        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes in proptest::array::uniform32(any::<u8>())) {
            let mut header = Header { name_size: 1, ..Header::default() }.to_bytes();
            header[..32].copy_from_slice(&bytes);
            let header: [u8; LENGTH] = header.try_into().unwrap();
            let _ = Header::parse(&header);
        }
    }

    #[test]
    fn lower_case_digits_are_digits() {
        let mut bytes = Header {
            name_size: 1,
            inode: 0xab,
            ..Header::default()
        }
        .to_bytes();
        bytes.make_ascii_lowercase();
        let header = Header::parse(&bytes.try_into().unwrap()).unwrap();
        assert_eq!(header.inode, 0xab);
    }
}
