//! The arithmetic of report templates: bytes that depend on the outlet.
//!
//! A template is hexadecimal bytes and expressions in braces: `a0 {n} 01 {0xa0+n+1}`. An
//! expression has numbers, names, `+ - * << >> & | >`, and parentheses, with C's precedence.

use std::collections::BTreeMap;

/// Nesting of parentheses at most.
const DEEPEST: usize = 16;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Number(i64),
    Name(String),
    Binary(Box<Self>, Operator, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Greater,
    Left,
    Right,
    Add,
    Subtract,
    Multiply,
}

/// By falling precedence index: those of a level bind weaker than those of the next.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("|", Operator::Or)],
    &[("&", Operator::And)],
    &[(">", Operator::Greater)],
    &[("<<", Operator::Left), (">>", Operator::Right)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply)],
];

impl Expression {
    /// Parses `text`, in which only `names` may be used.
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut parser = Parser {
            rest: text.trim(),
            names,
            depth: 0,
        };
        let expression = parser.level(0);
        match expression {
            Ok(expression) if parser.rest.is_empty() => Ok(expression),
            Ok(_) => Err(format!("'{text}' has '{}' too much", parser.rest)),
            Err(what) => Err(format!("'{text}': {what}")),
        }
    }

    /// The value; arithmetic wraps, and what is shifted too far is 0.
    pub(super) fn value(&self, names: &BTreeMap<&str, i64>) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Name(name) => names.get(name.as_str()).copied().unwrap_or(0),
            Self::Binary(left, operator, right) => {
                operator.apply(left.value(names), right.value(names))
            }
        }
    }
}

impl Operator {
    fn apply(self, left: i64, right: i64) -> i64 {
        let by = u32::try_from(right).unwrap_or(u32::MAX);
        match self {
            Self::Or => left | right,
            Self::And => left & right,
            Self::Greater => (left > right).into(),
            Self::Left => left.checked_shl(by).unwrap_or(0),
            Self::Right => left.checked_shr(by).unwrap_or(0),
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    names: &'a [&'a str],
    depth: usize,
}

impl Parser<'_> {
    fn level(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.atom();
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = operators.iter().find_map(|(text, operator)| {
            // ">" is not the beginning of ">>".
            let found = self.eat(text, *operator == Operator::Greater);
            found.then_some(*operator)
        }) {
            let right = self.level(level + 1)?;
            left = Expression::Binary(Box::new(left), operator, Box::new(right));
        }
        Ok(left)
    }

    fn eat(&mut self, text: &str, alone: bool) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) if !(alone && rest.starts_with(text)) => {
                self.rest = rest.trim_start();
                true
            }
            _ => false,
        }
    }

    fn atom(&mut self) -> Result<Expression, String> {
        if self.eat("(", false) {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err("too many parentheses".to_owned());
            }
            let inner = self.level(0)?;
            self.depth -= 1;
            return if self.eat(")", false) {
                Ok(inner)
            } else {
                Err("a parenthesis does not end".to_owned())
            };
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric());
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        let number = match word.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        match number {
            Ok(number) => Ok(Expression::Number(number)),
            Err(_) if self.names.contains(&word) => Ok(Expression::Name(word.to_owned())),
            Err(_) => Err(format!(
                "'{word}' is neither a number nor one of {:?}",
                self.names
            )),
        }
    }
}

/// Bytes, some of which are expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Expression>);

impl Template {
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('{') {
                let (inner, after) = inner
                    .split_once('}')
                    .ok_or_else(|| format!("'{text}': a brace does not end"))?;
                bytes.push(Expression::parse(inner, names)?);
                rest = after.trim_start();
            } else {
                let end = rest.find([' ', '{']).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                let byte = match word.len() {
                    2 => u8::from_str_radix(word, 16).ok(),
                    _ => None,
                };
                let byte = byte.ok_or_else(|| {
                    format!("'{text}': '{word}' is not a byte of two hexadecimal digits")
                })?;
                bytes.push(Expression::Number(byte.into()));
                rest = after.trim_start();
            }
        }
        Ok(Self(bytes))
    }

    /// The bytes, filled up with zeros to `length`.
    pub(super) fn bytes(
        &self,
        names: &BTreeMap<&str, i64>,
        length: usize,
    ) -> Result<Vec<u8>, String> {
        let bytes = self.0.iter().map(|expression| {
            let value = expression.value(names);
            u8::try_from(value).map_err(|_| format!("a byte of its report would be {value}"))
        });
        let mut bytes: Vec<_> = bytes.collect::<Result<_, _>>()?;
        bytes.resize(length.max(bytes.len()), 0);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str, n: i64) -> i64 {
        let names = BTreeMap::from([("n", n)]);
        Expression::parse(text, &["n"]).unwrap().value(&names)
    }

    #[test]
    fn precedence_is_that_of_c() {
        assert_eq!(value("0x10+n-1", 3), 0x12);
        assert_eq!(value("1<<n-1", 4), 8);
        assert_eq!(value("1<<(n-1)>>8", 9), 1);
        assert_eq!(value("n&3|4", 7), 7);
        assert_eq!(value("2+3*n", 4), 14);
        assert_eq!(value("n>0x10", 0x11), 1);
        assert_eq!(value("n&0x10>2", 1), 1);
        assert_eq!(value("1<<100", 0), 0);
    }

    #[test]
    fn mistakes_are_told() {
        let error = |text| Expression::parse(text, &["n"]).unwrap_err();
        assert_eq!(
            error("m"),
            "'m': 'm' is neither a number nor one of [\"n\"]"
        );
        assert_eq!(error("(n"), "'(n': a parenthesis does not end");
        assert_eq!(error("n 1"), "'n 1' has '1' too much");
        assert!(error(&"(".repeat(10_000)).contains("too many parentheses"));
        assert!(
            Template::parse("0x10", &[])
                .unwrap_err()
                .contains("two hexadecimal digits")
        );
        assert!(
            Template::parse("{n", &["n"])
                .unwrap_err()
                .contains("does not end")
        );
    }

    #[test]
    fn templates_make_bytes() {
        let names = BTreeMap::from([("n", 2)]);
        let template = Template::parse("a0 {n}01{(0xa0+n+1)&0xff}", &["n"]).unwrap();
        assert_eq!(template.bytes(&names, 6).unwrap(), [0xa0, 2, 1, 0xa3, 0, 0]);
        let template = Template::parse("{n-3}", &["n"]).unwrap();
        assert_eq!(
            template.bytes(&names, 0).unwrap_err(),
            "a byte of its report would be -1"
        );
    }

    proptest! {
        #[test]
        fn any_text_parses_or_not_without_a_panic(text in ".{0,60}", n in any::<i64>()) {
            if let Ok(expression) = Expression::parse(&text, &["n"]) {
                expression.value(&BTreeMap::from([("n", n)]));
            }
            let _ = Template::parse(&text, &["n"]);
        }
    }
}
