//! Base64, as lenient as Python's `base64.decodebytes`.

/// Decodes base64. Characters outside of its alphabet are skipped, and so is everything behind
/// the padding.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    if !text.is_ascii() {
        return Err("it holds characters that are not ASCII");
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut place = 0;
    let mut padding = 0;
    let mut rest = 0;
    for byte in text.bytes() {
        if byte == b'=' {
            padding += 1;
            if place >= 2 && place + padding >= 4 {
                return Ok(bytes);
            }
            continue;
        }
        let Some(value) = sextet(byte) else { continue };
        padding = 0;
        match place {
            0 => {}
            1 => bytes.push(rest << 2 | value >> 4),
            2 => bytes.push(rest << 4 | value >> 2),
            _ => bytes.push(rest << 6 | value),
        }
        rest = value;
        place = (place + 1) % 4;
    }
    match place {
        0 => Ok(bytes),
        1 => Err("the number of data characters cannot be 1 more than a multiple of 4"),
        _ => Err("incorrect padding"),
    }
}

/// The six bits that a character stands for.
fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}
