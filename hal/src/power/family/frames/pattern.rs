//! Frames in a table: what is sent and what is to be answered.
//!
//! Words separated by spaces, in the order of the wire:
//!
//! | word | means |
//! |---|---|
//! | `20ff` | these bytes, hexadecimal |
//! | `'GR'` | these characters |
//! | `..` | any byte (answers only) |
//! | `{outlet-1}` | a sum as one byte; `{outlet:u16be}`, `{outlet:u16le}` as two |
//! | `{outlet%8:mask}` | one byte with this bit set |
//! | `{unit}`, `{id:u16be}` | a value of the row; a number that is new in each exchange |
//! | `{password}` | the password |
//! | `{xor}`, `{sum}` | of all bytes before it, one byte |
//! | `{crc16}` | Modbus' check over all bytes before it, low byte first |
//! | `{state:2}` | two bytes that tell the state (answers only) |

use super::{super::expression::Expression, checksum};
use std::{collections::BTreeMap, ops::Range};

/// The longest answer that tells a state.
const LONGEST_STATE: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    Any,
    Number(Expression, Width),
    Password,
    Xor,
    Sum,
    Crc16,
    State(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Byte,
    Mask,
    BigEndian,
    LittleEndian,
}

/// What fills the holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a> {
    /// Numbers by name: outlet, id, and the row's values.
    pub(super) numbers: BTreeMap<&'a str, u64>,
    pub(super) password: &'a str,
}

/// How bytes compare with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// They begin with it: its length, and where in it the state is.
    Whole(usize, Option<Range<usize>>),
    /// They are its beginning.
    Part,
    /// They are something else.
    Other,
}

/// A frame with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Understands a frame to be sent; `names` are the numbers that there are.
    pub(super) fn parse_request(text: &str, names: &[&str]) -> Result<Self, String> {
        let pattern = Self::parse(text, names)?;
        let unknown = |piece: &Piece| matches!(piece, Piece::Any | Piece::State(_));
        if pattern.0.is_empty() || pattern.0.iter().any(unknown) {
            return Err(format!("'{text}' is nothing that can be sent"));
        }
        Ok(pattern)
    }

    /// Understands a frame that is answered.
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            rest = parse_word(rest, names, &mut pieces)
                .map_err(|what| format!("'{text}': {what}"))?
                .trim_start();
        }
        Ok(Self(pieces))
    }

    /// Whether it tells a state, and how many bytes of it.
    pub(super) fn state_length(&self) -> Option<usize> {
        self.0.iter().find_map(|piece| match piece {
            Piece::State(length) => Some(*length),
            _ => None,
        })
    }

    /// The bytes; `None` when a number does not fit.
    pub(super) fn encode(&self, fields: &Fields<'_>) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        for piece in &self.0 {
            let bytes = piece.bytes(fields, &frame)?;
            frame.extend(bytes);
        }
        Some(frame)
    }

    /// Compares what was `received` with it.
    pub(super) fn compare(&self, received: &[u8], fields: &Fields<'_>) -> Match {
        let (mut at, mut state) = (0, None);
        for piece in &self.0 {
            let left = &received[at..];
            let length = match piece {
                Piece::Any => 1,
                Piece::State(length) => {
                    state = Some(at..at + length);
                    *length
                }
                _ => {
                    let Some(bytes) = piece.bytes(fields, &received[..at]) else {
                        return Match::Other;
                    };
                    if !left.iter().zip(&bytes).all(|(left, right)| left == right) {
                        return Match::Other;
                    }
                    bytes.len()
                }
            };
            if left.len() < length {
                return Match::Part;
            }
            at += length;
        }
        Match::Whole(at, state)
    }
}

impl Piece {
    /// Its bytes after those `before`; `None` when it has none of its own or they do not fit.
    fn bytes(&self, fields: &Fields<'_>, before: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            Self::Byte(byte) => vec![*byte],
            Self::Any | Self::State(_) => return None,
            Self::Password => fields.password.as_bytes().to_vec(),
            Self::Xor => vec![checksum::xor(before)],
            Self::Sum => vec![checksum::sum(before)],
            Self::Crc16 => checksum::modbus(before).to_le_bytes().to_vec(),
            Self::Number(expression, width) => {
                let value = expression.value(*fields.numbers.get(expression.name())?)?;
                width.bytes(value)?
            }
        })
    }
}

impl Width {
    fn bytes(self, value: u64) -> Option<Vec<u8>> {
        Some(match self {
            Self::Byte => vec![u8::try_from(value).ok()?],
            Self::Mask => vec![1_u8.checked_shl(u32::try_from(value).ok()?)?],
            Self::BigEndian => u16::try_from(value).ok()?.to_be_bytes().to_vec(),
            Self::LittleEndian => u16::try_from(value).ok()?.to_le_bytes().to_vec(),
        })
    }
}

/// Understands the first word of `text` and gives the rest.
fn parse_word<'a>(
    text: &'a str,
    names: &[&str],
    pieces: &mut Vec<Piece>,
) -> Result<&'a str, String> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (inside, rest) = quoted.split_once('\'').ok_or("a quote is not closed")?;
        pieces.extend(inside.bytes().map(Piece::Byte));
        return Ok(rest);
    }
    if let Some(hole) = text.strip_prefix('{') {
        let (inside, rest) = hole.split_once('}').ok_or("a brace is not closed")?;
        pieces.push(parse_hole(inside, names)?);
        return Ok(rest);
    }
    let end = text.find([' ', '\'', '{']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word == ".." {
        pieces.push(Piece::Any);
        return Ok(rest);
    }
    if word.len() % 2 != 0 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("'{word}' is no hexadecimal bytes"));
    }
    for at in (0..word.len()).step_by(2) {
        let byte = u8::from_str_radix(&word[at..at + 2], 16).map_err(|error| error.to_string())?;
        pieces.push(Piece::Byte(byte));
    }
    Ok(rest)
}

