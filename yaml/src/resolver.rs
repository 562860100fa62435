//! Which type a scalar without a tag has: the implicit types of YAML 1.1, as PyYAML's patterns
//! recognise them. They differ from the specification's: `1e3` is a string, `0o17` too, `1:30` is
//! an integer and `y` is a string.

use std::borrow::Cow;

/// The tags that PyYAML's safe loader knows, and those it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag<'a> {
    Null,
    Bool,
    Int,
    Float,
    String,
    Binary,
    Timestamp,
    Sequence,
    Mapping,
    Set,
    OrderedMap,
    Pairs,
    /// `<<`.
    Merge,
    /// `=`.
    DefaultValue,
    Unknown(Cow<'a, str>),
}

impl<'a> Tag<'a> {
    /// The tag with this full name.
    pub(crate) fn from_name(name: Cow<'a, str>) -> Self {
        match name.strip_prefix("tag:yaml.org,2002:") {
            Some("null") => Self::Null,
            Some("bool") => Self::Bool,
            Some("int") => Self::Int,
            Some("float") => Self::Float,
            Some("str") => Self::String,
            Some("binary") => Self::Binary,
            Some("timestamp") => Self::Timestamp,
            Some("seq") => Self::Sequence,
            Some("map") => Self::Mapping,
            Some("set") => Self::Set,
            Some("omap") => Self::OrderedMap,
            Some("pairs") => Self::Pairs,
            Some("merge") => Self::Merge,
            Some("value") => Self::DefaultValue,
            _ => Self::Unknown(name),
        }
    }

    /// The name to show in a message.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Null => "tag:yaml.org,2002:null",
            Self::Bool => "tag:yaml.org,2002:bool",
            Self::Int => "tag:yaml.org,2002:int",
            Self::Float => "tag:yaml.org,2002:float",
            Self::String => "tag:yaml.org,2002:str",
            Self::Binary => "tag:yaml.org,2002:binary",
            Self::Timestamp => "tag:yaml.org,2002:timestamp",
            Self::Sequence => "tag:yaml.org,2002:seq",
            Self::Mapping => "tag:yaml.org,2002:map",
            Self::Set => "tag:yaml.org,2002:set",
            Self::OrderedMap => "tag:yaml.org,2002:omap",
            Self::Pairs => "tag:yaml.org,2002:pairs",
            Self::Merge => "tag:yaml.org,2002:merge",
            Self::DefaultValue => "tag:yaml.org,2002:value",
            Self::Unknown(name) => name,
        }
    }
}

/// The type of an untagged plain scalar.
pub(crate) fn resolve(text: &str) -> Tag<'static> {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return Tag::Null;
    };
    // The `$` that ends PyYAML's patterns also matches before a last newline. Only `!` in front
    // of a quoted scalar brings such text here.
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => resolve_number(bytes),
        b'~' if bytes == b"~" => Tag::Null,
        b'n' | b'N' if matches!(bytes, b"null" | b"Null" | b"NULL") => Tag::Null,
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O'
            if parse_bool(bytes).is_some() =>
        {
            Tag::Bool
        }
        b'<' if bytes == b"<<" => Tag::Merge,
        b'=' if bytes == b"=" => Tag::DefaultValue,
        // The indicators as text, which only `!` in front of a quoted scalar brings here.
        b'!' | b'&' | b'*' if bytes.len() == 1 => Tag::Unknown("tag:yaml.org,2002:yaml".into()),
        _ => Tag::String,
    }
}

/// The boolean that is written so: lower case, upper case or capitalised.
fn parse_bool(bytes: &[u8]) -> Option<bool> {
    match bytes {
        b"yes" | b"Yes" | b"YES" | b"true" | b"True" | b"TRUE" | b"on" | b"On" | b"ON" => {
            Some(true)
        }
        b"no" | b"No" | b"NO" | b"false" | b"False" | b"FALSE" | b"off" | b"Off" | b"OFF" => {
            Some(false)
        }
        _ => None,
    }
}

fn resolve_number(bytes: &[u8]) -> Tag<'static> {
    if is_float(bytes) {
        Tag::Float
    } else if is_int(bytes) {
        Tag::Int
    } else if is_timestamp(bytes) {
        Tag::Timestamp
    } else {
        Tag::String
    }
}

/// The rest behind the bytes that `accept` takes.
fn skip_while(bytes: &[u8], accept: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take_while(|byte| accept(**byte)).count();
    &bytes[length..]
}

