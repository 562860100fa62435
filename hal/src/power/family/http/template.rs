//! Text with placeholders, as rows have it: `/relay/{outlet}?turn=on`.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{outlet}`, `{index}` | the outlet's name |
//! | `{outlet-1}`, `{outlet*2-1}`, `{outlet-1:02}` | a number made of it, padded with zeros |
//! | `{part:1}` | the first part of an outlet "node/pin" |
//! | `{mask:24:1:0}` | 24 characters: `1` at the outlet, `0` elsewhere |
//! | `{value}` | what the request says its value is |
//! | `{username}`, `{password}` | the login |
//! | `{{`, `}}` | braces |

use crate::lab::Secret;

/// The widest mask.
const WIDEST: usize = 256;

/// What placeholders stand for in one request.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) outlet: &'a str,
    pub(super) value: &'a str,
    pub(super) username: &'a str,
    pub(super) password: &'a Secret,
}

/// How a placeholder's text is written where it goes.
#[derive(Clone, Copy)]
pub(super) enum Escape {
    /// As it is: into a form or JSON, which escape by themselves.
    None,
    /// As a part of a path or a query (RFC 3986 §2.3).
    Percent,
    /// As a part of a regular expression.
    Regex,
}

impl Escape {
    fn apply(self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Regex => regex::escape(text),
            Self::Percent => percent(text),
        }
    }
}

/// Percent-encodes all but unreserved characters.
pub(super) fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Fills `template` in.
///
/// # Errors
/// What is wrong with it, or with the outlet for it.
pub(super) fn fill(template: &str, values: Values<'_>, escape: Escape) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let Some(end) = end else {
            return Err(format!("'{template}' has a brace without its other"));
        };
        out.push_str(&escape.apply(&placeholder(&rest[..end], values)?));
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The number that a placeholder of an outlet stands for: `outlet*2-1`.
///
/// # Errors
/// When the expression is none, the outlet is no number, or the result is below zero.
pub(super) fn number(expression: &str, outlet: &str) -> Result<u64, String> {
    let unknown = || format!("there is no placeholder '{{{expression}}}'");
    let mut rest = expression.strip_prefix("outlet").ok_or_else(unknown)?;
    let no_number = || format!("outlet '{outlet}' is no number");
    let mut number: i64 = outlet.parse::<u32>().map_err(|_| no_number())?.into();
    while !rest.is_empty() {
        let (operator, operand) = rest.split_at_checked(1).ok_or_else(unknown)?;
        let end = operand
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(operand.len());
        let by: i64 = operand[..end].parse::<u32>().map_err(|_| unknown())?.into();
        rest = &operand[end..];
        let result = match operator {
            "*" => number.checked_mul(by),
            "+" => number.checked_add(by),
            "-" => number.checked_sub(by),
            _ => return Err(unknown()),
        };
        number = result.ok_or_else(unknown)?;
    }
    u64::try_from(number).map_err(|_| format!("outlet {outlet} is below the first"))
}

fn placeholder(name: &str, values: Values<'_>) -> Result<String, String> {
    match name {
        "outlet" | "index" => return Ok(values.outlet.to_owned()),
        "value" => return Ok(values.value.to_owned()),
        "username" => return Ok(values.username.to_owned()),
        "password" => return Ok(values.password.expose().to_owned()),
        _ => {}
    }
    let unknown = || format!("there is no placeholder '{{{name}}}'");
    let mut fields = name.split(':');
    let kind = fields.next().unwrap_or_default();
    let fields: Vec<&str> = fields.collect();
    match (kind, &fields[..]) {
        ("part", [index]) => {
            let index: usize = index.parse().map_err(|_| unknown())?;
            let part = index
                .checked_sub(1)
                .and_then(|index| values.outlet.split('/').nth(index));
            let missing = || format!("outlet '{}' has no part {index}", values.outlet);
            part.map(str::to_owned).ok_or_else(missing)
        }
        ("mask", [width, own, other]) => {
            let width: usize = width.parse().map_err(|_| unknown())?;
            let outlet = number("outlet", values.outlet)?;
            let outlet = usize::try_from(outlet).unwrap_or(usize::MAX);
            if width > WIDEST || !(1..=width).contains(&outlet) {
                return Err(format!("outlet {outlet} is not in a mask of {width}"));
            }
            Ok((1..=width)
                .map(|at| if at == outlet { *own } else { *other })
                .collect())
        }
        (expression, []) => Ok(number(expression, values.outlet)?.to_string()),
        (expression, [width]) => {
            let width = width.strip_prefix('0').and_then(|width| width.parse().ok());
            let width: usize = width.filter(|width| *width <= WIDEST).ok_or_else(unknown)?;
            Ok(format!("{:0width$}", number(expression, values.outlet)?))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str, outlet: &str) -> Result<String, String> {
        let values = Values {
            outlet,
            value: "1",
            username: "us er",
            password: &Secret::new("p&ss/ü"),
        };
        fill(template, values, Escape::Percent)
    }

    #[test]
    fn placeholders() {
        for (template, outlet, expected) in [
            ("/relay/{outlet}", "3", "/relay/3"),
            ("/{index}/{value}", "usb:1", "/usb%3A1/1"),
            ("{outlet-1}", "3", "2"),
            ("{outlet*2-1:02}", "3", "05"),
            ("{mask:4:1:u}", "2", "u1uu"),
            (
                "/nodes/{part:1}/pins/{part:2}",
                "IOMux-1/out0",
                "/nodes/IOMux-1/pins/out0",
            ),
            (
                "u={username}&p={password}",
                "1",
                "u=us%20er&p=p%26ss%2F%C3%BC",
            ),
            ("{{\"a\": {outlet}}}", "1", "{\"a\": 1}"),
        ] {
            assert_eq!(
                filled(template, outlet).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
    }

    #[test]
    fn mistakes() {
        for (template, outlet) in [
            ("{outlet", "1"),
            ("}", "1"),
            ("{outlet-1}", "0"),
            ("{outlet-1}", "one"),
            ("{outlet^1}", "1"),
            ("{outlet*9999999999999}", "1"),
            ("{outlet*4294967295*4294967295*4294967295}", "4294967295"),
            ("{mask:4:1:0}", "5"),
            ("{mask:4:1:0}", "0"),
            ("{mask:99999999:1:0}", "5"),
            ("{outlet:0999999999}", "5"),
            ("{part:0}", "a/b"),
            ("{part:3}", "a/b"),
            ("{passwort}", "1"),
        ] {
            assert!(filled(template, outlet).is_err(), "{template} {outlet}");
        }
    }

    proptest! {
        #[test]
        fn no_template_makes_it_panic(template in "[{}a-z:*+0-9-]{0,24}|\\PC*", outlet in "[0-9a-z/]{1,12}") {
            let _ = filled(&template, &outlet);
        }

        #[test]
        fn what_is_filled_in_stays_one_piece(password: String) {
            let filled = percent(&password);
            prop_assert!(filled.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        }
    }
}