fn parse_hole(inside: &str, names: &[&str]) -> Result<Piece, String> {
    let (sum, width) = inside.split_once(':').unwrap_or((inside, ""));
    match (sum, width) {
        ("password", "") => return Ok(Piece::Password),
        ("xor", "") => return Ok(Piece::Xor),
        ("sum", "") => return Ok(Piece::Sum),
        ("crc16", "") => return Ok(Piece::Crc16),
        ("state", length) => {
            let length = length.parse().ok();
            let length = length.filter(|length| (1..=LONGEST_STATE).contains(length));
            return length
                .map(Piece::State)
                .ok_or_else(|| format!("{{{inside}}}: how many bytes?"));
        }
        _ => {}
    }
    let expression = Expression::parse(sum)?;
    if !names.contains(&expression.name()) {
        return Err(format!("there is no '{}'", expression.name()));
    }
    let width = match width {
        "" => Width::Byte,
        "mask" => Width::Mask,
        "u16be" => Width::BigEndian,
        "u16le" => Width::LittleEndian,
        _ => return Err(format!("{{{inside}}}: a width is mask, u16be or u16le")),
    };
    Ok(Piece::Number(expression, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: &[&str] = &["outlet", "unit", "id"];

    fn fields(outlet: u64) -> Fields<'static> {
        Fields {
            numbers: [("outlet", outlet), ("unit", 1), ("id", 0x1234)].into(),
            password: "apple",
        }
    }

    fn encode(text: &str, outlet: u64) -> Option<Vec<u8>> {
        Pattern::parse_request(text, NAMES)
            .unwrap()
            .encode(&fields(outlet))
    }

    #[test]
    fn words_are_bytes() {
        assert_eq!(encode("79{password}", 1).unwrap(), b"\x79apple");
        assert_eq!(encode("'SR ' {outlet+0x30}0d", 2).unwrap(), b"SR 2\r");
        assert_eq!(
            encode("06 {outlet/8+1} {outlet%8:mask} {xor}", 9).unwrap(),
            [6, 2, 2, 6]
        );
        assert_eq!(
            encode("a0 {outlet} 01 {sum}", 8).unwrap(),
            [0xa0, 8, 1, 0xa9]
        );
        assert_eq!(
            encode("{id:u16be}{outlet:u16le}", 258).unwrap(),
            [0x12, 0x34, 2, 1]
        );
        assert_eq!(encode("{outlet}", 256), None);
        assert_eq!(encode("{outlet:mask}", 8), None);
        for bad in [
            "2",
            "0g",
            "..",
            "{state:1}",
            "{other}",
            "{outlet:u8}",
            "'a",
            "{outlet",
            "",
        ] {
            assert!(Pattern::parse_request(bad, NAMES).is_err(), "{bad}");
        }
    }

    /// The request and answer of Modbus' own documentation for reading a coil would need a
    /// register; these are the frames that Waveshare's manual shows for its relay board.
    #[test]
    fn modbus_frames_of_a_manual() {
        let on = encode("{unit} 05 {outlet:u16be} ff00 {crc16}", 0).unwrap();
        assert_eq!(on, [1, 5, 0, 0, 0xff, 0, 0x8c, 0x3a]);
        let off = encode("{unit} 05 {outlet:u16be} 0000 {crc16}", 0).unwrap();
        assert_eq!(off, [1, 5, 0, 0, 0, 0, 0xcd, 0xca]);
    }

    #[test]
    fn answers_are_whole_a_part_or_something_else() {
        let pattern = Pattern::parse("fd {outlet/8+1} {state:1} {xor}", NAMES).unwrap();
        let compare = |bytes: &[u8]| pattern.compare(bytes, &fields(3));
        assert_eq!(compare(&[0xfd, 1, 8, 0xf4]), Match::Whole(4, Some(2..3)));
        assert_eq!(compare(&[0xfd, 1, 8, 0xf4, 9]), Match::Whole(4, Some(2..3)));
        assert_eq!(compare(&[0xfd, 1, 8]), Match::Part);
        assert_eq!(compare(&[]), Match::Part);
        assert_eq!(compare(&[0xfd, 1, 8, 0xf5]), Match::Other);
        assert_eq!(compare(&[0xfd, 2]), Match::Other);
    }

    proptest! {
        #[test]
        fn a_frame_answers_itself(
            words in proptest::collection::vec(prop_oneof![
                Just("7b"), Just("'on'"), Just("{outlet}"), Just("{unit:u16be}"), Just("{xor}"),
                Just("{sum}"), Just("{crc16}"), Just("{password}"), Just("{outlet%8:mask}"),
            ], 1..8),
            outlet in 0..256_u64,
            flipped in 0..100_usize,
        ) {
            let pattern = Pattern::parse_request(&words.join(" "), NAMES).unwrap();
            let fields = fields(outlet);
            let mut frame = pattern.encode(&fields).unwrap();
            prop_assert_eq!(pattern.compare(&frame, &fields), Match::Whole(frame.len(), None));
            prop_assert_eq!(pattern.compare(&frame[..frame.len() - 1], &fields), Match::Part);
            let flipped = flipped % frame.len();
            frame[flipped] ^= 0x40;
            prop_assert_eq!(pattern.compare(&frame, &fields), Match::Other);
        }

        #[test]
        fn any_text_and_any_bytes_do_no_harm(text in "[ -~]{0,30}", bytes: Vec<u8>) {
            if let Ok(pattern) = Pattern::parse(&text, NAMES) {
                let _ = pattern.compare(&bytes, &fields(1));
                let _ = pattern.encode(&fields(1));
            }
        }
    }
}