fn skip_sign(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'+' | b'-', rest @ ..] => rest,
        _ => bytes,
    }
}

fn is_digit_or_underscore(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// The rest behind at least one `:MM` of a number to the base of 60.
fn skip_sexagesimals(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut found = false;
    loop {
        bytes = match bytes {
            [b':', b'0'..=b'5', b'0'..=b'9', rest @ ..] | [b':', b'0'..=b'9', rest @ ..] => rest,
            _ => return found.then_some(bytes),
        };
        found = true;
    }
}

fn is_float(bytes: &[u8]) -> bool {
    let unsigned = skip_sign(bytes);
    match unsigned {
        [b'.', b'0'..=b'9', rest @ ..] if unsigned.len() == bytes.len() => {
            is_exponent(skip_while(rest, is_digit_or_underscore))
        }
        [b'.', rest @ ..] => {
            matches!(rest, b"inf" | b"Inf" | b"INF")
                || (unsigned.len() == bytes.len() && matches!(rest, b"nan" | b"NaN" | b"NAN"))
        }
        [b'0'..=b'9', ..] => match skip_while(unsigned, is_digit_or_underscore) {
            [b'.', rest @ ..] => is_exponent(skip_while(rest, is_digit_or_underscore)),
            rest @ [b':', ..] => match skip_sexagesimals(rest) {
                Some([b'.', rest @ ..]) => skip_while(rest, is_digit_or_underscore).is_empty(),
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

/// Whether there is nothing, or an exponent with its sign.
fn is_exponent(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [b'e' | b'E', b'+' | b'-', b'0'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_int(bytes: &[u8]) -> bool {
    match skip_sign(bytes) {
        b"0" => true,
        [b'0', b'b', first, rest @ ..] => {
            let accept = |byte: &u8| matches!(byte, b'0' | b'1' | b'_');
            accept(first) && rest.iter().all(accept)
        }
        [b'0', b'x', first, rest @ ..] => {
            let accept = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'_';
            accept(first) && rest.iter().all(accept)
        }
        [b'0', rest @ ..] => rest.iter().all(|byte| matches!(byte, b'0'..=b'7' | b'_')),
        [b'1'..=b'9', rest @ ..] => match skip_while(rest, is_digit_or_underscore) {
            [] => true,
            rest => skip_sexagesimals(rest).is_some_and(<[u8]>::is_empty),
        },
        _ => false,
    }
}

fn is_timestamp(bytes: &[u8]) -> bool {
    let digits = |count: usize, from: usize| {
        bytes
            .get(from..from + count)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    if !digits(4, 0) || bytes.get(4) != Some(&b'-') {
        return false;
    }
    let date_only = bytes.len() == 10 && digits(2, 5) && bytes[7] == b'-' && digits(2, 8);
    date_only || crate::construct::timestamp::Fields::parse(bytes).is_some_and(|f| f.has_time())
}

#[cfg(test)]
mod tests {
    use super::{Tag, resolve};

    #[test]
    fn types_follow_pyyaml_rather_than_the_specification() {
        let table: [(Tag<'_>, &[&str]); 8] = [
            (Tag::Null, &["", "~", "null", "Null", "NULL"]),
            (Tag::Bool, &["yes", "No", "ON", "off", "True"]),
            (
                Tag::Int,
                &[
                    "0",
                    "-12",
                    "1_000",
                    "0b_1",
                    "017",
                    "0xF",
                    "10:30",
                    "52:54:00:12:34:56",
                ],
            ),
            (
                Tag::Float,
                &["1.", ".5", "1.5e+3", "1:30.5", "-.inf", ".NaN"],
            ),
            (Tag::Timestamp, &["2001-12-14", "2001-1-1 1:02:03 +1"]),
            (Tag::Merge, &["<<"]),
            (Tag::DefaultValue, &["="]),
            (
                Tag::String,
                &[
                    "y",
                    "tRue",
                    "nULL",
                    "1e3",
                    "0e12345",
                    "-.5",
                    "0o17",
                    "0XFF",
                    "08",
                    "1.5e3",
                    "00:11:22:33:44:55",
                    "2001-1-1",
                    "-.nan",
                    "1:60",
                    "+",
                    "-",
                    ".",
                    "<<<",
                ],
            ),
        ];
        for (tag, texts) in table {
            for text in texts {
                assert_eq!(resolve(text), tag, "{text}");
            }
        }
    }
}
