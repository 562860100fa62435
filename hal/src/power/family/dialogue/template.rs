//! Text of a table with holes: what is typed, and what is waited for.
//!
//! `{outlet}` is the outlet as the lab file names it; a sum of it is its number (`{outlet-1}`),
//! with a format after a colon: `{outlet:02}` two digits, `{outlet-1:x}` hexadecimal,
//! `{outlet-1:36}` one of 0–9 and A–Z. `{username}` and `{password}` are the login. A brace that
//! no small letter follows is itself, so that the braces of patterns stay what they are.

use super::super::expression::Expression;
use regex::bytes::{Regex, RegexBuilder};

/// The most memory that a pattern of a table may take.
const PATTERN_SIZE: usize = 1024 * 1024;

/// What fills the holes.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) outlet: &'a str,
    pub(super) number: Option<u32>,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
}

/// For trying a table before there is a PDU.
pub(super) const EXAMPLE: Values<'static> = Values {
    outlet: "1",
    number: Some(1),
    username: "",
    password: "",
};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Outlet,
    Username,
    Password,
    Number(Expression, Format),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Decimal,
    TwoDigits,
    Hexadecimal,
    Base36,
}

/// Text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut from = 0;
        while let Some(at) = rest[from..].find('{').map(|at| at + from) {
            let inside = &rest[at + 1..];
            if !inside.starts_with(|c: char| c.is_ascii_lowercase()) {
                from = at + 1;
                continue;
            }
            let Some(end) = inside.find('}') else {
                return Err(format!("'{text}' has a '{{' without a '}}'"));
            };
            parts.push(Part::Text(rest[..at].to_owned()));
            parts.push(Part::parse(&inside[..end])?);
            rest = &inside[end + 1..];
            from = 0;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Whether it types the password.
    pub(super) fn has_password(&self) -> bool {
        self.0.contains(&Part::Password)
    }

    /// The text; `None` when the outlet is no number, or none that can be.
    pub(super) fn fill(&self, values: &Values<'_>) -> Option<String> {
        self.render(values, str::to_owned)
    }

    /// The pattern with the outlet's name taken literally; it has to be one for [`EXAMPLE`].
    pub(super) fn pattern(&self, values: &Values<'_>) -> Option<Regex> {
        compile(&self.render(values, regex::escape)?).ok()
    }

    fn render(&self, values: &Values<'_>, quote: fn(&str) -> String) -> Option<String> {
        let parts = self.0.iter().map(|part| {
            Some(match part {
                Part::Text(text) => text.clone(),
                Part::Outlet => quote(values.outlet),
                Part::Username => quote(values.username),
                Part::Password => quote(values.password),
                Part::Number(expression, format) => {
                    format.number(expression.value(values.number?.into())?)?
                }
            })
        });
        parts.collect()
    }

    /// What it is waiting for or typing, as the table has it, for messages.
    pub(super) fn shown(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Username => "{username}",
            Part::Password => "{password}",
            Part::Outlet | Part::Number(..) => "{outlet}",
        });
        parts.collect()
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "outlet" => return Ok(Self::Outlet),
            "username" => return Ok(Self::Username),
            "password" => return Ok(Self::Password),
            _ => {}
        }
        let (sum, format) = text.split_once(':').unwrap_or((text, ""));
        let format = match format {
            "" => Format::Decimal,
            "02" => Format::TwoDigits,
            "x" => Format::Hexadecimal,
            "36" => Format::Base36,
            _ => return Err(format!("'{{{text}}}': a format is 02, x or 36")),
        };
        let expression = Expression::parse(sum)?;
        if expression.name() != "outlet" {
            return Err(format!(
                "'{{{text}}}' is none of outlet, username and password"
            ));
        }
        Ok(Self::Number(expression, format))
    }
}

impl Format {
    fn number(self, value: u64) -> Option<String> {
        match self {
            Self::Decimal => Some(value.to_string()),
            Self::TwoDigits => Some(format!("{value:02}")),
            Self::Hexadecimal => Some(format!("{value:x}")),
            Self::Base36 => {
                let digit = char::from_digit(u32::try_from(value).ok().filter(|v| *v < 36)?, 36)?;
                Some(digit.to_ascii_uppercase().to_string())
            }
        }
    }
}

/// A pattern of a table: bytes, not characters, since PDUs know no UTF-8.
pub(super) fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(PATTERN_SIZE)
        .dfa_size_limit(PATTERN_SIZE)
        .build()
        .map_err(|error| format!("'{text}' is no pattern: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(text: &str, number: u32) -> Option<String> {
        let outlet = number.to_string();
        let values = Values {
            outlet: &outlet,
            number: Some(number),
            username: "apc",
            password: "secret",
        };
        Template::parse(text).unwrap().fill(&values)
    }

    #[test]
    fn holes_are_filled_and_other_braces_stay() {
        assert_eq!(fill("olOn {outlet}\r\n", 3).unwrap(), "olOn 3\r\n");
        assert_eq!(fill("{username} {password}", 3).unwrap(), "apc secret");
        assert_eq!(fill("{outlet-1:36}", 32).unwrap(), "V");
        assert_eq!(fill("{outlet-1:02}", 8).unwrap(), "07");
        assert_eq!(fill("{outlet-1:x}", 16).unwrap(), "f");
        assert_eq!(fill("[0-9]{2,3}{{outlet}", 1).unwrap(), "[0-9]{2,3}{1");
        assert_eq!(fill("{outlet-1:36}", 37), None);
        assert_eq!(fill("{outlet-1}", 0), None);
        for bad in ["{outlet", "{outlet:9}", "{port}", "{outlet*2}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_outlet_in_a_pattern_means_itself(outlet in "[A-Za-z0-9_.:/-]{1,20}") {
            let values = Values { outlet: &outlet, ..EXAMPLE };
            let pattern = Template::parse(r"^{outlet}$").unwrap().pattern(&values).unwrap();
            prop_assert!(pattern.is_match(outlet.as_bytes()));
            prop_assert!(!pattern.is_match(b"?"));
        }

        #[test]
        fn any_text_is_understood_or_refused(text in "[ -~]{0,30}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.fill(&EXAMPLE);
                let _ = template.pattern(&EXAMPLE);
            }
        }
    }
}
